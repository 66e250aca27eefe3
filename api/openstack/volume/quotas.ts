/** /limits, /os-quota-sets and /os-quota-class-sets: between Cinder's names and ours. */
import type { FastifyRequest } from 'fastify';
import { type TSchema, Type } from 'typebox';
import { isCloudError } from '../../../contract/errors.ts';
import { parseId } from '../../../contract/ids.ts';
import { isAdmin } from '../../../control/kit/caller.ts';
import type { QuotaService } from '../../../control/kit/quota/index.ts';
import { usageOfType, type VolumeTypeService } from '../../../control/storage/volume-type/index.ts';
import type { Boundary } from '../../boundary/boundary.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { callerOf } from '../common/authenticate.ts';
import * as a from './answers.ts';
import { first, queryOf } from './paging.ts';
import * as v from './validate.ts';

export interface QuotaParts {
  quotas: QuotaService;
  volumeTypes: VolumeTypeService;
}

/** Our names, by Cinder's. What there is one of for each type has one name in both. */
const ours: Readonly<Record<string, string>> = {
  volumes: 'volumes',
  snapshots: 'volume_snapshots',
  gigabytes: 'volume_gigabytes',
  per_volume_gigabytes: 'volume_gigabytes_each',
  backups: 'backups',
  backup_gigabytes: 'backup_gigabytes',
  groups: 'volume_groups',
};
const cinderName = new Map(Object.entries(ours).map(([cinders, own]) => [own, cinders]));

/** All that there is a limit of now, by Cinder's name. */
interface Names {
  [cinders: string]: string;
}

async function namesOf({ volumeTypes }: QuotaParts): Promise<{ names: Names; types: { id: string; name: string }[] }> {
  const types = await volumeTypes.names();
  const ofTypes = types.flatMap((type) => Object.keys(usageOfType(type)).map((name) => [name, name]));
  return { names: { ...ours, ...Object.fromEntries(ofTypes) }, types };
}

const limitsBody = (names: Names, limits: Readonly<Record<string, number>>): Record<string, number> =>
  Object.fromEntries(Object.entries(names).map(([cinders, own]) => [cinders, limits[own] ?? -1]));

const limit = Type.Refine(
  Type.Union([Type.Integer(), Type.String({ pattern: '^-?[0-9]{1,15}$' })]),
  (value) => Number(value) >= -1 && Number(value) <= 0x7fffffff,
  (value) => `${value} is not between -1 and ${0x7fffffff}`,
);
const wanted = Type.Record(Type.String(), Type.Union([limit, Type.String({ maxLength: 255 })]));
const withId = (value: TSchema): TSchema => Type.Record(Type.String(), Type.Union([a.text, value]));
const counted = a.record({ limit: a.integer, in_use: a.integer, reserved: a.integer });
const contracts = {
  show: {
    summary: "Show a project's quotas, and what it uses of them",
    rights: 'reader',
    query: a.query('usage'),
    answers: { 200: a.record({ quota_set: withId(Type.Union([a.integer, counted])) }) },
  },
  defaults: {
    summary: 'Show the quotas of a new project',
    rights: 'reader',
    answers: { 200: a.record({ quota_set: withId(a.integer) }) },
  },
  set: {
    summary: "Set a project's quotas",
    rights: 'admin',
    body: v.strict({ quota_set: wanted }),
    answers: { 200: a.record({ quota_set: a.byName(a.integer) }) },
  },
  reset: { summary: "Reset a project's quotas", rights: 'admin', answers: { 200: null } },
  showClass: {
    summary: 'Show the quotas of a class',
    rights: 'admin',
    answers: { 200: a.record({ quota_class_set: withId(a.integer) }) },
  },
  setClass: {
    summary: 'Set the quotas of every project that has none of its own',
    rights: 'admin',
    body: v.strict({ quota_class_set: wanted }),
    answers: { 200: a.record({ quota_class_set: a.byName(a.integer) }) },
  },
  limits: {
    summary: "Show a project's limits and what it uses of them",
    rights: 'reader',
    query: a.query('project_id', 'tenant_id'),
    answers: { 200: a.record({ limits: a.record({ rate: a.none, absolute: a.byName(a.integer) }) }) },
  },
} as const;

/** Cinder asks nobody whether there is such a project. */
const projectOf = (text: string): string => parseId(text) ?? nobody;
const nobody = '00000000-0000-0000-0000-000000000000';

/** What is meant by a body, in our names. @throws CloudError `invalid` */
function wishOf(names: Names, body: Readonly<Record<string, unknown>>): Record<string, number> {
  const given = Object.entries(body).filter(([name]) => name !== 'tenant_id' && name !== 'project_id');
  const unknown = given.filter(([name]) => !Object.hasOwn(names, name)).map(([name]) => name.slice(0, 255));
  if (unknown.length > 0) {
    throw new Refusal('invalid', `Bad key(s) in quota set: ${unknown.slice(0, 20).join(', ')}`);
  }
  return Object.fromEntries(
    given.map(([name, value]) => {
      if (!/^-?\d+$/.test(String(value))) {
        throw new Refusal(
          'invalid',
          `Invalid input for field/attribute ${name}. Value: ${String(value).slice(0, 100)}.`,
        );
      }
      return [names[name]!, Number(value)];
    }),
  );
}

export function quotaSetRoutes(app: Boundary, parts: QuotaParts): void {
  const { quotas } = parts;
  const base = '/os-quota-sets/:project';
  app.get(base, contracts.show, async (request) => {
    const { names, types } = await namesOf(parts);
    const withUsage = v.looseBoolean(first(queryOf(request), 'usage') ?? 'false');
    const own = withUsage ? Object.values(ours) : [];
    const more = withUsage ? Object.assign({}, ...types.map(usageOfType)) : {};
    const { project } = request.params;
    const { limits, usage } = await quotas.showOrDefaults(callerOf(request), projectOf(project), own, more);
    const plain = limitsBody(names, limits);
    if (!withUsage) return { quota_set: { ...plain, id: project } };
    const used = Object.entries(plain).map(([name, of]) => [
      name,
      { limit: of, in_use: usage[names[name]!] ?? 0, reserved: 0 },
    ]);
    return { quota_set: { ...Object.fromEntries(used), id: project } };
  });
  app.get(`${base}/defaults`, contracts.defaults, async (request) => {
    const { names } = await namesOf(parts);
    return { quota_set: { ...limitsBody(names, await quotas.defaults()), id: request.params.project } };
  });
  app.put(base, contracts.set, async (request) => {
    const { names, types } = await namesOf(parts);
    const caller = callerOf(request);
    const project = projectOf(request.params.project);
    const limits = wishOf(names, request.body.quota_set);
    const more = Object.assign({}, ...types.map(usageOfType));
    await quotas.set(caller, project, limits, { force: false, counted: Object.values(ours), more }).catch(belowUsage);
    return { quota_set: limitsBody(names, (await quotas.showOrDefaults(caller, project, [])).limits) };
  });
  app.delete(base, contracts.reset, async (request, reply) => {
    const { names } = await namesOf(parts);
    await quotas.reset(callerOf(request), projectOf(request.params.project), Object.values(names));
    return reply.send();
  });
}

/** In Cinder's words and names. */
function belowUsage(error: unknown): never {
  if (!isCloudError(error, 'invalid') || error.reason !== 'quota_below_usage') throw error;
  const { resource, limit: asked, used } = error.fields as { resource: string; limit: number; used: number };
  const name = cinderName.get(resource) ?? resource;
  throw new Refusal(
    'invalid',
    `Quota ${name} limit must be equal or greater than existing resources. Current usage is ${used} and the requested limit is ${asked}.`,
    { cause: error },
  );
}

/** There is one class that a project can be of, `default`: other ones can be looked at, as in Cinder, and not be set. */
export function quotaClassRoutes(app: Boundary, parts: QuotaParts): void {
  const { quotas } = parts;
  app.get('/os-quota-class-sets/:class', contracts.showClass, async (request) => {
    const { names } = await namesOf(parts);
    return { quota_class_set: { ...limitsBody(names, await quotas.defaults()), id: request.params.class } };
  });
  app.put('/os-quota-class-sets/:class', contracts.setClass, async (request) => {
    if (request.params.class !== 'default') {
      throw new Refusal('invalid', 'There is one quota class, default: no project could have another.');
    }
    const { names } = await namesOf(parts);
    const limits = wishOf(names, request.body.quota_class_set);
    return { quota_class_set: limitsBody(names, await quotas.setDefaults(callerOf(request), limits)) };
  });
}

const maximums = {
  maxTotalVolumes: 'volumes',
  maxTotalSnapshots: 'snapshots',
  maxTotalVolumeGigabytes: 'gigabytes',
  maxTotalBackups: 'backups',
  maxTotalBackupGigabytes: 'backup_gigabytes',
};
const used = {
  totalVolumesUsed: 'volumes',
  totalSnapshotsUsed: 'snapshots',
  totalGigabytesUsed: 'gigabytes',
  totalBackupsUsed: 'backups',
  totalBackupGigabytesUsed: 'backup_gigabytes',
};

/** From 3.39 on administrators may ask for any project; who else does is told of their own. */
function limitedProject(request: FastifyRequest): string | null {
  const query = queryOf(request);
  const asked = first(query, 'project_id') ?? first(query, 'tenant_id');
  if (asked === undefined || request.microversion < 39 || !isAdmin(callerOf(request))) return null;
  return projectOf(asked);
}

export function limitRoutes(app: Boundary, { quotas }: Pick<QuotaParts, 'quotas'>): void {
  app.get('/limits', contracts.limits, async (request) => {
    const { limits, usage } = await quotas.showOrDefaults(
      callerOf(request),
      limitedProject(request),
      Object.values(ours),
    );
    const absolute = [
      ...Object.entries(maximums).map(([name, of]) => [name, limits[ours[of]!] ?? -1]),
      ...Object.entries(used).map(([name, of]) => [name, usage[ours[of]!] ?? 0]),
    ];
    return { limits: { rate: [], absolute: Object.fromEntries(absolute) } };
  });
}

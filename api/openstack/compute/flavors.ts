/** /flavors: with extra specs and access. */
import type { FastifyRequest } from 'fastify';
import { type Static, type TSchema, Type } from 'typebox';
import { serverLimits } from '../../../contract/host/limits.ts';
import { parseId } from '../../../contract/ids.ts';
import {
  type FlavorFilter,
  type FlavorRow,
  type FlavorService,
  flavorSortKeys,
} from '../../../control/compute/flavor/index.ts';
import { isAdmin, requireAdmin } from '../../../control/kit/caller.ts';
import type { Boundary } from '../../boundary/boundary.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { callerOf } from '../common/authenticate.ts';
import * as a from './answers.ts';
import { requireExtraSpecs } from './extra-spec-check.ts';
import { first, linksOf, nextLinks, pageOf, queryOf, refuseUnknown } from './paging.ts';
import type { Body } from './server-view.ts';
import * as v from './validate.ts';

const param = (request: FastifyRequest, key: string): string => (request.params as Record<string, string>)[key]!;

function flavorBody(request: FastifyRequest, flavor: FlavorRow): Body {
  const version = request.microversion;
  return {
    id: flavor.flavor_id,
    name: flavor.name,
    ram: flavor.memory_mib,
    disk: flavor.disk_gib,
    swap: flavor.swap_mib || (version >= 75 ? 0 : ''),
    'OS-FLV-EXT-DATA:ephemeral': flavor.ephemeral_gib,
    'OS-FLV-DISABLED:disabled': flavor.disabled,
    vcpus: flavor.vcpus,
    'os-flavor-access:is_public': flavor.public,
    rxtx_factor: flavor.rxtx_factor,
    links: linksOf(request, 'flavors', flavor.flavor_id),
    ...(version >= 55 && { description: flavor.description }),
    ...(version >= 61 && { extra_specs: flavor.extra_specs }),
  };
}

const briefBody = (request: FastifyRequest, flavor: FlavorRow): Body => ({
  id: flavor.flavor_id,
  name: flavor.name,
  links: linksOf(request, 'flavors', flavor.flavor_id),
  ...(request.microversion >= 55 && { description: flavor.description }),
});

const flavorText = Type.Union([v.text(0, 65_535), Type.Null()]);
const createSchema = (version: number) =>
  v.strict({
    flavor: v.strict({
      name: v.name,
      id: Type.Optional(
        Type.Union([
          Type.Refine(
            v.text(1, 255),
            (id) => /^(?! )[a-zA-Z0-9. _-]+(?<! )$/.test(id),
            (id) => `'${id}' is no flavor id`,
          ),
          Type.Number(),
          Type.Null(),
        ]),
      ),
      ram: v.integer(1, serverLimits.memoryMiB),
      vcpus: v.integer(1, serverLimits.vcpus),
      disk: v.integer(0, serverLimits.diskGiB),
      'OS-FLV-EXT-DATA:ephemeral': Type.Optional(v.integer(0)),
      swap: Type.Optional(v.integer(0)),
      rxtx_factor: Type.Optional(
        Type.Refine(
          Type.Union([Type.Number(), Type.String({ pattern: '^[0-9]+(\\.[0-9]+)?$' })]),
          (factor) => Number(factor) > 0 && Number(factor) <= 3.40282e38,
          () => 'is not a positive number',
        ),
      ),
      'os-flavor-access:is_public': Type.Optional(v.boolean),
      description: v.when(version >= 55, flavorText),
    }),
  });
const updated = v.strict({ flavor: v.strict({ description: flavorText }) });

const brief = { id: a.text, name: a.text, links: a.links, description: a.some(a.orNull(a.text)) };
const whole = a.record({
  ...brief,
  ram: a.integer,
  disk: a.integer,
  swap: Type.Union([a.integer, Type.Literal('')]),
  'OS-FLV-EXT-DATA:ephemeral': a.integer,
  'OS-FLV-DISABLED:disabled': a.boolean,
  vcpus: a.integer,
  'os-flavor-access:is_public': a.boolean,
  rxtx_factor: a.number,
  extra_specs: a.some(a.textsByName),
});
const shown = { 200: a.record({ flavor: whole }) };
const listQuery = a.query('limit', 'marker', 'is_public', 'minRam', 'minDisk', 'sort_key', 'sort_dir');
const pageOfFlavors = (flavor: TSchema) => ({
  200: a.record({ flavors: Type.Array(flavor), flavors_links: a.some(a.links) }),
});
const contracts = {
  list: { summary: 'List flavors', rights: 'caller', query: listQuery, answers: pageOfFlavors(a.record(brief)) },
  details: { summary: 'List flavors in full', rights: 'caller', query: listQuery, answers: pageOfFlavors(whole) },
  show: { summary: 'Show a flavor', rights: 'caller', answers: shown },
  create: { summary: 'Make a flavor', rights: 'admin', body: v.since([1, 55], createSchema), answers: shown },
  update: {
    summary: "Change a flavor's description",
    rights: 'admin',
    versions: { from: 55 },
    body: updated,
    answers: shown,
  },
  delete: { summary: 'Delete a flavor', rights: 'admin', answers: { 202: null } },
} as const;

export function flavorRoutes(app: Boundary, flavors: FlavorService): void {
  const list = async (request: FastifyRequest, detail: boolean) => {
    const filter = readFilter(request);
    const rows = filter.limit === 0 ? [] : await flavors.list(callerOf(request), filter);
    const bodies = rows.map((row) => (detail ? flavorBody(request, row) : briefBody(request, row)));
    const page = { limit: filter.limit ?? 0, count: rows.length, last: rows.at(-1)?.flavor_id };
    const links = nextLinks(request, detail ? 'flavors/detail' : 'flavors', page);
    return links ? { flavors: bodies, flavors_links: links } : { flavors: bodies };
  };
  app.get('/flavors', contracts.list, (request) => list(request, false));
  app.get('/flavors/detail', contracts.details, (request) => list(request, true));
  app.get('/flavors/:id', contracts.show, async (request) => ({
    flavor: flavorBody(request, await flavors.get(callerOf(request), param(request, 'id'))),
  }));
  app.post('/flavors', contracts.create, async (request) => {
    requireAdmin(callerOf(request), 'create a flavor');
    const { flavor } = request.body;
    const made = await flavors.create(callerOf(request), {
      flavorId: flavor.id === undefined || flavor.id === null ? null : String(flavor.id),
      name: flavor.name,
      description: flavor.description ?? null,
      vcpus: Number(flavor.vcpus),
      memoryMiB: Number(flavor.ram),
      diskGiB: Number(flavor.disk),
      ephemeralGiB: Number(flavor['OS-FLV-EXT-DATA:ephemeral'] ?? 0),
      swapMiB: Number(flavor.swap ?? 0),
      rxtxFactor: Number(flavor.rxtx_factor ?? 1),
      public: v.toBoolean(flavor['os-flavor-access:is_public'] ?? true),
    });
    return { flavor: flavorBody(request, made) };
  });
  app.put('/flavors/:id', contracts.update, async (request) => {
    const { description } = (request.body as Static<typeof updated>).flavor;
    const changed = await flavors.setDescription(callerOf(request), param(request, 'id'), description);
    return { flavor: flavorBody(request, changed) };
  });
  app.delete('/flavors/:id', contracts.delete, async (request, reply) => {
    await flavors.delete(callerOf(request), param(request, 'id'));
    return reply.code(202).send();
  });
}

function readFilter(request: FastifyRequest): FlavorFilter {
  refuseUnknown(request, ['limit', 'marker', 'is_public', 'minRam', 'minDisk', 'sort_key', 'sort_dir']);
  const query = queryOf(request);
  const { limit, marker } = pageOf(query);
  const number = (key: string): number | undefined => {
    const text = first(query, key);
    if (text === undefined) return undefined;
    if (!/^-?\d{1,9}$/.test(text)) throw new Refusal('invalid', `Invalid ${key} filter [${text.slice(0, 50)}]`);
    return Number(text);
  };
  const [minRam, minDisk] = [number('minRam'), number('minDisk')];
  const key = first(query, 'sort_key') ?? 'flavorid';
  if (!Object.hasOwn(flavorSortKeys, key)) throw new Refusal('invalid', `Invalid sort_key [${key.slice(0, 50)}]`);
  const direction = first(query, 'sort_dir') ?? 'asc';
  if (direction !== 'asc' && direction !== 'desc')
    throw new Refusal('invalid', `Invalid sort_dir [${direction.slice(0, 50)}]`);
  return {
    limit,
    ...(marker !== undefined && { marker }),
    ...(minRam !== undefined && { minMemoryMiB: minRam }),
    ...(minDisk !== undefined && { minDiskGiB: minDisk }),
    sortKey: key as keyof typeof flavorSortKeys,
    sortDirection: direction,
    public: readPublic(first(query, 'is_public'), request),
  };
}

function readPublic(text: string | undefined, request: FastifyRequest): boolean | null {
  if (text === undefined || !isAdmin(callerOf(request))) return true;
  if (/^none$/i.test(text)) return null;
  if (!/^(1|0|t|f|true|false|on|off|y|n|yes|no)$/i.test(text)) {
    throw new Refusal('invalid', `Invalid is_public filter [${text.slice(0, 50)}]`);
  }
  return v.looseBoolean(text);
}

const specKey = /^[a-zA-Z0-9-_:. ]{1,255}$/;
const specs = Type.Refine(
  Type.Record(Type.String(), Type.Union([v.text(0, 255), Type.Number()])),
  (value) => Object.keys(value).every((key) => specKey.test(key)),
  () => 'a key is empty, too long or has characters other than letters, digits, - _ : . and space',
);
const all = { 200: a.record({ extra_specs: a.textsByName }) };
const specContracts = {
  list: { summary: "List a flavor's extra specs", rights: 'reader', answers: all },
  add: {
    summary: "Add to a flavor's extra specs",
    rights: 'admin',
    body: v.strict({ extra_specs: specs }),
    answers: all,
  },
  show: { summary: 'Show an extra spec', rights: 'reader', answers: { 200: a.textsByName } },
  set: { summary: 'Set an extra spec', rights: 'admin', body: specs, answers: { 200: a.textsByName } },
  delete: { summary: 'Delete an extra spec', rights: 'admin', answers: { 200: null } },
} as const;
const asTexts = (value: Record<string, string | number>): Record<string, string> =>
  Object.fromEntries(Object.entries(value).map(([key, one]) => [key, String(one)]));

export function extraSpecRoutes(app: Boundary, flavors: FlavorService): void {
  const base = '/flavors/:id/os-extra_specs';
  const present = async (request: FastifyRequest) =>
    (await flavors.get(callerOf(request), param(request, 'id'))).extra_specs;
  const one = async (request: FastifyRequest): Promise<[string, string]> => {
    const key = param(request, 'key');
    const all = await present(request);
    if (!Object.hasOwn(all, key)) {
      throw new Refusal('not_found', `Flavor ${param(request, 'id')} has no extra specs with key ${key}.`);
    }
    return [key, all[key]!];
  };
  app.get(base, specContracts.list, async (request) => ({ extra_specs: await present(request) }));
  app.post(base, specContracts.add, async (request) => {
    const wanted = asTexts(request.body.extra_specs);
    requireAdmin(callerOf(request), 'change a flavor’s extra specs');
    if (request.microversion >= 86) requireExtraSpecs(wanted);
    await flavors.editExtraSpecs(callerOf(request), param(request, 'id'), (old) => ({ ...old, ...wanted }));
    return { extra_specs: wanted };
  });
  app.get(`${base}/:key`, specContracts.show, async (request) => Object.fromEntries([await one(request)]));
  app.put(`${base}/:key`, specContracts.set, async (request) => {
    const wanted = asTexts(request.body);
    const keys = Object.keys(wanted);
    if (keys.length !== 1 || keys[0] !== param(request, 'key')) {
      throw new Refusal('invalid', 'Request body and URI mismatch');
    }
    requireAdmin(callerOf(request), 'change a flavor’s extra specs');
    if (request.microversion >= 86) requireExtraSpecs(wanted);
    await flavors.editExtraSpecs(callerOf(request), param(request, 'id'), (old) => ({ ...old, ...wanted }));
    return wanted;
  });
  app.delete(`${base}/:key`, specContracts.delete, async (request) => {
    requireAdmin(callerOf(request), 'change a flavor’s extra specs');
    const [key] = await one(request);
    await flavors.editExtraSpecs(callerOf(request), param(request, 'id'), ({ [key]: _gone, ...rest }) => rest);
    return '';
  });
}

const access = v.strict({ tenant: v.text(1, 255) });
const projects = { 200: a.record({ flavor_access: a.list({ flavor_id: a.text, tenant_id: a.id }) }) };
const accessContracts = {
  list: { summary: 'List the projects that may use a flavor', rights: 'admin', answers: projects },
  change: { summary: 'Change which projects may use a flavor', rights: 'admin' },
} as const;
const accessActions = {
  addTenantAccess: { summary: 'Let a project use a flavor', rights: 'admin', body: access, answers: projects },
  removeTenantAccess: {
    summary: 'Let a project use a flavor no more',
    rights: 'admin',
    body: access,
    answers: projects,
  },
} as const;

export function flavorAccessRoutes(app: Boundary, flavors: FlavorService): void {
  const body = (flavorId: string, projects: string[]) => ({
    flavor_access: projects.map((tenant_id) => ({ flavor_id: flavorId, tenant_id })),
  });
  const project = (text: string): string => {
    const id = parseId(text);
    if (!id) throw new Refusal('invalid', `Project ID ${text.slice(0, 100)} is not a valid project.`);
    return id;
  };
  app.get('/flavors/:id/os-flavor-access', accessContracts.list, async (request) => {
    const id = param(request, 'id');
    return body(id, await flavors.access(callerOf(request), id));
  });
  app.actions('/flavors/:id/action', accessContracts.change, accessActions, async (request, _reply, chosen) => {
    const caller = callerOf(request);
    const { id } = request.params;
    requireAdmin(caller, 'change who may use a flavor');
    const { tenant } = chosen.argument as Static<typeof access>;
    if (chosen.name === 'removeTenantAccess') {
      return body(id, await flavors.removeAccess(caller, id, project(tenant)));
    }
    if (request.microversion >= 7 && (await flavors.get(caller, id)).public) {
      throw new Refusal('conflict', 'Can not add access to a public flavor.');
    }
    return body(id, await flavors.addAccess(caller, id, project(tenant)));
  });
}

/** /limits and /os-quota-sets: one table between Nova's names and ours. */
import type { FastifyRequest } from 'fastify';
import { type TSchema, Type } from 'typebox';
import { parseId } from '../../../contract/ids.ts';
import { isAdmin } from '../../../control/kit/caller.ts';
import type { QuotaService } from '../../../control/kit/quota/index.ts';
import type { Boundary } from '../../boundary/boundary.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { callerOf } from '../common/authenticate.ts';
import * as a from './answers.ts';
import { first, queryOf, refuseUnknown } from './paging.ts';
import type { Body } from './server-view.ts';
import * as v from './validate.ts';

interface Resource {
  /** Our name in the table `quota`. */
  ours: string;
  /** Its usage can be counted. */
  counted: boolean;
  /** The last microversion that shows it. */
  until: number;
  /** What there is when nobody set anything. */
  otherwise: number;
}

const resource = (ours: string, over: Partial<Resource> = {}): Resource => ({
  ours,
  counted: false,
  until: 9999,
  otherwise: 0,
  ...over,
});

/** By Nova's names. */
export const resources: Readonly<Record<string, Resource>> = {
  cores: resource('vcpus', { counted: true }),
  instances: resource('servers', { counted: true }),
  ram: resource('memory_mib', { counted: true }),
  key_pairs: resource('key_pairs'),
  metadata_items: resource('server_metadata_items'),
  server_groups: resource('server_groups', { counted: true }),
  server_group_members: resource('server_group_members'),
  fixed_ips: resource('ports', { counted: true, until: 35 }),
  floating_ips: resource('floating_ips', { counted: true, until: 35 }),
  security_groups: resource('security_groups', { counted: true, until: 35 }),
  security_group_rules: resource('security_group_rules', { counted: true, until: 35 }),
  injected_files: resource('injected_files', { until: 56 }),
  injected_file_content_bytes: resource('injected_file_content_bytes', { until: 56 }),
  injected_file_path_bytes: resource('injected_file_path_bytes', { until: 56 }),
};

const shownIn = (microversion: number) => Object.entries(resources).filter(([, { until }]) => microversion <= until);
const countedIn = (microversion: number) =>
  shownIn(microversion).flatMap(([, { ours, counted }]) => (counted ? ours : []));
/** A limit that is no resource's own in the network service's quotas, and so may be set here. */
const settable = (novaName: string): boolean => resources[novaName]!.until > 35;

/** What each of Nova's absolute limits is the limit of. */
const maximums: readonly [string, string, number?][] = [
  ['maxTotalInstances', 'instances'],
  ['maxTotalCores', 'cores'],
  ['maxTotalRAMSize', 'ram'],
  ['maxTotalKeypairs', 'key_pairs'],
  ['maxServerMeta', 'metadata_items'],
  ['maxImageMeta', 'metadata_items', 38],
  ['maxServerGroups', 'server_groups'],
  ['maxServerGroupMembers', 'server_group_members'],
  ['maxTotalFloatingIps', 'floating_ips'],
  ['maxSecurityGroups', 'security_groups'],
  ['maxSecurityGroupRules', 'security_group_rules'],
  ['maxPersonality', 'injected_files'],
  ['maxPersonalitySize', 'injected_file_content_bytes'],
];
const used: readonly [string, string][] = [
  ['totalInstancesUsed', 'instances'],
  ['totalCoresUsed', 'cores'],
  ['totalRAMUsed', 'ram'],
  ['totalServerGroupsUsed', 'server_groups'],
  ['totalFloatingIpsUsed', 'floating_ips'],
  ['totalSecurityGroupsUsed', 'security_groups'],
];

const limitContract = {
  summary: "Show a project's limits and what it uses of them",
  rights: 'caller',
  query: a.query('reserved', 'tenant_id'),
  answers: { 200: a.record({ limits: a.record({ rate: a.none, absolute: a.byName(a.integer) }) }) },
} as const;

export function limitRoutes(app: Boundary, quotas: QuotaService): void {
  app.get('/limits', limitContract, async (request) => {
    refuseUnknown(request, ['reserved', 'tenant_id']);
    const asked = first(queryOf(request), 'tenant_id');
    // Nova asks nobody here whether there is such a project, unlike where quotas are shown.
    const projectId = asked === undefined ? null : (parseId(asked) ?? nobody);
    const counted = countedIn(request.microversion);
    const { limits, usage } = await quotas.showOrDefaults(callerOf(request), projectId, counted);
    const absolute: Body = {};
    for (const [limit, name, until = 9999] of maximums) {
      const { ours, otherwise, until: shown } = resources[name]!;
      if (request.microversion <= Math.min(until, shown)) absolute[limit] = limits[ours] ?? otherwise;
    }
    for (const [key, name] of used) {
      if (request.microversion <= resources[name]!.until) absolute[key] = usage[resources[name]!.ours] ?? 0;
    }
    return { limits: { rate: [], absolute } };
  });
}

const nobody = '00000000-0000-0000-0000-000000000000';

function projectOf(text: string): string {
  const id = parseId(text);
  if (!id) throw new Refusal('invalid', `Project ID ${text.slice(0, 100)} is not a valid project.`);
  return id;
}

export const limit = Type.Refine(
  Type.Union([Type.Integer(), Type.String({ pattern: '^-?[0-9]{1,15}$' })]),
  (value) => Number(value) >= -1 && Number(value) <= 0x7fffffff,
  (value) => `${value} is not between -1 and ${0x7fffffff}`,
);

const quotaSchema = (version: number) => {
  const names = shownIn(version).map(([name]) => [name, Type.Optional(limit)] as const);
  const properties: Record<string, TSchema> = { ...Object.fromEntries(names), force: Type.Optional(v.boolean) };
  return v.strict({ quota_set: v.strict({ ...properties, tenant_id: Type.Optional(v.text(1, 255)) } as never) });
};

const optionalEach = (schema: TSchema): Record<string, TSchema> =>
  Object.fromEntries(Object.keys(resources).map((name) => [name, Type.Optional(schema)]));
const limitsOf = (more: Record<string, TSchema>) => ({
  200: a.record({ quota_set: a.record({ ...more, ...optionalEach(a.integer) }) }),
});
const counted = a.record({ limit: a.integer, in_use: a.integer, reserved: a.integer });
const ofUser = a.query('user_id');
const contracts = {
  show: {
    summary: "Show a project's quotas, or a user's in it",
    rights: 'reader',
    query: ofUser,
    answers: limitsOf({ id: a.text }),
  },
  detail: {
    summary: "Show a project's quotas and usage",
    rights: 'reader',
    query: ofUser,
    answers: { 200: a.record({ quota_set: a.record({ id: a.text, ...optionalEach(counted) }) }) },
  },
  defaults: { summary: 'Show the quotas of a new project', rights: 'caller', answers: limitsOf({ id: a.text }) },
  set: {
    summary: "Set a project's quotas",
    rights: 'admin',
    query: ofUser,
    body: v.since([1, 36, 57], quotaSchema),
    answers: limitsOf({}),
  },
  reset: { summary: "Reset a project's quotas", rights: 'admin', query: ofUser, answers: { 202: null } },
} as const;

const projectIn = (request: FastifyRequest) => projectOf((request.params as { project: string }).project);
const limitsBody = (request: FastifyRequest, limits: Record<string, number>): Body =>
  Object.fromEntries(
    shownIn(request.microversion).map(([name, { ours, otherwise }]) => [name, limits[ours] ?? otherwise]),
  );
/** From `?user_id=`: limits of one user instead of the project's. */
function userIn(request: FastifyRequest): string | undefined {
  refuseUnknown(request, ['user_id']);
  const text = first(queryOf(request), 'user_id');
  const id = text === undefined ? undefined : parseId(text);
  if (text !== undefined && !id) throw new Refusal('invalid', `User ID ${text.slice(0, 100)} is not a valid user.`);
  return id;
}
const viewOf = (quotas: QuotaService, request: FastifyRequest, counted: readonly string[]) => {
  const [id, user] = [projectIn(request), userIn(request)];
  const caller = callerOf(request);
  return user === undefined ? quotas.show(caller, id, counted) : quotas.showUser(caller, id, user);
};

export function quotaSetRoutes(app: Boundary, quotas: QuotaService): void {
  const base = '/os-quota-sets/:project';
  app.get(base, contracts.show, async (request) => {
    const { limits } = await viewOf(quotas, request, []);
    return { quota_set: { id: shownId(request), ...limitsBody(request, limits) } };
  });
  app.get(`${base}/detail`, contracts.detail, async (request) => {
    const { limits, usage } = await viewOf(quotas, request, countedIn(request.microversion));
    const set = shownIn(request.microversion).map(([name, { ours, otherwise }]) => [
      name,
      { limit: limits[ours] ?? otherwise, in_use: usage[ours] ?? 0, reserved: 0 },
    ]);
    return { quota_set: { id: shownId(request), ...Object.fromEntries(set) } };
  });
  app.get(`${base}/defaults`, contracts.defaults, async (request) => {
    projectIn(request);
    return { quota_set: { id: shownId(request), ...limitsBody(request, await quotas.defaults()) } };
  });
  app.put(base, contracts.set, async (request) => {
    const id = projectIn(request);
    const caller = callerOf(request);
    if (!isAdmin(caller)) await quotas.set(caller, id, {}, { force: true, counted: [] });
    const { quota_set } = request.body as unknown as {
      quota_set: Record<string, string | number | boolean>;
    };
    const { force, tenant_id: _tenant, ...wanted } = quota_set;
    const limits = Object.fromEntries(
      Object.entries(wanted).flatMap(([name, value]) =>
        settable(name) ? [[resources[name]!.ours, Number(value)] as const] : [],
      ),
    );
    const options = { force: force !== undefined && v.toBoolean(force as boolean) };
    const user = userIn(request);
    if (user === undefined) {
      await quotas.set(caller, id, limits, { ...options, counted: countedIn(request.microversion) });
    } else await quotas.setUser(caller, id, user, limits, options);
    return { quota_set: limitsBody(request, (await viewOf(quotas, request, [])).limits) };
  });
  app.delete(base, contracts.reset, async (request, reply) => {
    const user = userIn(request);
    if (user !== undefined) {
      await quotas.resetUser(callerOf(request), projectIn(request), user);
      return reply.code(202).send();
    }
    const ours = Object.keys(resources)
      .filter(settable)
      .map((name) => resources[name]!.ours);
    await quotas.reset(callerOf(request), projectIn(request), ours);
    return reply.code(202).send();
  });
}

/** As the caller wrote it. */
const shownId = (request: FastifyRequest): string => (request.params as { project: string }).project;

/**
 * Until 2.35 Nova handed floating IPs on to the network service, and until 2.43 their association with servers
 * (actions/floating-ips.ts). A pool is an external network, by name or id.
 */
import { Type } from 'typebox';
import { isCloudError } from '../../../contract/errors.ts';
import { parseId } from '../../../contract/ids.ts';
import { type Caller, requireProject } from '../../../control/kit/caller.ts';
import type { FloatingIpRow } from '../../../control/network/floating-ip/floating-ip.ts';
import type { FloatingIpService } from '../../../control/network/floating-ip/service.ts';
import type { NetworkRow } from '../../../control/network/network/network.ts';
import type { NetworkService } from '../../../control/network/network/service.ts';
import type { Boundary } from '../../boundary/boundary.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { callerOf } from '../common/authenticate.ts';
import * as a from './answers.ts';
import * as v from './validate.ts';

export interface FloatingIpServices {
  floatingIps: FloatingIpService;
  networks: NetworkService;
}

const shown = a.record({
  ...{ id: a.id, ip: a.text, pool: a.text },
  ...{ fixed_ip: a.orNull(a.text), instance_id: a.orNull(a.id) },
});
const wish = Type.Union([Type.Null(), Type.Object({ pool: Type.Optional(Type.Union([v.text(0, 255), Type.Null()])) })]);
const one = { 200: a.record({ floating_ip: shown }) };
const proxy = { versions: { to: 35 } } as const;
const contracts = {
  pools: {
    summary: 'List pools of floating IPs',
    rights: 'caller',
    ...proxy,
    answers: { 200: a.record({ floating_ip_pools: a.list({ name: a.text }) }) },
  },
  list: {
    summary: "List the project's floating IPs",
    rights: 'reader',
    ...proxy,
    answers: { 200: a.record({ floating_ips: a.listOf(shown) }) },
  },
  show: { summary: 'Show a floating IP', rights: 'reader', ...proxy, answers: one },
  create: { summary: 'Allocate a floating IP', rights: 'member', ...proxy, body: wish, answers: one },
  remove: { summary: 'Release a floating IP', rights: 'member', ...proxy, answers: { 202: null } },
} as const;

export function floatingIpRoutes(app: Boundary, services: FloatingIpServices): void {
  const { floatingIps } = services;
  app.get('/os-floating-ip-pools', contracts.pools, async (request) => ({
    floating_ip_pools: (await pools(services, callerOf(request))).map((pool) => ({ name: poolName(pool) })),
  }));
  app.get('/os-floating-ips', contracts.list, async (request) => {
    const caller = callerOf(request);
    const project = requireProject(caller, 'list floating IPs');
    const sort = [{ column: 'id', descending: false }];
    const rows = await floatingIps.list(caller, { filters: [{ column: 'project_id', values: [project] }], sort });
    return { floating_ips: await bodies(services, caller, rows) };
  });
  app.get('/os-floating-ips/:id', contracts.show, async (request) => {
    const caller = callerOf(request);
    return bodyOf(services, caller, await found(services, caller, request.params.id));
  });
  app.post('/os-floating-ips', contracts.create, async (request) => {
    const caller = callerOf(request);
    const pool = await poolFor(services, caller, request.body?.pool ?? null);
    const row = await floatingIps.create(caller, { floating_network_id: pool.id }).catch((error: unknown) => {
      // Its subnets are full.
      if (!isCloudError(error, 'conflict')) throw error;
      throw new Refusal('not_found', `No more floating IPs in pool ${poolName(pool)}.`, { cause: error });
    });
    return bodyOf(services, caller, row);
  });
  app.delete('/os-floating-ips/:id', contracts.remove, async (request, reply) => {
    const { id } = await found(services, callerOf(request), request.params.id);
    await floatingIps.delete(callerOf(request), id);
    return reply.code(202).send();
  });
}

const poolName = ({ id, name }: Pick<NetworkRow, 'id' | 'name'>): string => name || id;

const pools = ({ networks }: FloatingIpServices, caller: Caller): Promise<NetworkRow[]> =>
  networks.list(caller, {
    filters: [{ column: 'external', values: ['true'] }],
    sort: [{ column: 'id', descending: false }],
  });

/** @param wanted null: the one that is the default, or the only one */
async function poolFor(services: FloatingIpServices, caller: Caller, wanted: string | null): Promise<NetworkRow> {
  const all = await pools(services, caller);
  const id = wanted === null ? undefined : parseId(wanted);
  const chosen =
    wanted !== null
      ? all.filter((pool) => pool.id === id || pool.name === wanted)
      : all.length > 1
        ? all.filter(({ is_default }) => is_default)
        : all;
  if (chosen.length === 1) return chosen[0]!;
  if (chosen.length > 1) throw new Refusal('invalid', 'Multiple floating IP pools matches found: name one by its id.');
  throw new Refusal('not_found', 'Floating IP pool not found.');
}

async function found({ floatingIps }: FloatingIpServices, caller: Caller, text: string): Promise<FloatingIpRow> {
  const id = parseId(text);
  const [row] = id ? await floatingIps.list(caller, { ids: [id] }) : [];
  if (!row) throw new Refusal('not_found', `Floating IP not found for ID ${text.slice(0, 100)}`);
  return row;
}

async function bodies({ networks }: FloatingIpServices, caller: Caller, rows: readonly FloatingIpRow[]) {
  const ids = [...new Set(rows.map(({ floating_network_id }) => floating_network_id))];
  const names = new Map((ids.length > 0 ? await networks.list(caller, { ids }) : []).map((row) => [row.id, row.name]));
  return rows.map((row) => ({
    id: row.id,
    ip: row.floating_ip,
    fixed_ip: row.fixed_ip,
    pool: names.get(row.floating_network_id) || row.floating_network_id,
    instance_id: parseId(row.port_details?.device_id ?? '') ?? null,
  }));
}

const bodyOf = async (services: FloatingIpServices, caller: Caller, row: FloatingIpRow) => ({
  floating_ip: (await bodies(services, caller, [row]))[0]!,
});

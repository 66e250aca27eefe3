/**
 * Ports of servers: what compute asks of the network. All of it in the transaction that decides about the server.
 *
 * A port that was made for the server goes with it; one that the project made before is only lent.
 */
import { isIPv4 } from 'node:net';
import { type RawBuilder, sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import { type HostId, type PortId, type ProjectId, parseId, type ServerId } from '../../../contract/ids.ts';
import { canonicalIp } from '../../kit/address.ts';
import { type Caller, isAdmin, requireProjectMember } from '../../kit/caller.ts';
import type { Tx } from '../../kit/database/database.ts';
import { isOneOf, rowsOf } from '../../kit/database/one-of.ts';
import { maySee, mayUse, usedByProject } from '../access.ts';
import { createPorts, holdNetworks, loadGround, type NetworkFacts, type NewPort, type PortGround } from './create.ts';
import { giveDeferred } from './home.ts';
import type { CardLimits } from './tables.ts';

/** One interface that a server asks for: on a network, or an existing port. */
export interface ServerPortRequest {
  networkId?: string;
  fixedIp?: string;
  portId?: string;
  tag?: string;
}

export interface ServerPortsWish {
  /** Whose the ports are; absent: the caller's project's. */
  projectId?: ProjectId;
  requests: readonly ServerPortRequest[];
  /** Names or ids; empty: the default group. */
  securityGroups: readonly string[];
  /** What happens without requests: 'none' makes no port; else the project's only network is taken, and 'auto' makes one where there is none. */
  automatic: 'auto' | 'none' | null;
}

/** What a wish means: read and checked, nothing made yet. */
export interface ServerPortsPlan {
  projectId: ProjectId;
  requests: readonly ServerPortRequest[];
  ground: PortGround;
  /** Undefined: the default group. */
  groups: string[] | undefined;
  /** It has ports, and no address on any of them that 169.254.169.254 is asked from. */
  withoutIpv4: boolean;
}

export interface ServerPort {
  portId: PortId;
  /** False: the project made it before, and lends it. */
  created: boolean;
}

export const serverPortOwner = 'compute:nova';

/**
 * Everything that a request names wrongly is `invalid`.
 * @param makeNetwork for 'auto' in a project that has no network: makes one, in this transaction, and answers its id
 */
export async function planServerPorts(
  tx: Tx,
  caller: Caller,
  wish: ServerPortsWish,
  makeNetwork: (projectId: string) => Promise<string>,
): Promise<ServerPortsPlan> {
  const projectId = wish.projectId ?? requireProjectMember(caller, 'create server');
  const requests =
    wish.requests.length > 0
      ? wish.requests
      : await automaticRequests(tx, caller, wish.automatic, () => makeNetwork(projectId));
  const onNetworks = requests.filter((request) => request.portId === undefined);
  const [ground, networks, groups] = await Promise.all([
    // How many servers there will be, and so how many ports, is not known yet: that comes with the quota of servers. Before the networks,
    // as with all who make ports.
    loadGround(tx, onNetworks.length > 0 ? [{ project_id: projectId, network_id: '' }] : [], new Map()),
    usableNetworks(tx, caller, onNetworks),
    onNetworks.length > 0 ? findGroups(tx, projectId, wish.securityGroups) : undefined,
  ]);
  const withoutIpv4 = requests.length > 0 && !(await hasIpv4(tx, requests, networks));
  return { projectId, requests, groups, ground: { ...ground, networks }, withoutIpv4 };
}

/** Answers each server's ports, in the order of the servers and of the requests. */
export async function createServerPorts(
  tx: Tx,
  caller: Caller,
  plan: ServerPortsPlan,
  servers: readonly { id: ServerId; hostname: string }[],
): Promise<ServerPort[][]> {
  const taken = new Map<string, PortId>();
  const lent = plan.requests.flatMap(({ portId }) => parseId(portId ?? '') ?? []);
  // In the order in which others hold several; one by one they are in that of the requests.
  if (lent.length > 0)
    await Promise.all([
      holdNetworksOf(tx, sql`select network_id from port where ${isOneOf(sql`id`, lent)}`),
      sql`select from port where ${isOneOf(sql`id`, lent)} order by id for update`.execute(tx),
    ]);
  for (const server of servers) {
    for (const { portId } of plan.requests) {
      if (portId === undefined) continue;
      const id = await takePort(tx, caller, server, portId);
      if ([...taken.values()].includes(id)) throw portInUse(portId);
      taken.set(portId, id);
    }
  }
  const ports = servers.flatMap((server) => newPorts(plan, server));
  const made = await createPorts(tx, ports, plan.ground).catch(asServerFault);
  let next = 0;
  return servers.map(() =>
    plan.requests.map(({ portId }) =>
      portId === undefined
        ? { portId: made[next++]!.id, created: true }
        : { portId: taken.get(portId)!, created: false },
    ),
  );
}

async function hasIpv4(
  tx: Tx,
  requests: readonly ServerPortRequest[],
  networks: PortGround['networks'],
): Promise<boolean> {
  const ofNetworks = requests.some(({ networkId, fixedIp }) => {
    if (networkId === undefined) return false;
    if (fixedIp !== undefined) return isIPv4(fixedIp);
    return networks.get(parseId(networkId)!)!.subnets.some((subnet) => subnet.ip_version === 4);
  });
  const lent = requests.flatMap(({ portId }) => portId ?? []);
  if (ofNetworks || lent.length === 0) return ofNetworks;
  const { rows } =
    await sql`select from port_ip where port_id = any(${lent}::uuid[]) and family(ip) = 4 limit 1`.execute(tx);
  return rows.length > 0;
}

function newPorts(
  { projectId, requests, ground: { networks }, groups }: ServerPortsPlan,
  server: { id: ServerId; hostname: string },
): NewPort[] {
  const onNetworks = requests.filter((request) => request.portId === undefined);
  return onNetworks.map((request) => {
    const network = networks.get(parseId(request.networkId!)!)!;
    return {
      project_id: projectId,
      network_id: network.id,
      device_id: server.id,
      device_owner: serverPortOwner,
      delete_with_device: true,
      dns_name: labelOf(server.hostname),
      ...(request.fixedIp === undefined ? {} : { fixed_ips: [fixedIp(request.fixedIp)] }),
      ...(groups && network.port_security_enabled ? { security_groups: groups } : {}),
    };
  });
}

/** Under which its network's resolvers know it: of a whole domain name the first label, for the domain is the network's. */
const labelOf = (hostname: string): string => hostname.split('.', 1)[0]!.toLowerCase();

/** What a server's request names wrongly is the request's fault; quota and ports in use keep their own meaning. */
function asServerFault(error: unknown): never {
  if (error instanceof CloudError && (error.code === 'not_found' || error.reason === 'ip_address_in_use')) {
    throw error.as('invalid');
  }
  throw error;
}

function fixedIp(text: string): { ip: string } {
  const ip = canonicalIp(text);
  if (ip === undefined) throw new CloudError('invalid', 'invalid_fixed_ip', { ip: text });
  return { ip };
}

/** The one network that a project can mean when it names none. */
async function automaticRequests(
  tx: Tx,
  caller: Caller,
  automatic: 'auto' | 'none' | null,
  makeNetwork: () => Promise<string>,
): Promise<ServerPortRequest[]> {
  if (automatic === 'none') return [];
  const { rows } = await sql<{ id: string }>`select n.id from network n
    where ${usedByProject(caller, 'n')} and not n.external
      and exists (select from subnet s where s.network_id = n.id)
    limit 2`.execute(tx);
  if (rows.length > 1) {
    throw new CloudError('conflict', 'network_ambiguous', {});
  }
  if (rows.length === 0 && automatic === 'auto') {
    return [{ networkId: await makeNetwork().catch(asNoNetwork) }];
  }
  return rows.map(({ id }) => ({ networkId: id }));
}

/** As Nova says it, where the cloud has nothing to make one from. */
function asNoNetwork(error: unknown): never {
  const reasons = ['auto_topology_without_external_network', 'auto_topology_without_subnet_pools'];
  if (!(error instanceof CloudError) || !reasons.includes(error.reason ?? '')) throw error;
  throw new CloudError('invalid', 'unable_to_allocate_network', {});
}

async function usableNetworks(
  tx: Tx,
  caller: Caller,
  requests: readonly ServerPortRequest[],
): Promise<Map<string, NetworkFacts>> {
  if (requests.length === 0) return new Map();
  const ids = requests.map((request) => parseId(request.networkId ?? ''));
  const known = await holdNetworks(
    tx,
    ids.filter((id) => id !== undefined),
  );
  for (const [index, id] of ids.entries()) {
    const network = id === undefined ? undefined : known.get(id);
    const name = requests[index]!.networkId ?? '';
    if (!network || !maySee(caller, network)) {
      throw new CloudError('invalid', 'network_not_found', { id: name });
    }
    if (!mayUse(caller, network) || (network.external && !isAdmin(caller))) {
      throw new CloudError('forbidden', 'external_network_attach_forbidden', { id: network.id });
    }
    if (network.subnets.length === 0) {
      throw new CloudError('invalid', 'network_requires_subnet', { id: network.id });
    }
  }
  return known;
}

async function findGroups(tx: Tx, projectId: string, names: readonly string[]): Promise<string[] | undefined> {
  const wanted = [...new Set(names)];
  // 'default' is made when it is first needed: leave it to the making of the ports.
  if (wanted.length === 0 || (wanted.length === 1 && wanted[0] === 'default')) return undefined;
  const ids = wanted.map((name) => parseId(name)).filter((id) => id !== undefined);
  const { rows } = await sql<{ id: string; name: string }>`select id, name from security_group
    where project_id = ${projectId} and (id = any(${ids}::uuid[]) or name = any(${wanted}::text[]))`.execute(tx);
  return wanted.map((name) => {
    const id = parseId(name);
    const found = rows.filter((row) => row.id === id || row.name === name);
    const exact = found.find((row) => row.id === id);
    if (exact) return exact.id;
    if (found.length === 1) return found[0]!.id;
    if (found.length === 0) {
      throw new CloudError('invalid', 'security_group_not_found_in_project', { name, project: projectId });
    }
    throw new CloudError('conflict', 'security_group_ambiguous', { name });
  });
}

const portInUse = (text: string): CloudError => new CloudError('conflict', 'port_in_use', { id: text });

/** Lends an existing port of the project to the server. The row is locked: of two servers that want it one gets it. */
async function takePort(
  tx: Tx,
  caller: Caller,
  { id: serverId, hostname }: { id: ServerId; hostname: string },
  text: string,
): Promise<PortId> {
  const id = parseId<PortId>(text);
  await sql`select from port where id = ${id ?? null} for update`.execute(tx);
  // What its holder may write into device_id says nothing: a server has it as long as a row says so.
  const { rows } = await sql<{
    project_id: string;
    device_id: string;
    has_ip: boolean;
    ip_deferred: boolean;
    on_server: boolean;
  }>`
    select p.project_id, p.device_id, p.ip_deferred, exists (select from port_ip i where i.port_id = p.id) as has_ip,
      (exists (select from server_port sp where sp.port_id = p.id)
        or exists (select from subport s where s.port_id = p.id)) as on_server
    from port p where p.id = ${id ?? null}`.execute(tx);
  const port = rows[0];
  if (!port || (!isAdmin(caller) && port.project_id !== caller.projectId)) {
    throw new CloudError('invalid', 'port_not_found', { id: text });
  }
  if (port.on_server || (port.device_id !== '' && port.device_id !== serverId)) {
    throw portInUse(text);
  }
  if (!port.has_ip && !port.ip_deferred) {
    throw new CloudError('invalid', 'port_requires_fixed_ip', { id: text });
  }
  await sql`update port set device_id = ${serverId}, device_owner = ${serverPortOwner},
    dns_name = case dns_name when '' then ${labelOf(hostname)} else dns_name end, generation = generation + 1, updated_at = now()
    where id = ${id!}`.execute(tx);
  return id!;
}

/** Where a server's ports are to be plugged, and what may pass them. */
export interface ServerPortBinding {
  serverId: ServerId;
  hostId: HostId;
  limits: CardLimits;
}

/** Also where only the limits are others. Safe to repeat. */
export async function bindServerPorts(tx: Tx, placed: readonly ServerPortBinding[]): Promise<void> {
  const bindings = rowsOf(
    { values: placed.map(({ serverId }) => serverId), type: 'uuid' },
    { values: placed.map(({ hostId }) => hostId), type: 'uuid' },
    { values: placed.map(({ limits }) => JSON.stringify(limits)), type: 'text' },
  );
  const networks = networksOf(placed.map(({ serverId }) => serverId));
  const update = sql<{ id: string; ip_deferred: boolean }>`
    update port p set host_id = w.host_id, migrating_to = null, card_limits = w.limits::jsonb, generation = generation + 1, updated_at = now()
    from ${bindings} as w (server_id, host_id, limits) join server_port sp on sp.server_id = w.server_id
    where p.id = sp.port_id and (p.host_id is distinct from w.host_id or p.card_limits <> w.limits::jsonb)
    returning p.id, p.ip_deferred`;
  const [, { rows }] = await Promise.all([holdNetworksOf(tx, networks), update.execute(tx)]);
  await giveDeferred(
    tx,
    rows.filter((row) => row.ip_deferred).map(({ id }) => id),
  );
}

/** The server has no host for now; its ports are its own, with their addresses. Safe to repeat. */
export async function unbindServerPorts(tx: Tx, serverId: ServerId): Promise<void> {
  await Promise.all([
    holdNetworksOf(tx, networksOf([serverId])),
    sql`update port p set host_id = null, migrating_to = null, binding_host = '', card_limits = '{}', generation = generation + 1, updated_at = now()
      from server_port sp where sp.server_id = ${serverId} and p.id = sp.port_id and p.host_id is not null`.execute(tx),
  ]);
}

/** The server is gone, or lets go of one port: its own ports go, lent ones come back. Safe to repeat. */
export async function releaseServerPorts(tx: Tx, serverId: ServerId, only: PortId | null = null): Promise<void> {
  const from = sql`from server_port sp join port p on p.id = sp.port_id where sp.server_id = ${serverId}
      and (${only}::uuid is null or sp.port_id = ${only}::uuid) order by p.id`;
  // One round trip, but more than one statement: whose they are must be read as it is once they are held.
  const [, , , { rows }] = await Promise.all([
    holdFloatingIps(
      tx,
      sql`select port_id from server_port where server_id = ${serverId} and (${only}::uuid is null or port_id = ${only}::uuid)`,
    ),
    holdNetworksOf(tx, networksOf([serverId])),
    sql`select ${from} for update of p`.execute(tx),
    sql<{ id: PortId; delete_with_device: boolean; trunked: boolean }>`select p.id, p.delete_with_device,
      exists (select from trunk t where t.port_id = p.id) as trunked ${from}`.execute(tx),
  ]);
  await deletePortRows(
    tx,
    rows.filter((row) => row.delete_with_device && !row.trunked).map(({ id }) => id),
  );
  // One that has become a trunk's is kept: what hangs on it is the project's.
  const lent = rows.filter((row) => !row.delete_with_device || row.trunked).map(({ id }) => id);
  if (lent.length === 0) return;
  await sql`with gone as (delete from server_port where server_id = ${serverId} and port_id = any(${lent}::uuid[]))
    update port set device_id = '', device_owner = '', dns_name = '', host_id = null, migrating_to = null, binding_host = '', card_limits = '{}',
      generation = generation + 1, updated_at = now() where id = any(${lent}::uuid[])`.execute(tx);
}

/**
 * Before ports that come to a host, leave it or go: a trigger of theirs reads what their network promises (../bandwidth), and who gives a network a subnet of which
 * guests choose their addresses holds it, and then its ports.
 */
export async function holdNetworksOf(tx: Tx, networkIds: RawBuilder<unknown>): Promise<void> {
  await sql`select from network where id in (${networkIds}) order by id for key share`.execute(tx);
}

/** Those that servers have ports on, and those ports subports, which go where they go. */
export function networksOf(serverIds: readonly ServerId[]): RawBuilder<unknown> {
  const theirs = isOneOf(sql`sp.server_id`, serverIds);
  return sql`select p.network_id from server_port sp join port p on p.id = sp.port_id where ${theirs}
    union all select p.network_id from server_port sp join trunk t on t.port_id = sp.port_id
      join subport s on s.trunk_id = t.id join port p on p.id = s.port_id where ${theirs}`;
}

/** Of ports that are about to be held and deleted: whoever gives a floating IP to a port holds them in this order. */
export async function holdFloatingIps(tx: Tx, portIds: RawBuilder<unknown>): Promise<void> {
  await sql`select from floating_ip where port_id in (${portIds}) order by id for update`.execute(tx);
}

/** Deletes ports with all that hangs on them; floating IPs come loose. Rights are the caller's business. */
export async function deletePortRows(tx: Tx, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return;
  await sql`with loose as (
      update floating_ip set port_id = null, fixed_ip = null, router_id = null, generation = generation + 1,
        updated_at = now()
      where port_id = any(${[...ids]}::uuid[]))
    delete from port where id = any(${[...ids]}::uuid[])`.execute(tx);
}

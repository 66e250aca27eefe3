/**
 * Makes ports: the one way in which a port comes into being, for tenants, servers, routers, floating IPs and metadata.
 * Takes no decision about rights (service.ts does). Part of the caller's transaction; a crash leaves nothing.
 */

import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import { portLimits } from '../../../contract/host/limits.ts';
import { newId, type PortId } from '../../../contract/ids.ts';
import { randomMac } from '../../kit/address.ts';
import { type Tx, violatedConstraint } from '../../kit/database/database.ts';
import { isOneOf } from '../../kit/database/one-of.ts';
import { lockQuota, type Quota, requireQuota } from '../../kit/quota/quota.ts';
import { notFound } from '../../kit/refusal.ts';
import { checkTags } from '../../kit/tags.ts';
import { type Grant, grantsOf } from '../access.ts';
import { firstTries, holdSubnets, type IpWant, lockSubnets, type TakenIp, takeRest } from '../address/allocate.ts';
import { type FixedIpWish, interfaceOwners, planAddresses, type SubnetFacts } from '../address/plan.ts';
import { ensureDefaultGroup, findDefaultGroup } from '../security-group/default-group.ts';
import { requireOnePlace } from '../segment/carry.ts';
import { homeOn, isRouted } from '../segment/home.ts';
import { changedOptions, type DhcpOptionWish } from './dhcp-options.ts';
import { localIpOwner } from './local-ip-port.ts';
import { port as descriptor } from './resource.ts';
import type { AddressPair } from './tables.ts';

/** A network as ports need it, with its subnets. */
export interface NetworkFacts {
  id: string;
  project_id: string;
  name: string;
  external: boolean;
  grants: readonly Grant[];
  port_security_enabled: boolean;
  subnets: SubnetFacts[];
}

export interface NewPort {
  project_id: string;
  network_id: string;
  name?: string;
  description?: string;
  mac?: string;
  admin_state_up?: boolean;
  device_id?: string;
  device_owner?: string;
  /** Default: the network's. */
  port_security_enabled?: boolean;
  allowed_address_pairs?: AddressPair[];
  extra_dhcp_opts?: DhcpOptionWish[];
  dns_name?: string;
  dns_domain?: string;
  tags?: string[];
  binding_vnic_type?: string;
  binding_host?: string;
  host_id?: string | null;
  delete_with_device?: boolean;
  qos_policy_id?: string | null;
  propagate_uplink_status?: boolean;
  /** Undefined: the default of the network. */
  fixed_ips?: FixedIpWish[];
  /** On a routed network: the segment of its host; absent: it has no host yet. */
  segment_id?: string;
  /** For automatic addresses: only of this version. */
  only_version?: 4 | 6;
  /** Ids that the caller may use; undefined: the project's default group, where the port has port security. */
  security_groups?: string[];
}

export interface MadePort {
  id: PortId;
  network_id: string;
  mac: string;
  fixed_ips: TakenIp[];
}

/** Ports that the cloud makes for its own ends: no filters. Nobody can give a port one of these owners (service.ts). */
export const cloudOwners = [
  ...interfaceOwners,
  ...['network:router_gateway', 'network:floatingip', 'network:distributed', localIpOwner],
];
const ownedByCloud = (owner: string): boolean => cloudOwners.includes(owner);
/** They count as ports of their project; the rest of the cloud's own are nobody's. */
const inQuota = (owner: string): boolean =>
  !ownedByCloud(owner) || interfaceOwners.includes(owner) || owner === localIpOwner;

/** They are held: nobody takes a right to one away, or gives it a subnet, before what rests on these facts is written. */
export async function holdNetworks(tx: Tx, wanted: readonly string[]): Promise<Map<string, NetworkFacts>> {
  const ids = [...new Set(wanted)];
  // One round trip, but two statements: what is read must be as it is once they are held.
  const [, { rows }] = await Promise.all([
    sql`select from network where ${isOneOf(sql`id`, ids)} order by id for key share`.execute(tx),
    sql<NetworkFacts>`select n.id, n.project_id, n.name, n.external, n.port_security_enabled, ${grantsOf('network', 'n')} as grants,
      coalesce((select jsonb_agg(to_jsonb(s) order by s.created_at, s.id) from subnet s where s.network_id = n.id), '[]') as subnets
    from network n where ${isOneOf(sql`n.id`, ids)}`.execute(tx),
  ]);
  return new Map(rows.map((row) => [row.id, row]));
}

/** Before ports are made one by one, of which each takes an address of one of these networks; one alone meets nobody twice. */
export async function holdAddresses(tx: Tx, networkIds: readonly string[]): Promise<void> {
  if (networkIds.length < 2) return;
  const networks = [...(await holdNetworks(tx, networkIds)).values()];
  await holdSubnets(
    tx,
    networks.flatMap(({ subnets }) => subnets.map(({ id }) => id)),
  );
}

/** What ports to come are judged by, read before. Their projects' quotas of ports are locked from then on. */
export interface PortGround {
  networks: ReadonlyMap<string, NetworkFacts>;
  quotas: ReadonlyMap<string, Quota>;
  /** By project; undefined where there is none yet. */
  defaultGroups: ReadonlyMap<string, string | undefined>;
}

/** One round trip, and the caller's own reads share it. */
export async function loadGround(
  tx: Tx,
  ports: readonly Pick<NewPort, 'project_id' | 'network_id' | 'device_owner'>[],
  networks?: ReadonlyMap<string, NetworkFacts>,
): Promise<PortGround> {
  const counted = ports.filter((port) => inQuota(port.device_owner ?? ''));
  const filtered = ports.filter((port) => !ownedByCloud(port.device_owner ?? ''));
  const [quotas, defaultGroups, known] = await Promise.all([
    ofEach(counted, (projectId) => lockQuota(tx, projectId, descriptor.usage)),
    ofEach(filtered, (projectId) => findDefaultGroup(tx, projectId)),
    networks ??
      holdNetworks(
        tx,
        ports.map((port) => port.network_id),
      ),
  ]);
  return { quotas, defaultGroups, networks: known };
}

/** For ports of the cloud's own that count against no quota: they are in no group either. */
export const cloudGround = (networks: readonly NetworkFacts[]): PortGround => ({
  networks: new Map(networks.map((network) => [network.id, network])),
  quotas: new Map(),
  defaultGroups: new Map(),
});

/** In the order of the projects: two transactions that lock do it in the same one. */
async function ofEach<T>(
  ports: readonly { project_id: string }[],
  read: (projectId: string) => Promise<T>,
): Promise<Map<string, T>> {
  const projects = [...new Set(ports.map((port) => port.project_id))].sort();
  return new Map(await Promise.all(projects.map(async (id) => [id, await read(id)] as const)));
}

/**
 * Makes all of the ports or none.
 * @param ground from {@link loadGround}, where the caller has read it already
 * @throws CloudError with reasons as Neutron names them
 */
export async function createPorts(
  tx: Tx,
  ports: readonly NewPort[],
  ground?: PortGround | undefined,
): Promise<MadePort[]> {
  if (ports.length === 0) return [];
  const { networks: known, ...judged } = ground ?? (await loadGround(tx, ports));
  for (const port of ports) if (!known.has(port.network_id)) throw notFound('network', port.network_id);
  requirePortQuota(ports, judged.quotas);
  const routed = ports.filter((port) => port.device_owner?.startsWith('network:router'));
  await requireOnePlace(
    tx,
    routed.map((port) => port.network_id),
  );
  const complete = await withSecurity(tx, ports, known, judged.defaultGroups);
  const made: MadePort[] = [];
  await findHomes(tx, complete, known);
  let rest = complete.map((port) => draft(port, known.get(port.network_id)!));
  await lockSubnets(
    tx,
    rest.flatMap(({ wants }) => wants),
  );
  // More than one round only when a generated MAC address met one that exists on the network.
  for (let round = 1; rest.length > 0; round++) {
    const taken = await insertDrafts(tx, rest).catch(refuseVanished);
    const refused = rest.filter(({ row }) => !taken.ports.has(row.id));
    const given = refused.find(({ port }) => port.mac !== undefined);
    if (given || (refused.length > 0 && round > 16)) throw macInUse((given ?? refused[0]!).row);
    const inserted = rest.filter(({ row }) => taken.ports.has(row.id));
    const more = await takeRest(
      tx,
      inserted.flatMap(({ wants }) => wants),
      taken.ips,
    );
    const ips = Map.groupBy([...taken.ips, ...more], (ip) => ip.port_id);
    for (const { row } of inserted) made.push({ ...row, fixed_ips: ips.get(row.id) ?? [] });
    rest = refused.map(({ port }) => draft(port, known.get(port.network_id)!));
  }
  const order = new Map(complete.map((port, index) => [port.id as string, index]));
  return made.sort((a, b) => order.get(a.id)! - order.get(b.id)!);
}

export const macInUse = (row: { network_id: string; mac: string }) =>
  new CloudError('conflict', 'mac_address_in_use', { network: row.network_id, mac: row.mac });

/** What was there when we looked was deleted since: the foreign keys are the judge. */
export function refuseVanished(error: unknown): never {
  const constraint = violatedConstraint(error);
  const noun = (['network', 'subnet', 'security_group'] as const).find((one) =>
    constraint?.endsWith(`_${one}_id_fkey`),
  );
  if (noun === undefined) throw error;
  throw new CloudError('not_found', 'part_of_port_vanished', { noun });
}

function requirePortQuota(ports: readonly NewPort[], quotas: PortGround['quotas']): void {
  for (const [projectId, quota] of quotas) {
    const more = ports.filter((port) => port.project_id === projectId && inQuota(port.device_owner ?? '')).length;
    requireQuota(quota, { ports: more });
  }
}

type CompletePort = NewPort & { id: PortId; port_security_enabled: boolean; security_groups: string[] };

/** Decides port security and groups; makes default groups where they are needed. */
async function withSecurity(
  tx: Tx,
  ports: readonly NewPort[],
  networks: ReadonlyMap<string, NetworkFacts>,
  found: PortGround['defaultGroups'],
): Promise<CompletePort[]> {
  const defaults = new Map([...found].filter((entry): entry is [string, string] => entry[1] !== undefined));
  const complete: CompletePort[] = [];
  for (const port of ports) {
    const own = ownedByCloud(port.device_owner ?? '');
    const enabled = own ? false : (port.port_security_enabled ?? networks.get(port.network_id)!.port_security_enabled);
    const hasIp = port.fixed_ips === undefined || port.fixed_ips.length > 0;
    if (!enabled && !own) refuseFilters(port);
    if (enabled && port.security_groups === undefined && !defaults.has(port.project_id)) {
      defaults.set(port.project_id, await ensureDefaultGroup(tx, port.project_id));
    }
    if (enabled && (port.security_groups?.length ?? 0) > 0 && !hasIp) {
      // Neutron asks for an address before it filters a port.
      throw new CloudError('invalid', 'port_security_and_ip_required_for_security_groups', {});
    }
    const groups = enabled ? (port.security_groups ?? [defaults.get(port.project_id)!]) : [];
    complete.push({ ...port, id: newId<PortId>(), port_security_enabled: enabled, security_groups: groups });
  }
  return complete;
}

function refuseFilters(port: NewPort): void {
  if ((port.security_groups?.length ?? 0) > 0) {
    throw new CloudError('invalid', 'port_security_and_ip_required_for_security_groups', {});
  }
  if ((port.allowed_address_pairs?.length ?? 0) > 0) {
    throw new CloudError('conflict', 'address_pair_and_port_security_required', {});
  }
}

/** Of those that name a host on a routed network. */
async function findHomes(tx: Tx, ports: readonly CompletePort[], networks: PortGround['networks']): Promise<void> {
  for (const port of ports) {
    if (!port.binding_host || !isRouted(networks.get(port.network_id)!.subnets)) continue;
    port.segment_id = await homeOn(tx, port.network_id, port.binding_host);
  }
}

interface Draft {
  /** It gets its addresses with its host. */
  deferred: boolean;
  port: CompletePort;
  row: { id: PortId; network_id: string; mac: string };
  wants: IpWant[];
}

/** @throws CloudError `invalid` */
export function checkAddressCount(count: number): void {
  if (count > portLimits.fixedIps)
    throw new CloudError('invalid', 'too_many_fixed_ips', { maximum: portLimits.fixedIps });
}

function draft(port: CompletePort, network: NetworkFacts): Draft {
  const row = { id: port.id, network_id: network.id, mac: port.mac ?? randomMac() };
  const deferred = port.fixed_ips === undefined && port.segment_id === undefined && isRouted(network.subnets);
  const wish = { ...port, mac: row.mac, device_owner: port.device_owner ?? '' };
  const plan = deferred ? [] : planAddresses(wish, network.subnets);
  checkAddressCount(plan.length);
  return { port, row, deferred, wants: plan.map((ip) => ({ ...ip, portId: row.id, networkId: network.id })) };
}

/** One statement: ports, the first tries of their addresses, their groups. What met something taken is left out. */
async function insertDrafts(tx: Tx, drafts: readonly Draft[]): Promise<{ ports: Set<string>; ips: TakenIp[] }> {
  const ports = drafts.map(({ port, row, deferred }) => ({
    id: row.id,
    project_id: port.project_id,
    network_id: row.network_id,
    name: port.name ?? '',
    description: port.description ?? '',
    mac: row.mac,
    admin_state_up: port.admin_state_up ?? true,
    device_id: port.device_id ?? '',
    device_owner: port.device_owner ?? '',
    port_security_enabled: port.port_security_enabled,
    allowed_address_pairs: port.allowed_address_pairs ?? [],
    extra_dhcp_opts: changedOptions([], port.extra_dhcp_opts ?? []),
    dns_name: port.dns_name ?? '',
    dns_domain: port.dns_domain ?? '',
    tags: checkTags(port.tags ?? []),
    binding_vnic_type: port.binding_vnic_type ?? 'normal',
    host_id: port.host_id ?? null,
    binding_host: port.binding_host ?? '',
    delete_with_device: port.delete_with_device ?? false,
    ip_deferred: deferred,
    qos_policy_id: port.qos_policy_id ?? null,
    propagate_uplink_status: port.propagate_uplink_status ?? true,
  }));
  const ips = firstTries(drafts.flatMap(({ wants }) => wants));
  const groups = drafts.flatMap(({ port, row }) =>
    [...new Set(port.security_groups)].map((id) => ({ port_id: row.id, security_group_id: id })),
  );
  const columns = sql.raw(
    'id, project_id, network_id, name, description, mac, admin_state_up, device_id, device_owner, port_security_enabled, allowed_address_pairs, extra_dhcp_opts, dns_name, dns_domain, tags, binding_vnic_type, host_id, binding_host, delete_with_device, ip_deferred, qos_policy_id, propagate_uplink_status',
  );
  const { rows } = await sql<{ ports: string[]; ips: TakenIp[] }>`
    with new_port as (
      insert into port (${columns})
      select ${columns} from jsonb_populate_recordset(null::port, ${JSON.stringify(ports)}::jsonb)
      on conflict (network_id, mac) do nothing returning id),
    new_ip as (
      insert into port_ip (port_id, subnet_id, network_id, ip, position)
      select i.port_id, i.subnet_id, i.network_id, i.ip, i.position
      from jsonb_populate_recordset(null::port_ip, ${JSON.stringify(ips)}::jsonb) i join new_port on new_port.id = i.port_id
      order by i.subnet_id, i.ip
      on conflict (subnet_id, ip) do nothing returning port_id, subnet_id, host(ip) as ip, position),
    new_group as (
      insert into port_security_group (port_id, security_group_id)
      select g.port_id, g.security_group_id
      from jsonb_populate_recordset(null::port_security_group, ${JSON.stringify(groups)}::jsonb) g
      join new_port on new_port.id = g.port_id)
    select coalesce((select array_agg(id) from new_port), '{}') as ports,
      coalesce((select jsonb_agg(new_ip) from new_ip), '[]') as ips`.execute(tx);
  return { ports: new Set(rows[0]!.ports), ips: rows[0]!.ips };
}

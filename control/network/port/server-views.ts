/** What others show or do with the ports of servers: read only, one query each. */
import { hash } from 'node:crypto';
import { type RawBuilder, sql } from 'kysely';
import { type DesiredFixedIp, type DesiredNetwork, type DesiredPort, nat64 } from '../../../contract/host/index.ts';
import { portLimits } from '../../../contract/host/limits.ts';
import type { HostId, NetworkId, PortId, ServerId } from '../../../contract/ids.ts';
import type { Queryable } from '../../kit/database/database.ts';
import { isOneOf } from '../../kit/database/one-of.ts';
import { domainOf } from '../domain.ts';

export interface ServerInterface {
  networkName: string;
  portId: string;
  mac: string;
  position: number;
  addresses: { ip: string; version: 4 | 6; type: 'fixed' | 'floating' }[];
  securityGroups: { id: string; name: string }[];
}

/** From a. */
const addressList = sql`json_agg(json_build_object('ip', host(a.ip), 'version', family(a.ip), 'type', a.type)
  order by a.type, a.position)`;

/** From g. */
const groupList = sql`json_agg(json_build_object('id', g.id, 'name', g.name) order by g.name, g.id)`;

/** From p. */
const addresses = sql`coalesce((select ${addressList}
  from (
    select i.ip, i.position, 'fixed' as type from port_ip i where i.port_id = p.id
    union all
    select f.floating_ip, i.position, 'floating' from floating_ip f
    left join port_ip i on i.port_id = p.id and i.ip = f.fixed_ip where f.port_id = p.id) a), '[]')`;

/** From p. */
const groups = sql`coalesce((select ${groupList}
  from port_security_group pg join security_group g on g.id = pg.security_group_id
  where pg.port_id = p.id), '[]')`;

const order = sql`order by sp.server_id, sp.position, p.id`;

function collect<T>(rows: readonly { server_id: ServerId; value: T }[]): Map<ServerId, T[]> {
  const found = new Map<ServerId, T[]>();
  for (const { server_id, value } of rows) {
    const list = found.get(server_id);
    if (list) list.push(value);
    else found.set(server_id, [value]);
  }
  return found;
}

/**
 * Ports of servers, in the order of the server's interfaces. A port belongs to a server because `server_port` says so,
 * which only compute writes: `device_id` is free text that a tenant may set to another's server.
 *
 * What hangs on them is read once for all of them: asked for at each port it took five times as long, where tables are
 * short enough to be read whole.
 */
export async function serverAddresses(
  db: Queryable,
  serverIds: readonly ServerId[],
): Promise<Map<ServerId, ServerInterface[]>> {
  if (serverIds.length === 0) return new Map();
  const { rows } = await sql<{ server_id: ServerId } & ServerInterface>`
    with asked as (select server_id, port_id, position from server_port where ${isOneOf(sql`server_id`, serverIds)}),
    addresses as (
      select port_id, ${addressList} as list from (
        select i.port_id, i.ip, i.position, 'fixed' as type from asked join port_ip i using (port_id)
        union all
        select f.port_id, f.floating_ip, i.position, 'floating' from asked join floating_ip f using (port_id)
        left join port_ip i on i.port_id = f.port_id and i.ip = f.fixed_ip) a
      group by port_id),
    groups as (
      select pg.port_id, ${groupList} as list from asked
      join port_security_group pg using (port_id) join security_group g on g.id = pg.security_group_id
      group by pg.port_id)
    select sp.server_id, n.name as "networkName", p.id as "portId", p.mac::text as mac, sp.position,
      coalesce(a.list, '[]') as addresses, coalesce(g.list, '[]') as "securityGroups"
    from asked sp join port p on p.id = sp.port_id join network n on n.id = p.network_id
    left join addresses a on a.port_id = p.id left join groups g on g.port_id = p.id ${order}`.execute(db);
  return collect(rows.map(({ server_id, ...value }) => ({ server_id, value })));
}

/** The same of one server as a value, for a statement that reads it as well. @param serverId a column of that statement */
export const interfacesOf = (serverId: RawBuilder<unknown>): RawBuilder<ServerInterface[]> => sql`(
  select coalesce(json_agg(json_build_object('networkName', n.name, 'portId', p.id, 'mac', p.mac::text,
    'position', sp.position, 'addresses', ${addresses}, 'securityGroups', ${groups}) order by sp.position, p.id), '[]')
  from server_port sp join port p on p.id = sp.port_id join network n on n.id = p.network_id
  where sp.server_id = ${serverId})`;

/** A server's ports in its document. */
export interface DesiredPorts {
  ports: DesiredPort[];
  /** Of all that is in them; '' where there are none. */
  stamp: string;
}

/** The same without the ports. */
export interface PortStamp {
  stamp: string;
  ports: PortId[];
  networks: NetworkId[];
}

/**
 * What a port's part of the document is made from, from p, n, sp and `fixed`. A subnet has many columns and many ports: which transaction
 * wrote its row says as much; that of a restored dump means nothing, and is of another incarnation.
 */
const portFacts = sql<string>`concat_ws(' ', p.id, p.network_id, p.mac, n.mtu, sp.position, fixed.facts, sp.tag)`;
const subnetFacts = sql`string_agg(concat_ws(' ', i.ip, i.subnet_id, s.xmin), ' ' order by i.position)`;

export async function desiredPorts(
  db: Queryable,
  serverIds: readonly ServerId[],
): Promise<Map<ServerId, DesiredPorts>> {
  if (serverIds.length === 0) return new Map();
  const { rows } = await sql<{ server_id: ServerId; facts: string; tag: string | null } & Omit<DesiredPort, 'tag'>>`
    select sp.server_id, p.id, p.network_id as "networkId", p.mac::text as mac, n.mtu, sp.position as slot, sp.tag, ${portFacts} as facts,
      coalesce(fixed.ips, '[]') as "fixedIps"
    from server_port sp join port p on p.id = sp.port_id join network n on n.id = p.network_id
    cross join lateral (select ${subnetFacts} as facts,
        jsonb_agg(jsonb_build_object('ip', host(i.ip), 'subnetId', s.id, 'ipVersion', s.ip_version,
          'prefixLength', masklen(s.cidr), 'gateway', host(s.gateway_ip), 'dnsNameservers', s.dns_nameservers,
          'ipv6AddressMode', s.ipv6_address_mode, 'dhcp', s.enable_dhcp,
          'hostRoutes', s.host_routes) order by i.position) as ips
      from port_ip i join subnet s on s.id = i.subnet_id where i.port_id = p.id) fixed
    where ${isOneOf(sql`sp.server_id`, serverIds)} ${order}`.execute(db);
  const all = collect(
    rows.map(({ server_id, facts, fixedIps, tag, ...port }) => ({
      server_id,
      value: { facts, port: { ...port, ...(tag !== null && { tag }), fixedIps: fixedIps as DesiredFixedIp[] } },
    })),
  );
  const stampOf = (facts: string) => hash('md5', facts).slice(0, 16);
  return new Map(
    [...all].map(([id, each]) => [
      id,
      { ports: each.map(({ port }) => port), stamp: stampOf(each.map(({ facts }) => facts).join(',')) },
    ]),
  );
}

export async function portStamps(db: Queryable, serverIds: readonly ServerId[]): Promise<Map<ServerId, PortStamp>> {
  if (serverIds.length === 0) return new Map();
  const inOrder = sql`order by sp.position, p.id`;
  const { rows } = await sql<{ all: ({ server: ServerId } & PortStamp)[] }>`
    select coalesce(json_agg(each), '[]') as all from (
      select sp.server_id as server, json_agg(p.id ${inOrder}) as ports, json_agg(p.network_id ${inOrder}) as networks,
        left(md5(string_agg(${portFacts}, ',' ${inOrder})), 16) as stamp
      from server_port sp join port p on p.id = sp.port_id join network n on n.id = p.network_id
      cross join lateral (select ${subnetFacts} as facts
        from port_ip i join subnet s on s.id = i.subnet_id where i.port_id = p.id) fixed
      where ${isOneOf(sql`sp.server_id`, serverIds)} group by sp.server_id) each`.execute(db);
  return new Map(rows[0]!.all.map(({ server, ...stamp }) => [server, stamp]));
}

const ipsOf = sql`(select jsonb_agg(host(i.ip) order by i.position) from port_ip i where i.port_id = p.id) as ips`;

/** A name and its domain, without a dot at the end; one with a dot is whole as it is. */
const wholeName = (name: RawBuilder<unknown>, domain: RawBuilder<unknown>) =>
  sql`case when ${name} like '%.' then rtrim(${name}, '.') else ${name} || '.' || rtrim(${domain}, '.') end`;

/**
 * What the resolvers of network `own` answer: its ports, by their own domain first (a reverse look-up has the first name), then by the network's,
 * which guests search; then the floating IPs of its project.
 */
const hostsOf = sql`coalesce((
  select jsonb_agg(jsonb_build_object('name', named.name, 'ips', named.ips) order by named.rank, named.id) from (
    (select 0 as rank, p.id, ${wholeName(sql`p.dns_name`, sql`coalesce(nullif(p.dns_domain, ''), own.domain)`)} as name, ${ipsOf}
      from port p where p.network_id = n.id and p.dns_name <> '' order by p.id limit ${portLimits.networkHosts})
    union all (select 1, p.id, ${wholeName(sql`p.dns_name`, sql`own.domain`)}, ${ipsOf}
      from port p where p.network_id = n.id and p.dns_name <> '' and p.dns_domain <> '' and p.dns_name not like '%.'
      order by p.id limit ${portLimits.networkHosts})
    union all (select 2, f.id, ${wholeName(sql`f.dns_name`, sql`f.dns_domain`)}, jsonb_build_array(host(f.floating_ip))
      from floating_ip f where f.project_id = own.project_id and f.dns_name <> '' and (f.dns_domain <> '' or f.dns_name like '%.')
      order by f.id limit ${portLimits.networkHosts})) named
  where named.ips is not null), '[]')`;

/**
 * Where guests without IPv4 reach it through a router all the same: network `n` has no IPv4 subnet, and a router with NAT64. Null elsewhere: a
 * guest that has IPv4 goes straight.
 */
const dns64Of = sql`(select ${nat64.prefix}::text where not exists (select from subnet s where s.network_id = n.id and s.ip_version = 4)
  and exists (select from port p join router r on r.id::text = p.device_id
    where p.network_id = n.id and p.device_owner like 'network:router_interface%' and r.nat64))`;

/** The ports, and those that they carry, of servers on their way to the hosts: they have their networks before them. */
const comingPorts = (hostIds: readonly HostId[]) => sql`
  select m.other_host_id as host_id, p.network_id as id from server_migration m join server_port sp on sp.server_id = m.server_id
    left join trunk t on t.port_id = sp.port_id left join subport c on c.trunk_id = t.id
    join port p on p.id in (sp.port_id, c.port_id)
  where ${isOneOf(sql`m.other_host_id`, hostIds)} and m.phase in ('preparing', 'copying', 'handing-over')`;

/**
 * By host the networks that have a server's port bound to it, or on its way there, each with its metadata port and the names on it. From the hosts' ports on: every
 * host asks this once a minute, and what it costs must be the host's, not the cloud's. A network of several of them is read once, and is one value: a large one has
 * thousands of names, and a change on it concerns all of its hosts.
 */
export async function networksOfHosts(
  db: Queryable,
  hostIds: readonly HostId[],
): Promise<ReadonlyMap<HostId, DesiredNetwork[]>> {
  const { rows } = await sql<{ hosts: HostId[]; network: DesiredNetwork }>`
    with here as materialized (select distinct p.host_id, p.network_id as id from port p
      cross join lateral (select from server_port sp where sp.port_id = p.id
        union all select from subport s where s.port_id = p.id limit 1) taken where ${isOneOf(sql`p.host_id`, hostIds)}
      union ${comingPorts(hostIds)})
    select n.hosts, json_build_object('id', n.id, 'projectId', own.project_id, 'mtu', own.mtu, 'metadataPort', metadata.port,
      'names', jsonb_strip_nulls(jsonb_build_object('domain', own.domain, 'dns64', ${dns64Of}, 'hosts', ${hostsOf}))) as network
    from (select id, json_agg(host_id) as hosts from here group by id) n
    cross join lateral (select mtu, project_id, ${domainOf(sql`dns_domain`)} as domain from network where id = n.id limit 1) own
    cross join lateral (
      select jsonb_build_object('id', m.id, 'mac', m.mac::text, 'ips',
        coalesce((select jsonb_agg(host(i.ip) || '/' || masklen(s.cidr) order by s.id)
          from port_ip i join subnet s on s.id = i.subnet_id
          where i.port_id = m.id and s.ip_version = 4), '[]')) as port
      from port m where m.network_id = n.id and m.device_owner = 'network:distributed' and m.device_id = 'ovnmeta-' || n.id
      limit 1) metadata
    order by n.id`.execute(db);
  const byHost = new Map<HostId, DesiredNetwork[]>(hostIds.map((id) => [id, []]));
  for (const { hosts, network } of rows) for (const id of hosts) byHost.get(id)!.push(network);
  return byHost;
}

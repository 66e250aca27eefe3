/** Reads the truth for the projection: what the given units need, and no more. SQL only. */
import { type RawBuilder, sql } from 'kysely';
import type { Queryable } from '../../kit/database/database.ts';
import { isOneOf } from '../../kit/database/one-of.ts';
import { domainOf } from '../domain.ts';
import { type MeteringMatch, prefixesOf } from '../metering-label/prefixes.ts';
import { meteredOf } from '../metering-label/use.ts';
import { localIpOwner } from '../port/local-ip-port.ts';
import { qosRulesOf } from '../qos-policy/use.ts';
import type { HostSet } from './intent/gateway.ts';
import {
  type AddressGroupRow,
  type FloatingIpRow,
  IndexedModel,
  type LocalIpRow,
  type NetworkRow,
  type PortForwardingRow,
  type PortRow,
  type RouterRow,
  type SecurityGroupRow,
  type SubnetRow,
} from './model.ts';
import { idForm, idOf, kindOf, type Unit, type UnitKind, unit } from './units.ts';
import type { Touched } from './wakes.ts';

/** @param hosts as the projection sees them; read once for all, see hosts.ts */
export async function loadModel(db: Queryable, units: readonly Unit[], hosts: HostSet): Promise<IndexedModel> {
  const ids = (kind: UnitKind) => units.filter((name) => kindOf(name) === kind && idForm.test(idOf(name))).map(idOf);
  const routerIds = ids('router');
  const [routers, floatingIps, portForwardings, securityGroups, addressGroups, localIps] = await Promise.all([
    loadRouters(db, routerIds),
    loadFloatingIps(db, routerIds),
    loadPortForwardings(db, routerIds),
    loadSecurityGroups(db, ids('security_group')),
    loadAddressGroups(db, ids('address_group')),
    loadLocalIps(db, { networks: ids('network'), hosts: ids('host') }),
  ]);
  const ports = await loadPorts(db, { ports: ids('port'), routers: routerIds, networks: ids('network'), floatingIps });
  const needed = [
    ...new Set([
      ...ids('network'),
      ...ports.map((port) => port.network_id),
      ...floatingIps.map((floating) => floating.floating_network_id),
    ]),
  ];
  const [networks, subnets] = await Promise.all([loadNetworks(db, needed), loadSubnets(db, needed)]);
  return new IndexedModel({
    ...{
      networks,
      subnets,
      ports,
      routers,
      floatingIps,
      portForwardings,
      securityGroups,
      addressGroups,
      localIps,
      hosts,
    },
  });
}

export async function loadNetworks(db: Queryable, ids: readonly string[]): Promise<NetworkRow[]> {
  if (ids.length === 0) return [];
  const { rows } = await sql<NetworkRow>`
    select id, project_id, name, admin_state_up, external, mtu, ${domainOf(sql`dns_domain`)} as domain, provider_network_type, provider_physical_network, provider_segmentation_id,
      coalesce((select json_agg(json_build_object('id', s.id, 'network_type', s.network_type, 'physical_network', s.physical_network,
          'segmentation_id', s.segmentation_id) order by s.position)
        from segment s where s.network_id = network.id and exists (
          select from segment f where f.network_id = network.id and f.position < s.position)), '[]') as further_segments
    from network where ${isOneOf(sql`id`, ids)}`.execute(db);
  return rows;
}

export async function loadSubnets(db: Queryable, networks: readonly string[]): Promise<SubnetRow[]> {
  if (networks.length === 0) return [];
  const { rows } = await sql<SubnetRow>`
    select id, network_id, ip_version, cidr::text, host(gateway_ip) as gateway_ip, enable_dhcp, ipv6_address_mode,
      ipv6_ra_mode, dns_nameservers, host_routes,
      (select p.address_scope_id from subnet_pool p where p.id = subnet.subnet_pool_id) as address_scope_id
    from subnet where ${isOneOf(sql`network_id`, networks)}`.execute(db);
  return rows;
}

interface WantedPorts {
  ports: readonly string[];
  routers: readonly string[];
  networks: readonly string[];
  floatingIps: readonly FloatingIpRow[];
}

async function loadPorts(db: Queryable, wanted: WantedPorts): Promise<PortRow[]> {
  const inside = wanted.floatingIps.flatMap(({ port_id }) => port_id ?? []);
  const [{ ports, routers, networks }, named] = [wanted, [...wanted.ports, ...inside]];
  // Only what is asked for: the plan for all kinds takes longer to make than one port to be found.
  const chosen = [
    named.length > 0 && isOneOf(sql`id`, named),
    routers.length > 0 &&
      sql`${isOneOf(sql`device_id`, routers, 'text')} and device_owner like 'network:router%' and device_id <> ''`,
    networks.length > 0 && sql`${isOneOf(sql`network_id`, networks)} and device_owner = 'network:distributed'`,
    ports.length > 0 &&
      sql`id in (select service.id from port asks join port service on service.network_id = asks.network_id
            and service.device_owner = 'network:distributed'
          where ${isOneOf(sql`asks.id`, ports)} and asks.extra_dhcp_opts <> '[]')`,
  ].filter((condition) => condition !== false);
  if (chosen.length === 0) return [];
  const either = chosen.map((condition) => sql`select id from port where ${condition}`);
  return selectPorts(db, sql`id in (${sql.join(either, sql` union `)})`);
}

const qosOfNetwork = (networkId: RawBuilder<unknown>) =>
  sql`(select of.qos_policy_id from network of where of.id = ${networkId})`;
const qosOfPort = sql`coalesce(port.qos_policy_id,
  case when port.device_owner not like 'network:%' then ${qosOfNetwork(sql`port.network_id`)} end)`;

/** @param condition of table `port` */
export async function selectPorts(db: Queryable, condition: RawBuilder<unknown>): Promise<PortRow[]> {
  const { rows } = await sql<PortRow>`
    select id, network_id, name, mac::text, admin_state_up, device_id, device_owner, port_security_enabled,
      allowed_address_pairs, extra_dhcp_opts, dns_name, host_id, migrating_to, observed_up, card_limits, ${qosRulesOf(qosOfPort)} as qos_rules,
      coalesce((select json_agg(json_build_object('subnet_id', subnet_id, 'ip', host(ip)) order by position, ip)
        from port_ip where port_id = port.id), '[]') as ips,
      array(select security_group_id::text from port_security_group where port_id = port.id order by 1)
        as security_group_ids,
      (select json_build_object('parent', trunk.port_id, 'tag', s.segmentation_id)
        from subport s join trunk on trunk.id = s.trunk_id where s.port_id = port.id) as carried,
      exists (select from local_ip where local_port_id = port.id) as has_local_ip
    from port where ${condition}`.execute(db);
  return rows;
}

export async function loadRouters(db: Queryable, ids: readonly string[]): Promise<RouterRow[]> {
  if (ids.length === 0) return [];
  const { rows } = await sql<Omit<RouterRow, 'metered'> & { metered: MeteringMatch[] }>`
    select id, name, admin_state_up, gateway_network_id, enable_snat, default_route_ecmp, nat64, distributed, ha, availability_zone_hints, routes,
      coalesce((select json_agg(json_build_object('id', x.id, 'ip', host(x.ip_address)) order by x.id)
        from ndp_proxy x where x.router_id = router.id and router.ndp_proxy), '[]') as ndp_proxies,
      ${meteredOf(sql`router.project_id`)} as metered,
      ${qosRulesOf(sql`coalesce(router.gateway_qos_policy_id, ${qosOfNetwork(sql`router.gateway_network_id`)})`)} as gateway_qos_rules
    from router where ${isOneOf(sql`id`, ids)}`.execute(db);
  return rows.map((row) => ({ ...row, metered: row.metered.map(prefixesOf) }));
}

const qosOfFloatingIp = sql`coalesce(floating_ip.qos_policy_id, ${qosOfNetwork(sql`floating_ip.floating_network_id`)})`;

async function loadFloatingIps(db: Queryable, routers: readonly string[]): Promise<FloatingIpRow[]> {
  if (routers.length === 0) return [];
  const { rows } = await sql<FloatingIpRow>`
    select floating_ip.id, floating_network_id, port.mac::text as floating_port_mac, host(floating_ip) as floating_ip,
      floating_ip.port_id, host(fixed_ip) as fixed_ip, router_id,
      ${qosRulesOf(qosOfFloatingIp)} as qos_rules
    from floating_ip join port on port.id = floating_port_id
    where router_id is not null and floating_ip.port_id is not null and ${isOneOf(sql`router_id`, routers)}`.execute(
    db,
  );
  return rows;
}

async function loadPortForwardings(db: Queryable, routers: readonly string[]): Promise<PortForwardingRow[]> {
  if (routers.length === 0) return [];
  const { rows } = await sql<PortForwardingRow>`
    select f.id, f.floating_ip_id, host(floating_ip.floating_ip) as floating_ip, f.router_id, f.protocol, f.external_first,
      f.external_last, host(f.fixed_ip) as fixed_ip, f.internal_first, f.internal_last, ${qosRulesOf(qosOfFloatingIp)} as qos_rules
    from port_forwarding f join floating_ip on floating_ip.id = f.floating_ip_id
    where ${isOneOf(sql`f.router_id`, routers)}`.execute(db);
  return rows;
}

export async function loadSecurityGroups(db: Queryable, ids: readonly string[]): Promise<SecurityGroupRow[]> {
  if (ids.length === 0) return [];
  const { rows } = await sql<SecurityGroupRow>`
    select id, name, stateful, coalesce((
      select json_agg(json_build_object('id', id, 'direction', direction, 'ethertype', ethertype, 'protocol', protocol,
        'port_range_min', port_range_min, 'port_range_max', port_range_max, 'remote_group_id', remote_group_id,
        'remote_ip_prefix', normalized_cidr::text, 'remote_address_group_id', remote_address_group_id) order by id)
      from security_group_rule where security_group_id = security_group.id), '[]') as rules
    from security_group where ${isOneOf(sql`id`, ids)}`.execute(db);
  return rows;
}

export async function loadAddressGroups(db: Queryable, ids: readonly string[]): Promise<AddressGroupRow[]> {
  if (ids.length === 0) return [];
  const { rows } = await sql<AddressGroupRow>`select id, name, addresses::text[] as addresses
    from address_group where ${isOneOf(sql`id`, ids)}`.execute(db);
  return rows;
}

/** Those of the networks, and those that lead to ports of the hosts; of either with all that they lead to. */
async function loadLocalIps(
  db: Queryable,
  wanted: { networks: readonly string[]; hosts: readonly string[] },
): Promise<LocalIpRow[]> {
  const { networks, hosts } = wanted;
  if (networks.length === 0 && hosts.length === 0) return [];
  return selectLocalIps(
    db,
    sql`${isOneOf(sql`l.network_id`, networks)} or l.id = any(array(select a.local_ip_id
      from port on_host join local_ip_association a on a.fixed_port_id = on_host.id where ${isOneOf(sql`on_host.host_id`, hosts)}))`,
  );
}

/** @param condition of table `local_ip` as `l` */
export async function selectLocalIps(db: Queryable, condition: RawBuilder<unknown>): Promise<LocalIpRow[]> {
  const { rows } = await sql<LocalIpRow>`
    select l.id, l.network_id, host(l.local_ip_address) as ip, l.ip_mode, p.device_owner = ${localIpOwner} as has_own_port,
      coalesce((select json_agg(json_build_object('port_id', a.fixed_port_id, 'ip', host(a.fixed_ip), 'host_id', to_port.host_id)
          order by a.fixed_port_id)
        from local_ip_association a join port to_port on to_port.id = a.fixed_port_id where a.local_ip_id = l.id), '[]') as leads_to
    from local_ip l join port p on p.id = l.local_port_id where ${condition}`.execute(db);
  return rows;
}

type Named = { kind: UnitKind; id: string };

/** For questions that are asked of no project in particular. */
const everyone: readonly string[] = ['everyone'];

/** Names the units that a change touches only by way of others. None of the questions waits for another: what is asked for waits for all of them. */
export async function expand(db: Queryable, touched: Touched): Promise<Set<Unit>> {
  const ids = (set: ReadonlySet<string>) => [...set].filter((id) => idForm.test(id));
  const named = await Promise.all([
    portsOf(db, ids(touched.portsOfNetworks), sql`true`),
    portsOf(db, ids(touched.dhcpPortsOfNetworks), sql`extra_dhcp_opts <> '[]'`),
    routersOf(
      db,
      ids(touched.routersOfNetworks),
      (networks) => sql`select device_id as id from port
      where ${isOneOf(sql`network_id`, networks)} and device_owner like 'network:router%'`,
    ),
    routersOf(
      db,
      ids(touched.routersOfSubnetPools),
      (pools) => sql`select p.device_id as id
      from subnet s join port p on p.network_id = s.network_id and p.device_owner like 'network:router%'
      where ${isOneOf(sql`s.subnet_pool_id`, pools)}`,
    ),
    routersOf(
      db,
      touched.routersOfAllProjects ? everyone : ids(touched.routersOfProjects),
      (projects) =>
        sql`select id from router where ${projects === everyone ? sql`true` : isOneOf(sql`project_id`, projects)}`,
    ),
    leadingTo(db, ids(touched.leadingToPorts)),
    routersOf(
      db,
      ids(touched.routersOfForwardingIps),
      (floatingIps) => sql`select router_id as id from port_forwarding
      where ${isOneOf(sql`floating_ip_id`, floatingIps)}`,
    ),
    keepersOf(db, ids(touched.keepersOfQosPolicies)),
    servicesOf(db, ids(touched.servicePorts)),
  ]);
  const units = new Set([...touched.units, ...named.flat().map(({ kind, id }) => unit(kind, id))]);
  for (const name of units) if (kindOf(name) !== 'cloud' && !idForm.test(idOf(name))) units.delete(name);
  return units;
}

async function portsOf(db: Queryable, networks: readonly string[], which: RawBuilder<unknown>): Promise<Named[]> {
  if (networks.length === 0) return [];
  const { rows } = await sql<{ id: string }>`select id from port
    where ${isOneOf(sql`network_id`, networks)} and ${which}`.execute(db);
  return rows.map(({ id }) => ({ kind: 'port', id }));
}

/** @param query of their ids, which may be there more than once */
async function routersOf(
  db: Queryable,
  by: readonly string[],
  query: (by: readonly string[]) => RawBuilder<unknown>,
): Promise<Named[]> {
  if (by.length === 0) return [];
  const { rows } = await sql<{ id: string }>`select distinct id from (${query(by)}) found`.execute(db);
  return rows.map(({ id }) => ({ kind: 'router', id }));
}

/** Routers by whose floating IPs one comes to these ports, and hosts on which one does by a local IP. */
async function leadingTo(db: Queryable, ports: readonly string[]): Promise<Named[]> {
  if (ports.length === 0) return [];
  const { rows } = await sql<Named>`
    select 'router' as kind, router_id as id from floating_ip where ${isOneOf(sql`port_id`, ports)} and router_id is not null
    union select 'host', p.host_id from local_ip_association a join port p on p.id = a.fixed_port_id
      where ${isOneOf(sql`a.fixed_port_id`, ports)} and p.host_id is not null`.execute(db);
  return rows;
}

/** What these ports are part of, where they are the cloud's own. */
async function servicesOf(db: Queryable, ports: readonly string[]): Promise<Named[]> {
  if (ports.length === 0) return [];
  const { rows } = await sql<Named>`
    select case device_owner when 'network:distributed' then 'network' else 'router' end as kind,
      case device_owner when 'network:distributed' then network_id::text else device_id end as id
    from port where ${isOneOf(sql`id`, ports)}
      and (device_owner = 'network:distributed' or device_owner like 'network:router%')`.execute(db);
  return rows;
}

/** Whatever keeps to one of the policies: by itself, or by the network that it is on. */
async function keepersOf(db: Queryable, policies: readonly string[]): Promise<Named[]> {
  if (policies.length === 0) return [];
  const keeps = (column: string) => isOneOf(sql.ref(column), policies);
  const networks = sql`select id from network where ${keeps('network.qos_policy_id')}`;
  const { rows } = await sql<Named>`select 'port' as kind, id from port where ${keeps('port.qos_policy_id')}
    union select 'port', id from port where network_id in (${networks}) and qos_policy_id is null
    union select 'router', id from router where ${keeps('router.gateway_qos_policy_id')}
    union select 'router', router_id from floating_ip where ${keeps('floating_ip.qos_policy_id')} and router_id is not null
    union select 'router', f.router_id from floating_ip join port_forwarding f on f.floating_ip_id = floating_ip.id
      where ${keeps('floating_ip.qos_policy_id')}
    union select 'router', device_id::uuid from port where network_id in (${networks}) and device_owner = 'network:router_gateway'`.execute(
    db,
  );
  return rows;
}

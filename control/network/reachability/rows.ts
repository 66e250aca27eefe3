/** The statements that rows of the ground are read by, for as many questions as there are. SQL only; load.ts knows which are needed. */
import { sql } from 'kysely';
import type { Queryable } from '../../kit/database/database.ts';
import { isOneOf } from '../../kit/database/one-of.ts';
import {
  loadAddressGroups,
  loadNetworks,
  loadRouters,
  loadSecurityGroups,
  loadSubnets,
  selectLocalIps,
  selectPorts,
} from '../ovn/load.ts';
import type {
  AddressGroupRow,
  LocalIpRow,
  NetworkRow,
  PortRow,
  RouterRow,
  SecurityGroupRow,
  SubnetRow,
} from '../ovn/model.ts';
import type { FloatingIpGround } from './ground.ts';
import { Joined, type Wanted } from './joined.ts';
import type { HostGround } from './whereabouts.ts';

type FloatingIpRow = FloatingIpGround & { floating_port_id: string };

export class GroundReader {
  readonly ports: Joined<'ids', PortRow>;
  /** On external networks. */
  readonly portsOutside: Joined<'addresses', PortRow>;
  readonly routerPorts: Joined<'routers', PortRow>;
  /** Who has one of the addresses on one of the subnets, and who on one of the networks may take addresses beside its own. */
  readonly owners: Joined<'subnets' | 'addresses' | 'networks', PortRow>;
  readonly members: Joined<'groups' | 'addresses', PortRow>;
  /** Of a port, or whose own it is. */
  readonly floatingIps: Joined<'ports', FloatingIpRow>;
  readonly localIps: Joined<'networks' | 'addresses', LocalIpRow>;
  readonly networks: Joined<'ids', NetworkRow>;
  readonly subnets: Joined<'networks', SubnetRow>;
  readonly routers: Joined<'ids', RouterRow>;
  readonly routersOn: Joined<'networks', { id: string; network_id: string }>;
  readonly securityGroups: Joined<'ids', SecurityGroupRow>;
  readonly addressGroups: Joined<'ids', AddressGroupRow>;
  readonly #db: Queryable;
  #hosts: Promise<readonly HostGround[]> | undefined;

  constructor(db: Queryable) {
    this.#db = db;
    const isIn = (row: { id: string }, { ids }: { ids: ReadonlySet<string> }) => ids.has(row.id);
    const has = ({ ips }: PortRow, addresses: ReadonlySet<string>) => ips.some(({ ip }) => addresses.has(ip));
    this.ports = new Joined(({ ids }) => selectPorts(db, isOneOf(sql`id`, ids)), isIn);
    this.portsOutside = new Joined(
      ({ addresses }) => selectPorts(db, outsideWith(addresses)),
      (port, { addresses }) => has(port, addresses),
    );
    this.routerPorts = new Joined(
      ({ routers }) => selectPorts(db, ofRouters(routers)),
      ({ device_id }, { routers }) => routers.has(device_id),
    );
    this.owners = new Joined(
      (wanted) => selectPorts(db, owning(wanted)),
      (port, { subnets, addresses, networks }) =>
        port.ips.some(({ subnet_id, ip }) => subnets.has(subnet_id) && addresses.has(ip)) ||
        (port.allowed_address_pairs.length > 0 && networks.has(port.network_id)),
    );
    this.members = new Joined(
      (wanted) => selectPorts(db, inGroups(wanted)),
      (port, { groups, addresses }) => port.security_group_ids.some((id) => groups.has(id)) && has(port, addresses),
    );
    this.floatingIps = new Joined(
      ({ ports }) => loadFloatingIps(db, ports),
      ({ port_id, floating_port_id }, { ports }) => ports.has(floating_port_id) || ports.has(port_id ?? ''),
    );
    this.localIps = new Joined(
      ({ networks, addresses }) =>
        selectLocalIps(
          db,
          sql`${isOneOf(sql`l.network_id`, networks)} and ${isOneOf(sql`l.local_ip_address`, addresses, 'inet')}`,
        ),
      ({ network_id, ip }, { networks, addresses }) => networks.has(network_id) && addresses.has(ip),
    );
    const ofNetwork = (row: { network_id: string }, { networks }: { networks: ReadonlySet<string> }) =>
      networks.has(row.network_id);
    this.networks = new Joined(({ ids }) => loadNetworks(db, ids), isIn);
    this.subnets = new Joined(({ networks }) => loadSubnets(db, networks), ofNetwork);
    this.routers = new Joined(({ ids }) => loadRouters(db, ids), isIn);
    this.routersOn = new Joined(({ networks }) => loadRoutersOn(db, networks), ofNetwork);
    this.securityGroups = new Joined(({ ids }) => loadSecurityGroups(db, ids), isIn);
    this.addressGroups = new Joined(({ ids }) => loadAddressGroups(db, ids), isIn);
  }

  /** All of them, and what they carry. */
  hosts(): Promise<readonly HostGround[]> {
    this.#hosts ??= sql<HostGround>`select id, physical_networks from host`.execute(this.#db).then(({ rows }) => rows);
    return this.#hosts;
  }
}

const outsideWith = (addresses: readonly string[]) =>
  sql`id in (select i.port_id from port_ip i join subnet s on s.id = i.subnet_id join network n on n.id = s.network_id
    where n.external and ${isOneOf(sql`i.ip`, addresses, 'inet')})`;

const ofRouters = (ids: readonly string[]) =>
  sql`${isOneOf(sql`device_id`, ids, 'text')} and device_owner like 'network:router%' and device_id <> ''`;

const owning = ({ subnets, addresses, networks }: Wanted<'subnets' | 'addresses' | 'networks'>) =>
  sql`id = any(array(select i.port_id from port_ip i where ${isOneOf(sql`i.subnet_id`, subnets)}
      and ${isOneOf(sql`i.ip`, addresses, 'inet')}))
    or (${isOneOf(sql`network_id`, networks)} and allowed_address_pairs <> '[]')`;

const inGroups = ({ groups, addresses }: Wanted<'groups' | 'addresses'>) =>
  sql`id in (select g.port_id from port_security_group g join port_ip i on i.port_id = g.port_id
    where ${isOneOf(sql`g.security_group_id`, groups)} and ${isOneOf(sql`i.ip`, addresses, 'inet')})`;

async function loadFloatingIps(db: Queryable, ports: readonly string[]): Promise<FloatingIpRow[]> {
  const { rows } = await sql<FloatingIpRow>`
    select id, floating_network_id, host(floating_ip) as floating_ip, floating_port_id, port_id, host(fixed_ip) as fixed_ip,
      coalesce(router_id, (select f.router_id from port_forwarding f where f.floating_ip_id = floating_ip.id limit 1)) as router_id,
      (select jsonb_agg(jsonb_build_object('protocol', f.protocol, 'external_first', f.external_first, 'external_last', f.external_last,
        'port_id', f.port_id, 'fixed_ip', host(f.fixed_ip), 'internal_first', f.internal_first, 'internal_last', f.internal_last))
        from port_forwarding f where f.floating_ip_id = floating_ip.id) as forwardings
    from floating_ip where ${isOneOf(sql`port_id`, ports)} or ${isOneOf(sql`floating_port_id`, ports)}`.execute(db);
  return rows;
}

async function loadRoutersOn(db: Queryable, networks: readonly string[]) {
  const { rows } = await sql<{ id: string; network_id: string }>`
    select distinct device_id as id, network_id from port
    where ${isOneOf(sql`network_id`, networks)} and device_owner like 'network:router%'`.execute(db);
  return rows;
}

/**
 * The part of the truth that the projection reads, in the shape of its rows. A model holds what the units at hand need;
 * the intent functions are pure functions of it.
 */

import type { LocalIpMode } from '../local-ip/tables.ts';
import type { MeteredPrefixes } from '../metering-label/prefixes.ts';
import type { CardLimits, DhcpOption } from '../port/tables.ts';
import type { QosRule } from '../qos-policy/rule.ts';
import type { Rule } from '../security-group/rules.ts';
import { HostSet } from './intent/gateway.ts';

export interface NetworkRow {
  id: string;
  project_id: string;
  name: string;
  admin_state_up: boolean;
  external: boolean;
  mtu: number;
  /** Of its guests, as `domainOf` says it. */
  domain: string;
  provider_network_type: 'geneve' | 'flat' | 'vlan' | 'local';
  provider_physical_network: string | null;
  provider_segmentation_id: number | null;
  /** Beside its first, which the provider columns are; absent: none. */
  further_segments?: readonly SegmentRow[];
}

export interface SegmentRow {
  id: string;
  network_type: NetworkRow['provider_network_type'];
  physical_network: string | null;
  segmentation_id: number | null;
}

export type Ipv6Mode = 'slaac' | 'dhcpv6-stateful' | 'dhcpv6-stateless';

export interface SubnetRow {
  id: string;
  network_id: string;
  ip_version: 4 | 6;
  cidr: string;
  gateway_ip: string | null;
  enable_dhcp: boolean;
  ipv6_address_mode: Ipv6Mode | null;
  ipv6_ra_mode: Ipv6Mode | null;
  dns_nameservers: string[];
  host_routes: { destination: string; nexthop: string }[];
  /** Of the pool that its prefix is from. */
  address_scope_id: string | null;
}

export interface PortRow {
  id: string;
  network_id: string;
  name: string;
  mac: string;
  admin_state_up: boolean;
  device_id: string;
  device_owner: string;
  port_security_enabled: boolean;
  allowed_address_pairs: { ip_address: string; mac_address?: string | null }[];
  extra_dhcp_opts: DhcpOption[];
  /** '' where it has none. */
  dns_name: string;
  host_id: string | null;
  /** Its guest goes on there any moment now. */
  migrating_to: string | null;
  observed_up: boolean;
  card_limits: CardLimits;
  /** Of the policy that it keeps to: its own, or its network's. */
  qos_rules: QosRule[];
  /** In the order that the caller gave. */
  ips: { subnet_id: string; ip: string }[];
  security_group_ids: string[];
  /** Of a subport: the port whose card it is on, and the tag of its frames there. */
  carried: { parent: string; tag: number } | null;
  /** One of its addresses is a local IP. */
  has_local_ip: boolean;
}

/** With the ports that it leads to, wherever they are. */
export interface LocalIpRow {
  id: string;
  network_id: string;
  ip: string;
  ip_mode: LocalIpMode;
  /** Its port is there for it alone: where it leads nowhere, nobody has the address. */
  has_own_port: boolean;
  leads_to: LedTo[];
}

export interface LedTo {
  port_id: string;
  ip: string;
  /** Null: it is on none. */
  host_id: string | null;
}

export interface RouterRow {
  id: string;
  name: string;
  admin_state_up: boolean;
  gateway_network_id: string | null;
  enable_snat: boolean;
  default_route_ecmp: boolean;
  nat64: boolean;
  /** Addresses of guests for which its gateway answers neighbour solicitations; none where it shall not. */
  ndp_proxies: { id: string; ip: string }[];
  distributed: boolean;
  ha: boolean;
  availability_zone_hints: string[];
  /** Of the policy that its gateway keeps to. */
  gateway_qos_rules: QosRule[];
  /** What the rules of all labels that count on it name, whether they count it or leave it out. */
  metered: MeteredPrefixes[];
  routes: { destination: string; nexthop: string }[];
}

export interface FloatingIpRow {
  id: string;
  floating_network_id: string;
  floating_port_mac: string;
  floating_ip: string;
  port_id: string | null;
  fixed_ip: string | null;
  router_id: string | null;
  qos_rules: QosRule[];
}

/** With the addresses of its floating IP and of its port. */
export interface PortForwardingRow {
  id: string;
  floating_ip_id: string;
  floating_ip: string;
  router_id: string;
  protocol: 'tcp' | 'udp';
  external_first: number;
  external_last: number;
  fixed_ip: string;
  internal_first: number;
  internal_last: number;
  /** Of the policy that its floating IP keeps to. */
  qos_rules: QosRule[];
}

export interface SecurityGroupRow {
  id: string;
  name: string;
  stateful: boolean;
  rules: SecurityGroupRuleRow[];
}

export interface AddressGroupRow {
  id: string;
  name: string;
  addresses: string[];
}

export type SecurityGroupRuleRow = Omit<Rule, 'security_group_id' | 'description'> & { id: string };

export interface Model {
  networks: ReadonlyMap<string, NetworkRow>;
  /** By id. */
  subnets: ReadonlyMap<string, SubnetRow>;
  ports: ReadonlyMap<string, PortRow>;
  routers: ReadonlyMap<string, RouterRow>;
  floatingIps: ReadonlyMap<string, FloatingIpRow>;
  portForwardings: ReadonlyMap<string, PortForwardingRow>;
  securityGroups: ReadonlyMap<string, SecurityGroupRow>;
  addressGroups: ReadonlyMap<string, AddressGroupRow>;
  localIps: ReadonlyMap<string, LocalIpRow>;
  hosts: HostSet;
}

export interface ModelRows {
  networks?: readonly NetworkRow[];
  subnets?: readonly SubnetRow[];
  ports?: readonly PortRow[];
  routers?: readonly RouterRow[];
  floatingIps?: readonly FloatingIpRow[];
  portForwardings?: readonly PortForwardingRow[];
  securityGroups?: readonly SecurityGroupRow[];
  addressGroups?: readonly AddressGroupRow[];
  localIps?: readonly LocalIpRow[];
  hosts?: HostSet;
}

export class IndexedModel implements Model {
  readonly networks: ReadonlyMap<string, NetworkRow>;
  readonly subnets: ReadonlyMap<string, SubnetRow>;
  readonly ports: ReadonlyMap<string, PortRow>;
  readonly routers: ReadonlyMap<string, RouterRow>;
  readonly floatingIps: ReadonlyMap<string, FloatingIpRow>;
  readonly portForwardings: ReadonlyMap<string, PortForwardingRow>;
  readonly securityGroups: ReadonlyMap<string, SecurityGroupRow>;
  readonly addressGroups: ReadonlyMap<string, AddressGroupRow>;
  readonly localIps: ReadonlyMap<string, LocalIpRow>;
  readonly hosts: HostSet;
  readonly #subnetsOfNetwork: ReadonlyMap<string, SubnetRow[]>;
  readonly #portsOfDevice: ReadonlyMap<string, PortRow[]>;
  readonly #metadataPort: ReadonlyMap<string, PortRow>;
  readonly #floatingIpsOfRouter: ReadonlyMap<string, FloatingIpRow[]>;
  readonly #portForwardingsOfRouter: ReadonlyMap<string, PortForwardingRow[]>;

  constructor(rows: ModelRows) {
    this.networks = byId(rows.networks);
    this.subnets = byId(rows.subnets);
    this.ports = byId(rows.ports);
    this.routers = byId(rows.routers);
    this.floatingIps = byId(rows.floatingIps);
    this.portForwardings = byId(rows.portForwardings);
    this.securityGroups = byId(rows.securityGroups);
    this.addressGroups = byId(rows.addressGroups);
    this.localIps = byId(rows.localIps);
    this.hosts = rows.hosts ?? new HostSet([]);
    this.#subnetsOfNetwork = Map.groupBy(this.subnets.values(), (subnet) => subnet.network_id);
    this.#portsOfDevice = Map.groupBy(this.ports.values(), (port) => port.device_id);
    const metadata = [...this.ports.values()].filter((port) => port.device_owner === 'network:distributed');
    this.#metadataPort = new Map(metadata.map((port) => [port.network_id, port]));
    this.#floatingIpsOfRouter = Map.groupBy(this.floatingIps.values(), (floating) => floating.router_id ?? '');
    this.#portForwardingsOfRouter = Map.groupBy(this.portForwardings.values(), ({ router_id }) => router_id);
  }

  subnetsOf(networkId: string): readonly SubnetRow[] {
    return this.#subnetsOfNetwork.get(networkId) ?? [];
  }
  portsOfDevice(deviceId: string): readonly PortRow[] {
    return this.#portsOfDevice.get(deviceId) ?? [];
  }
  metadataPort(networkId: string): PortRow | undefined {
    return this.#metadataPort.get(networkId);
  }
  floatingIpsOf(routerId: string): readonly FloatingIpRow[] {
    return this.#floatingIpsOfRouter.get(routerId) ?? [];
  }
  portForwardingsOf(routerId: string): readonly PortForwardingRow[] {
    return this.#portForwardingsOfRouter.get(routerId) ?? [];
  }
}

/** Sorted by id, so that what follows from a model does not depend on the order of its rows. */
function byId<Row extends { id: string }>(rows: readonly Row[] | undefined): Map<string, Row> {
  return new Map([...(rows ?? [])].sort((a, b) => (a.id < b.id ? -1 : 1)).map((row) => [row.id, row]));
}

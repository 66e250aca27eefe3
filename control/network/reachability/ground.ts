/**
 * The rows that a question is decided on, found by what a packet knows: an address on a network, a router's routes. The rows are those that
 * OVN's are made of (../ovn/model.ts), so that the answer is about the same cloud; they never change.
 */
import { type Cidr, type Ip, parseCidr, parseIp, within } from '../../kit/address.ts';
import { gatewaysOf } from '../ovn/intent/router.ts';
import type {
  AddressGroupRow,
  LocalIpRow,
  NetworkRow,
  PortRow,
  RouterRow,
  SecurityGroupRow,
  SecurityGroupRuleRow,
  SubnetRow,
} from '../ovn/model.ts';
import { isPooled } from './nat64.ts';
import type { Packet } from './question.ts';
import { type Between, between, type HostGround, type Whereabouts } from './whereabouts.ts';

/** Also one that is no port's. */
export interface FloatingIpGround {
  id: string;
  floating_network_id: string;
  floating_ip: string;
  port_id: string | null;
  fixed_ip: string | null;
  router_id: string | null;
  /** Its port forwardings: it stands for these ports inside, and for nothing else. */
  forwardings?: readonly ForwardingGround[];
}

/** Of a floating IP: ports outside, and as many inside, or one for all. */
export interface ForwardingGround {
  protocol: 'tcp' | 'udp';
  external_first: number;
  external_last: number;
  port_id: string;
  fixed_ip: string;
  internal_first: number;
  internal_last: number;
}

export interface GroundRows {
  networks?: readonly NetworkRow[];
  subnets?: readonly SubnetRow[];
  ports?: readonly PortRow[];
  routers?: readonly RouterRow[];
  floatingIps?: readonly FloatingIpGround[];
  securityGroups?: readonly SecurityGroupRow[];
  addressGroups?: readonly AddressGroupRow[];
  hosts?: readonly HostGround[];
  localIps?: readonly LocalIpRow[];
}

export interface Forwarded {
  floatingIp: string;
  address: string;
  port: number;
}

export interface Route {
  kind: 'connected' | 'static' | 'default';
  out: PortRow;
  /** Null: the packet's own destination. */
  nexthop: string | null;
  /** Others are as good: a hash of the connection decides. */
  several?: boolean;
}

/** A rule that lets a packet through if its port is one of these. */
export interface PortRule {
  rule: SecurityGroupRuleRow;
  tracked: boolean;
  first: number;
  last: number;
}

const protocols = { tcp: 6, udp: 17 } as const;

const byId = <Row extends { id: string }>(rows: readonly Row[] = []) => new Map(rows.map((row) => [row.id, row]));

export const isRouterPort = (port: PortRow): boolean => port.device_owner.startsWith('network:router');
export const isGateway = (port: PortRow): boolean => port.device_owner === 'network:router_gateway';
/** The cloud's own ports are filtered by nothing (../ovn/intent/port.ts). */
export const isFiltered = (port: PortRow): boolean =>
  !port.device_owner.startsWith('network:') && port.port_security_enabled;

export class Ground {
  readonly networks: ReadonlyMap<string, NetworkRow>;
  readonly subnets: ReadonlyMap<string, SubnetRow & { range: Cidr }>;
  readonly ports: ReadonlyMap<string, PortRow>;
  readonly routers: ReadonlyMap<string, RouterRow>;
  readonly securityGroups: ReadonlyMap<string, SecurityGroupRow>;
  readonly floatingIps: readonly FloatingIpGround[];
  readonly #localIps: readonly LocalIpRow[];
  /** What passage.ts has found among these rows, by what it was found for. */
  readonly portRules = new Map<string, readonly PortRule[]>();
  readonly #addressGroups: ReadonlyMap<string, AddressGroupRow>;
  readonly #hosts: ReadonlyMap<string, HostGround>;
  readonly #byAddress: ReadonlyMap<string, PortRow[]>;
  readonly #byNetwork: ReadonlyMap<string, PortRow[]>;
  readonly #byRouter: ReadonlyMap<string, PortRow[]>;

  constructor(rows: GroundRows) {
    this.networks = byId(rows.networks);
    this.subnets = byId(rows.subnets?.map((row) => ({ ...row, range: parseCidr(row.cidr)! })));
    this.ports = byId(rows.ports);
    this.routers = byId(rows.routers);
    this.securityGroups = byId(rows.securityGroups);
    this.#addressGroups = byId(rows.addressGroups);
    this.floatingIps = rows.floatingIps ?? [];
    this.#hosts = byId(rows.hosts);
    this.#localIps = rows.localIps ?? [];
    const ports = [...this.ports.values()].filter(({ device_owner }) => device_owner !== 'network:floatingip');
    const addressed = ports.flatMap((port) => port.ips.map(({ ip }) => ({ ip, port })));
    this.#byAddress = new Map(
      [...Map.groupBy(addressed, ({ ip }) => ip)].map(([ip, list]) => [ip, list.map(({ port }) => port)]),
    );
    this.#byNetwork = Map.groupBy(ports, ({ network_id }) => network_id);
    this.#byRouter = Map.groupBy(ports.filter(isRouterPort), ({ device_id }) => device_id);
  }

  /** What an answer may change with, beside the ports on these networks. */
  ids(): string[] {
    const groups = [this.securityGroups, this.#addressGroups];
    return [this.networks, this.routers, ...groups].flatMap((rows) => [...rows.keys()]);
  }

  /** @returns the subnets of a port's addresses in this version, with the address */
  addressesOf(port: PortRow, version: 4 | 6): { ip: string; subnet: SubnetRow & { range: Cidr } }[] {
    return port.ips.flatMap(({ ip, subnet_id }) => {
      const subnet = this.subnets.get(subnet_id);
      return subnet?.ip_version === version ? [{ ip, subnet }] : [];
    });
  }

  /** Who answers for an address on a network: whose it is, else who is allowed to take it. */
  ownerOf(networkId: string, address: string): { port: PortRow; allowedOnly: boolean } | undefined {
    const port = this.#byAddress.get(address)?.find(({ network_id }) => network_id === networkId);
    if (port) return { port, allowedOnly: false };
    const pair = this.#byNetwork
      .get(networkId)
      ?.find((one) => one.allowed_address_pairs.some(({ ip_address }) => within(parseCidr(ip_address)!, address)));
    return pair && { port: pair, allowedOnly: true };
  }

  localIpAt(networkId: string, address: string): LocalIpRow | undefined {
    return this.#localIps.find(({ network_id, ip }) => network_id === networkId && ip === address);
  }

  /** Whether a port with this address is a member of the group: what OVN's address set of the group holds. */
  isMember(groupId: string, address: string): boolean {
    return (this.#byAddress.get(address) ?? []).some(
      (port) => isFiltered(port) && port.security_group_ids.includes(groupId),
    );
  }

  inAddressGroup(groupId: string, address: string): boolean {
    return (this.#addressGroups.get(groupId)?.addresses ?? []).some((one) => within(parseCidr(one)!, address));
  }

  /** Of one address scope with the outside: no router translates it. */
  isScoped(subnet: SubnetRow, gateway: PortRow): boolean {
    if (subnet.address_scope_id === null) return false;
    const outside = [...this.subnets.values()].filter(({ network_id }) => network_id === gateway.network_id);
    return outside.some(({ address_scope_id }) => address_scope_id === subnet.address_scope_id);
  }

  /** The ports of routers that are inside on a network. */
  routersInside(networkId: string): PortRow[] {
    return (this.#byNetwork.get(networkId) ?? []).filter((port) => isRouterPort(port) && !isGateway(port));
  }

  routerPorts(routerId: string): readonly PortRow[] {
    return this.#byRouter.get(routerId) ?? [];
  }

  /** The first one first (../ovn/intent/router.ts). */
  gatewaysOf(router: RouterRow): PortRow[] {
    return gatewaysOf(router, this.routerPorts(router.id));
  }

  /** A floating IP that a network's neighbours see. */
  floatingIpAt(networkId: string, address: string): FloatingIpGround | undefined {
    return this.floatingIps.find((one) => one.floating_network_id === networkId && one.floating_ip === address);
  }

  /** Whether the port decides where this router sends what is for the address. */
  forwards(routerId: string, address: string): boolean {
    return this.floatingIps.some(
      (one) => one.router_id === routerId && one.floating_ip === address && Boolean(one.forwardings),
    );
  }

  /** The floating IP of this router's that forwards such packets, and whereto; @param port of TCP or UDP */
  forwardingOf(routerId: string, address: string, protocol: number, port: number): Forwarded | undefined {
    for (const floating of this.floatingIps) {
      if (floating.router_id !== routerId || floating.floating_ip !== address) continue;
      const found = floating.forwardings?.find(
        (one) => protocols[one.protocol] === protocol && one.external_first <= port && port <= one.external_last,
      );
      if (!found) continue;
      const several = found.internal_last > found.internal_first;
      const offset = several ? port - found.external_first : 0;
      return { floatingIp: floating.id, address: found.fixed_ip, port: found.internal_first + offset };
    }
    return undefined;
  }

  floatingIpOf(routerId: string, portAddress: string): FloatingIpGround | undefined {
    return this.floatingIps.find(
      (one) => one.router_id === routerId && one.port_id !== null && one.fixed_ip === portAddress,
    );
  }

  /** Whether what is on this network and in no row may be there all the same. */
  hasOutside(networkId: string): boolean {
    const type = this.networks.get(networkId)?.provider_network_type;
    return type === 'flat' || type === 'vlan';
  }

  /** False where no host has the physical network that a router's gateway is on. */
  canCarry(networkId: string): boolean {
    const physical = this.networks.get(networkId)?.provider_physical_network;
    return !physical || [...this.#hosts.values()].some(({ physical_networks }) => physical_networks.includes(physical));
  }

  /** What keeps two places on a network apart, or is only assumed of them. */
  between(networkId: string, one: Whereabouts, other: Whereabouts): Between | undefined {
    const network = this.networks.get(networkId);
    return network && between(network, this.#hosts, one, other);
  }

  /** From outside, by its own address: what ../ovn/intent/router.ts calls isolation. */
  isIsolated(
    router: RouterRow,
    came: PortRow,
    { version, destination }: Pick<Packet, 'version' | 'destination'>,
  ): boolean {
    return version === 4 && isGateway(came) && this.isTranslated(router, destination, came);
  }

  /** Whether a router translates an address inside: not one of an address scope with the outside, and whoever has come by NAT64 (../ovn/intent/nat.ts). */
  isTranslated(router: RouterRow, address: string, gateway: PortRow): boolean {
    if (router.nat64 && isPooled(address)) return true;
    if (!router.enable_snat) return false;
    const inside = this.routerPorts(router.id).filter((port) => !isGateway(port));
    return inside
      .flatMap((port) => this.addressesOf(port, 4))
      .some(({ subnet }) => within(subnet.range, address) && !this.isScoped(subnet, gateway));
  }

  /** Whether it is an address of the router itself. */
  isOwn(router: RouterRow, address: string): boolean {
    return this.routerPorts(router.id).some(({ ips }) => ips.some(({ ip }) => ip === address));
  }

  /** As OVN chooses: the longest prefix, and of two the one that is connected. */
  route(router: RouterRow, destination: string): Route | undefined {
    const { version } = parseIp(destination) as Ip;
    const [ports, found] = [this.routerPorts(router.id), [] as (Route & { length: number })[]];
    const onto = (address: string) =>
      ports.find((port) => this.addressesOf(port, version).some(({ subnet }) => within(subnet.range, address)));
    for (const out of ports) {
      for (const { subnet } of this.addressesOf(out, version)) {
        if (!within(subnet.range, destination)) continue;
        found.push({ kind: 'connected', out, nexthop: null, length: subnet.range.prefixLength });
      }
    }
    for (const { destination: prefix, nexthop } of router.routes) {
      const range = parseCidr(prefix)!;
      const out = range.version === version && within(range, destination) ? onto(nexthop) : undefined;
      if (out) found.push({ kind: 'static', out, nexthop, length: range.prefixLength });
    }
    const gateways = this.gatewaysOf(router);
    for (const out of router.default_route_ecmp ? gateways : gateways.slice(0, 1)) {
      const outside = this.addressesOf(out, version).find(({ subnet }) => subnet.gateway_ip !== null);
      if (outside) found.push({ kind: 'default', out, nexthop: outside.subnet.gateway_ip, length: 0 });
    }
    const [best, next] = found.sort((a, b) => b.length - a.length);
    const several = best?.kind === 'default' && next !== undefined;
    return best && { ...best, several };
  }
}

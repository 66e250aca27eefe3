/**
 * A packet's way through the cloud, one step at a time, as OVN's pipelines take it: the guest's own choice of a next hop, its port's rules,
 * networks, routers with their routes and address translation, the rules of the port at the end. It goes on past what only a rule or a
 * switch stops, so that all of those are named at once, and ends where there is no way on.
 */
import { parseCidr, within } from '../../kit/address.ts';
import { translates } from '../ovn/intent/nat64.ts';
import type { PortRow, RouterRow } from '../ovn/model.ts';
import { localIpOwner } from '../port/local-ip-port.ts';
import { type Ground, isGateway, isRouterPort, type Route } from './ground.ts';
import { nearestOf } from './local-ip.ts';
import { inOtherWords, isBelowPrefix, isKept, toIPv4 } from './nat64.ts';
import { type Direction, missingRule, type Passage, passage } from './passage.ts';
import type { Arrival, Assumption, Hop, Opening, Packet, Stop, StopKind, StopReason } from './question.ts';
import { update } from './question.ts';
import { Translations } from './translations.ts';
import type { Whereabouts } from './whereabouts.ts';

/** Routers on one way; OVN's own limit is the packet's time to live. */
const mostRouters = 16;
const tcp = 6;
const lastPort = 65_535;

export class Walk {
  readonly hops: Hop[] = [];
  readonly stops: Stop[] = [];
  readonly assumptions = new Set<Assumption>();
  readonly #translations: Translations;
  /** As it is now. */
  packet: Packet;
  /** What let the packet through ports that filter, and which way. */
  readonly passages = new Map<string, Passage & { direction: Direction }>();
  /** The last port, from the packet's own, to which all that is asked of ports alone is answered alike. */
  samePorts = lastPort;
  /** The last one to which one of the stops stays, whatever becomes of the others. */
  stoppedPorts = 0;
  readonly #ground: Ground;
  readonly #way: Stop['way'];
  /** Of the way there, on the way back. */
  readonly #before: Walk | undefined;
  #routers = 0;
  #isFromPool = false;
  #at: Whereabouts = 'fabric';

  /** @param before the way there, when this is the answer's */
  constructor(ground: Ground, packet: Packet, before?: Walk) {
    this.#ground = ground;
    this.packet = packet;
    this.#way = before ? 'back' : 'there';
    this.#before = before;
    this.#translations = before ? before.#translations : new Translations();
  }

  /** From a guest's port. @returns undefined where there is no way on */
  fromPort(port: PortRow): Arrival | undefined {
    this.#usable(port);
    this.#filter(port, 'egress');
    this.#hop('port', port.id, 'leaves');
    this.#at = port.host_id ?? undefined;
    this.#forwardInside(port);
    const passed = this.#toNearest(port);
    if (passed) return passed;
    this.#unforward(port);
    const { source, destination, version } = this.packet;
    const addresses = this.#ground.addressesOf(port, version);
    if (addresses.some(({ subnet }) => within(subnet.range, destination))) {
      return this.#onNetwork(port.network_id, destination);
    }
    const { subnet } = addresses.find(({ ip }) => ip === source) ?? addresses[0]!;
    const route = subnet.host_routes
      .map(({ destination: prefix, nexthop }) => ({ range: parseCidr(prefix)!, nexthop }))
      .filter(({ range }) => range.version === version && within(range, destination))
      .sort((a, b) => b.range.prefixLength - a.range.prefixLength)[0];
    const nexthop = route?.nexthop ?? subnet.gateway_ip;
    if (nexthop === null) return this.#stop('subnet', subnet.id, 'no_gateway');
    return this.#onNetwork(port.network_id, nexthop);
  }

  /**
   * From outside onto a network, or to a router whose inside it has a route to.
   * @param network where it comes in; by default whichever external one has the destination
   */
  fromOutside(network?: string): Arrival | undefined {
    const { destination, version } = this.packet;
    const external = [...this.#ground.networks.values()].filter((one) => one.external).map(({ id }) => id);
    for (const id of network ? [network] : external) {
      if (this.#ground.floatingIpAt(id, destination) || this.#ground.ownerOf(id, destination)) {
        this.#hop('outside', id, 'enters');
        return this.#onNetwork(id, destination);
      }
    }
    for (const router of this.#ground.routers.values()) {
      const [gateway] = this.#ground.gatewaysOf(router).filter((port) => !network || port.network_id === network);
      const inside = this.#ground.routerPorts(router.id).filter((port) => !isGateway(port));
      const ranges = inside.flatMap((port) => this.#ground.addressesOf(port, version));
      if (!gateway || !ranges.some(({ subnet }) => within(subnet.range, destination))) continue;
      this.assumptions.add('outside_routes_here');
      this.#hop('outside', gateway.network_id, 'enters');
      return this.#atRouter(router, gateway);
    }
    return this.#stop('outside', null, 'address_unknown');
  }

  #onNetwork(networkId: string, nexthop: string): Arrival | undefined {
    this.#hop('network', networkId, 'carries');
    if (this.#ground.networks.get(networkId)?.admin_state_up === false) {
      this.#stop('network', networkId, 'network_disabled', [update('network', networkId, { admin_state_up: true })]);
    }
    const floating = this.#ground.floatingIpAt(networkId, nexthop);
    if (floating) return this.#atFloatingIp(floating);
    const owner = this.#ground.ownerOf(networkId, nexthop);
    if (!owner) return this.#unowned(networkId, nexthop);
    const { port, allowedOnly } = owner;
    if (allowedOnly) this.assumptions.add('guest_has_address');
    if (isRouterPort(port)) {
      const router = this.#ground.routers.get(port.device_id);
      return router && this.#atRouter(router, port);
    }
    if (port.device_owner === localIpOwner) return this.#stop('port', port.id, 'local_ip_without_port');
    this.#carry(networkId, port.host_id ?? undefined);
    if (nexthop === this.packet.destination) return this.#arrive(port);
    // A guest that stands in for a router: what it does with the packet is its own affair.
    this.#filter(port, 'ingress');
    this.assumptions.add('guest_forwards');
    this.#hop('port', port.id, 'forwards');
    return { at: 'port', port };
  }

  #atFloatingIp(floating: Ground['floatingIps'][number]): Arrival | undefined {
    const router = this.#ground.routers.get(floating.router_id ?? '');
    const gateway = router && this.#ground.gatewaysOf(router)[0];
    if (!gateway) return this.#stop('floating_ip', floating.id, 'floating_ip_unassigned');
    if (floating.forwardings && !this.#forwarded(router))
      return this.#stop('floating_ip', floating.id, 'port_not_forwarded');
    return this.#atRouter(router, gateway);
  }

  #unowned(networkId: string, nexthop: string): Arrival | undefined {
    if (!this.#ground.hasOutside(networkId)) {
      const direct = nexthop === this.packet.destination;
      return this.#stop('network', networkId, direct ? 'address_unknown' : 'gateway_unknown');
    }
    this.#carry(networkId, 'fabric');
    this.#hop('outside', networkId, 'leaves');
    const { destination } = this.packet;
    if (!this.#ground.ownerOf(networkId, destination)) return { at: 'outside', network: networkId };
    // A router of the fabric's, which joins subnets of the network, or its segments.
    this.assumptions.add('outside_routes_here');
    return this.#onNetwork(networkId, destination);
  }

  /** Over one network, by a segment that both sides are on. */
  #carry(networkId: string, to: Whereabouts): void {
    const found = this.#ground.between(networkId, this.#at, to);
    if (found === 'on_one_segment') this.assumptions.add(found);
    else if (found !== undefined) this.#stop('network', networkId, found);
    this.#at = to;
  }

  #arrive(port: PortRow): Arrival {
    this.#unforward(port);
    if (this.#isFromPool) this.assumptions.add('any_of_nat64');
    this.#usable(port);
    this.#filter(port, 'ingress');
    this.#hop('port', port.id, 'arrives');
    return { at: 'port', port };
  }

  #atRouter(router: RouterRow, came: PortRow): Arrival | undefined {
    if (++this.#routers > mostRouters) return this.#stop('router', router.id, 'loop');
    if (!router.admin_state_up) {
      this.#stop('router', router.id, 'router_disabled', [update('router', router.id, { admin_state_up: true })]);
    }
    this.#enabled(came);
    if (isGateway(came)) this.#enterGateway(router, came);
    if (this.#ground.isIsolated(router, came, this.packet)) return this.#stop('router', router.id, 'behind_nat');
    this.#translateBack(router, came);
    if (isGateway(came)) {
      this.#translateDestination(router, came);
      this.#forward(router, router.id);
    }
    if (translates(router, this.#ground.gatewaysOf(router)) && !this.#translateVersion(router)) return undefined;
    if (this.#ground.isOwn(router, this.packet.destination)) return this.#served(router);
    const { source, destination } = this.packet;
    const route = this.#ground.route(router, destination);
    if (!route) return this.#stop('router', router.id, 'no_route', this.#routes(router));
    const { out } = route;
    this.#enabled(out);
    if (!isGateway(out)) {
      this.#hop('router', router.id, route.kind, out.id);
      return this.#onNetwork(out.network_id, route.nexthop ?? destination);
    }
    return this.#byGateway(router, route, source);
  }

  /** Out on the external network; or back in, where one of the router's own floating IPs is asked for. */
  #byGateway(router: RouterRow, { kind, out, nexthop, several }: Route, source: string): Arrival | undefined {
    if (several) this.assumptions.add('any_default_route');
    this.#enterGateway(router, out);
    const before = this.packet;
    const floating = this.#ground.floatingIpOf(router.id, source);
    const own = floating?.floating_network_id === out.network_id ? floating : undefined;
    const nat = this.packet.version === 4 && !this.#isAnswer(router);
    if (nat && own) this.packet = { ...before, source: own.floating_ip };
    else if (nat && this.#ground.isTranslated(router, source, out)) this.#translateSource(out);
    if (this.packet !== before) this.#translations.remember(router.id, before, this.packet);
    this.#hop('router', router.id, this.packet === before ? kind : 'snat', out.id);
    const hairpin = this.#ground.floatingIpAt(out.network_id, this.packet.destination);
    if (hairpin?.router_id !== router.id) return this.#onNetwork(out.network_id, nexthop ?? this.packet.destination);
    return this.#atRouter(router, out);
  }

  /** Only hosts carry it that are on its network's physical network. */
  #enterGateway(router: RouterRow, { network_id }: PortRow): void {
    if (!this.#ground.canCarry(network_id)) this.#stop('router', router.id, 'no_gateway_host');
    this.#at = 'fabric';
  }

  #translateSource(gateway: PortRow): void {
    const address = this.#ground.addressesOf(gateway, 4)[0]?.ip;
    if (address) this.packet = { ...this.packet, source: address };
  }

  #translateDestination(router: RouterRow, came: PortRow): void {
    const { destination, version } = this.packet;
    const floating = this.#ground.floatingIps.find(
      (one) => one.router_id === router.id && one.floating_ip === destination && one.fixed_ip !== null,
    );
    if (!floating || version !== 4 || floating.floating_network_id !== came.network_id) return;
    const before = this.packet;
    this.packet = { ...before, destination: floating.fixed_ip! };
    this.#translations.remember(router.id, before, this.packet);
    this.#hop('floating_ip', floating.id, 'dnat');
  }

  #forwarded(router: RouterRow) {
    const { destination, version, protocol, destinationPort: port } = this.packet;
    if (version !== 4 || typeof port !== 'number') return undefined;
    // Another port may go another way.
    if (this.#ground.forwards(router.id, destination)) this.samePorts = 0;
    return this.#ground.forwardingOf(router.id, destination, protocol, port);
  }

  /** @param place where it is remembered: a router, or a network */
  #forward(router: RouterRow, place: string): void {
    const to = this.#forwarded(router);
    if (!to) return;
    const before = this.packet;
    // Who calls itself is called from the floating IP: it would answer itself past its network.
    const source = before.source === to.address ? before.destination : before.source;
    this.packet = { ...before, source, destination: to.address, destinationPort: to.port };
    this.#translations.remember(place, before, this.packet);
    this.#hop('floating_ip', to.floatingIp, 'dnat');
  }

  /** Networks inside turn what is sent to a router's forwarded ports themselves (../ovn/intent/port-forwarding.ts), after the sender's rules. */
  #forwardInside({ network_id }: PortRow): void {
    if (this.#way === 'back') return;
    const before = this.packet;
    for (const port of this.#ground.routersInside(network_id)) {
      const router = this.#ground.routers.get(port.device_id);
      if (router && this.packet === before) this.#forward(router, network_id);
    }
  }

  /** To a local IP (local-ip.ts), after the sender's rules. */
  #toNearest(from: PortRow): Arrival | undefined {
    const near = this.#way === 'there' ? nearestOf(this.#ground, from, this.packet) : undefined;
    if (!near) return undefined;
    if (!near.passed) this.#translations.remember(from.network_id, this.packet, near.packet);
    this.packet = near.packet;
    this.#hop('port', near.port.id, 'is_local_ip');
    if (near.opens) this.#stop('port', near.port.id, 'local_ip_not_allowed', near.opens);
    if (near.passed) this.assumptions.add('guest_has_address');
    return near.passed ? this.#arrive(near.port) : undefined;
  }

  /** The network of who asked turns back the answer to what it had turned. */
  #unforward({ network_id }: PortRow): void {
    if (this.#way === 'there') return;
    for (const turned of this.#translations.turnedBack(network_id, this.packet)) this.packet = turned;
  }

  /**
   * One connection may be translated at both ends by one router; its answer is turned back at once, where it passes the gateway. An answer
   * that goes from inside to inside does not, and comes from another address than was asked.
   */
  #translateBack(router: RouterRow, came: PortRow): void {
    if (this.#way === 'there') return;
    const out = this.#ground.route(router, this.packet.destination)?.out;
    if (!isGateway(came) && !(out && isGateway(out))) return;
    for (const turned of this.#translations.turnedBack(router.id, this.packet)) {
      this.packet = turned;
      this.#hop('router', router.id, 'nat_back');
    }
  }

  /** By the router's engine: to IPv4 what is for the prefix, and back what answers it. False: there is no way on. */
  #translateVersion(router: RouterRow): boolean {
    const [before, place] = [this.packet, `nat64 ${router.id}`];
    for (const turned of this.#translations.turnedBack(place, before)) this.packet = inOtherWords(turned);
    if (this.packet !== before) this.#hop('router', router.id, 'nat64_back');
    else if (isBelowPrefix(before.destination)) {
      const four = toIPv4(before);
      if (!four) return this.#stop('router', router.id, 'address_unknown') ?? false;
      this.packet = four;
      this.#isFromPool = true;
      this.#translations.remember(place, before, four);
      this.#hop('router', router.id, 'nat64');
    } else if (isKept(before.destination)) return this.#stop('router', router.id, 'address_of_nat64') ?? false;
    return true;
  }

  /** It goes back the way that the router remembers. */
  #isAnswer(router: RouterRow): boolean {
    if (this.#way === 'there') return false;
    return this.#translations.isAnswer(router.id, this.packet);
  }

  /** A router answers to a ping, and to nothing else. */
  #served(router: RouterRow): Arrival | undefined {
    if (this.packet.icmpType === null) return this.#stop('router', router.id, 'router_serves_nothing');
    this.#hop('router', router.id, 'answers');
    return { at: 'router' };
  }

  #routes(router: RouterRow): Opening[] {
    const { destination, version } = this.packet;
    if (this.#ground.gatewaysOf(router).length > 0) return [];
    return [update('router', router.id, { routes: [{ destination: `${destination}/${version === 4 ? 32 : 128}` }] })];
  }

  #enabled(port: PortRow): void {
    if (port.admin_state_up) return;
    this.#stop('port', port.id, 'port_disabled', [update('port', port.id, { admin_state_up: true })]);
  }

  #usable(port: PortRow): void {
    this.#enabled(port);
    if (port.admin_state_up && !port.observed_up && !port.device_owner.startsWith('network:')) {
      this.#stop('port', port.id, 'port_not_up');
    }
  }

  #filter(port: PortRow, direction: Direction): void {
    const { passed, until } = passage(this.#ground, port, direction, this.packet);
    const asked = this.#way === 'back' ? this.#before?.passages.get(port.id) : undefined;
    if (asked) {
      this.#filterAnswer(port, asked, passed);
      return;
    }
    // Were it open, it would be tracked, as groups are made.
    this.passages.set(port.id, { rule: null, tracked: true, ...passed, direction });
    if (!passed) this.#missing(port, direction, until);
    else if (passed.rule) this.#hop('security_group_rule', passed.rule.id, 'allowed');
    this.samePorts = Math.min(this.samePorts, until);
  }

  /**
   * What was tracked comes back without a rule; what was not needs one of its own. Connection tracking takes a TCP connection's answer for
   * invalid whose beginning it did not see. The other way round, where a stateless rule lets the answer past it, Open vSwitch' own goes on
   * and the kernel's does not.
   */
  #filterAnswer(port: PortRow, asked: Passage & { direction: Direction }, passed: Passage | undefined): void {
    const isTcp = this.packet.protocol === tcp;
    if (asked.tracked) {
      if (isTcp && passed?.tracked === false) this.assumptions.add('answer_untracked');
    } else if (!passed) {
      this.#missing(port, asked.direction === 'egress' ? 'ingress' : 'egress', this.#before!.samePorts);
    } else {
      if (passed.rule) this.#hop('security_group_rule', passed.rule.id, 'allowed');
      if (isTcp && passed.tracked) {
        this.#stop('port', port.id, 'tracked_one_way', [], this.#before!.samePorts);
      }
    }
  }

  /** The rule is only one way in; a stop of the port's where it has no group to put one in. */
  #missing(port: PortRow, direction: Direction, until: number): void {
    const values = missingRule(port, direction, this.packet);
    const reason = direction === 'egress' ? 'egress_rule_missing' : 'ingress_rule_missing';
    const opens: Opening[] = values ? [{ action: 'create', resource: 'security_group_rule', id: null, values }] : [];
    const id = values ? String(values.security_group_id) : port.id;
    this.#stop(values ? 'security_group' : 'port', id, reason, opens, until);
  }

  #hop(kind: Hop['kind'], id: string | null, does: string, via?: string): void {
    const { source, destination } = this.packet;
    this.hops.push({ kind, id, does, source, destination, ...(via === undefined ? {} : { via }) });
  }

  /** @param until the last port to which it stops this packet, which is taken the same way */
  #stop(kind: StopKind, id: string | null, reason: StopReason, opens: Opening[] = [], until = lastPort): undefined {
    this.stops.push({ way: this.#way, kind, id, reason, opens });
    this.stoppedPorts = Math.max(this.stoppedPorts, until);
    return undefined;
  }
}

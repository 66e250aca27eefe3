/**
 * Topologies for the reachability test, by a seed: two to three networks, some of them tagged ones of the physical network, with routers
 * between, what leads outside, guests with further addresses, what tenants forget and forbid. The rows are those that the network service
 * would write.
 */
import { newId } from '../../contract/ids.ts';
import { eui64 } from '../../control/network/ovn/address.ts';
import type { Question } from '../../control/network/reachability/question.ts';
import type { TestCloud } from '../simulated/ovn-cloud.ts';
import { Random } from '../support/random.ts';

export interface External {
  network: string;
  v4: string;
  /** Of 203.0.113.0/24; counts up over all topologies. */
  next: number;
  /** Of tagged networks; counts up over all topologies. */
  tag: number;
}

export interface Guest {
  port: string;
  mac: string;
  addresses: string[];
  gateways: string[];
  routes: { destination: string; nexthop: string }[];
}

export interface Topology {
  guests: Guest[];
  routers: string[];
  groups: string[];
  addressGroups: string[];
  floatingIps: string[];
  /** Those that a guest, or outside (-1), can be asked. */
  questions: { from: number; to: string; toPort: string | null; question: Question }[];
}

/** The outside's own address on the external network. */
export const outside = '203.0.113.254';
const tcp = 6;
const udp = 17;

interface Net {
  id: string;
  v4: string;
  v6: string;
  s4: string;
  s6: string;
  gateway4: string | null;
  gateway6: string;
  hostRoutes: { destination: string; nexthop: string }[];
  routers: string[];
}

export async function makeTopology(cloud: TestCloud, external: External, seed: number): Promise<Topology> {
  const at = new Random(seed);
  const routers: { id: string; snat: boolean; gateway: string | null }[] = [];
  for (let n = 0; n < 1 + at.below(2); n++) routers.push(await makeRouter(cloud, external, at));
  const nets: Net[] = [];
  for (let n = 0; n < 2 + at.below(2); n++) nets.push(await makeNet(cloud, external, at, n, routers));
  await connectRouters(cloud, at, nets, routers);
  const addressGroups = await makeAddressGroups(cloud, at, nets);
  const groups = await makeGroups(cloud, at, nets, addressGroups);
  const guests: (Guest & { net: Net; v4: string; v6: string; taken: string[] })[] = [];
  for (let n = 0; n < 5; n++) guests.push(await makeGuest(cloud, at, at.pick(nets), groups, n));
  const floating: { id: string; ip: string; port: string }[] = [];
  for (const guest of guests) {
    const router = routers.find(({ id, gateway }) => gateway !== null && guest.net.routers.includes(id));
    if (!router || !guest.net.gateway4 || !at.chance(0.5)) continue;
    const ip = `203.0.113.${external.next++}`;
    const to = { port: guest.port, ip: guest.v4, router: router.id };
    const id = await cloud.floatingIp({ network: external.network, subnet: external.v4, ip }, to);
    floating.push({ id, ip, port: guest.port });
  }
  const topology = {
    guests,
    routers: routers.map(({ id }) => id),
    groups,
    addressGroups,
    floatingIps: floating.map(({ id }) => id),
    questions: [],
  };
  return { ...topology, questions: questionsOf(at, guests, floating) };
}

async function makeRouter(cloud: TestCloud, external: External, at: Random) {
  const snat = at.chance(0.8);
  const id = await cloud.router({ name: 'r', enable_snat: snat, admin_state_up: at.chance(0.93) });
  let gateway: string | null = null;
  if (at.chance(0.75)) {
    gateway = `203.0.113.${external.next++}`;
    const own = [{ subnet: external.v4, ip: gateway }];
    await cloud.gateway(id, external.network, own);
  }
  return { id, snat, gateway };
}

async function makeNet(
  cloud: TestCloud,
  external: External,
  at: Random,
  n: number,
  routers: readonly { id: string }[],
): Promise<Net> {
  const tagged = {
    ...{ provider_network_type: 'vlan', provider_physical_network: 'physnet1' },
    ...{ provider_segmentation_id: external.tag++, mtu: 1500 },
  };
  const id = await cloud.network({ name: `net ${n}`, ...(at.chance(0.25) && tagged) });
  const [v4, v6] = [`10.${n + 1}.0.0/24`, `fd00:${n + 1}::/64`];
  const gateway4 = at.chance(0.9) ? v4.replace('0/24', '1') : null;
  const s4 = await cloud.subnet(id, v4, { gateway_ip: gateway4 });
  const gateway6 = v6.replace('/64', '1');
  const s6 = await cloud.subnet(id, v6, { gateway_ip: gateway6, ipv6_address_mode: 'slaac', ipv6_ra_mode: 'slaac' });
  const net: Net = { id, v4, v6, s4, s6, gateway4, gateway6, hostRoutes: [], routers: [] };
  if (at.chance(0.88)) {
    const router = at.pick(routers);
    const own = [{ subnet: s6, ip: gateway6 }];
    if (gateway4) own.unshift({ subnet: s4, ip: gateway4 });
    await cloud.interface(router.id, id, own);
    net.routers.push(router.id);
  }
  return net;
}

/** The second router on a network of the first, with routes at both; now and then at one alone. */
async function connectRouters(
  cloud: TestCloud,
  at: Random,
  nets: readonly Net[],
  routers: readonly { id: string }[],
): Promise<void> {
  const shared = nets.find((net) => net.routers.length > 0 && net.gateway4);
  const other = routers.find(({ id }) => shared && !shared.routers.includes(id));
  if (!shared || !other || !at.chance(0.8)) return;
  const second = shared.v4.replace('0/24', '2');
  await cloud.interface(other.id, shared.id, [{ subnet: shared.s4, ip: second }]);
  const behind = nets.filter((net) => net.routers.includes(other.id)).map(({ v4 }) => v4);
  const before = nets.filter((net) => net !== shared && net.routers.includes(shared.routers[0]!)).map(({ v4 }) => v4);
  shared.routers.push(other.id);
  const route = (router: string, prefixes: string[], nexthop: string) =>
    cloud.setRoutes(
      router,
      prefixes.map((destination) => ({ destination, nexthop })),
    );
  if (at.chance(0.85)) await route(shared.routers[0]!, behind, second);
  if (at.chance(0.85)) await route(other.id, before, shared.gateway4!);
  if (at.chance(0.5)) {
    shared.hostRoutes = behind.map((destination) => ({ destination, nexthop: second }));
    await cloud.setHostRoutes(shared.s4, shared.hostRoutes);
  }
}

/** Of prefixes and single addresses, some of them guests'. */
async function makeAddressGroups(cloud: TestCloud, at: Random, nets: readonly Net[]): Promise<string[]> {
  const one = (net: Net) => at.pick([net.v4, net.v6, net.v4.replace('0/24', `${10 + at.below(5)}/32`)]);
  const made: string[] = [];
  for (let n = 0; n < 2; n++) {
    made.push(await cloud.addressGroup([...new Set([one(at.pick(nets)), one(at.pick(nets))])]));
  }
  return made;
}

async function makeGroups(
  cloud: TestCloud,
  at: Random,
  nets: readonly Net[],
  addressGroups: readonly string[],
): Promise<string[]> {
  const groups: string[] = [];
  for (let n = 0; n < 3; n++) {
    const id = await cloud.securityGroup({ name: `group ${n}`, stateful: at.chance(0.8) });
    groups.push(id);
    for (let rules = 2 + at.below(4); rules > 0; rules--) {
      const version = at.chance(0.6) ? 4 : 6;
      const remote = at.pick([
        {},
        {},
        {},
        { remote_group_id: at.pick(groups) },
        { remote_address_group_id: at.pick(addressGroups) },
        { remote_ip_prefix: at.pick(nets)[version === 4 ? 'v4' : 'v6'] },
      ]);
      const traffic = at.pick([
        {},
        { protocol: 'tcp' },
        { protocol: 'tcp', port_range_min: 80, port_range_max: 80 },
        { protocol: 'udp', port_range_min: 80, port_range_max: 81 },
        { protocol: 'udp', port_range_min: 1024, port_range_max: 65_535 },
      ]);
      await cloud.rule(id, { ethertype: `IPv${version}`, ...traffic, ...remote });
    }
  }
  return groups;
}

async function makeGuest(cloud: TestCloud, at: Random, net: Net, groups: readonly string[], n: number) {
  const mac = `fa:16:3e:${[at.below(256), at.below(256), n + 16].map((byte) => byte.toString(16).padStart(2, '0')).join(':')}`;
  const [v4, v6] = [net.v4.replace('0/24', String(10 + n)), eui64(net.v6, mac)];
  const secured = at.chance(0.9);
  // Beside its own, as a virtual one of several machines would be.
  const taken = secured && at.chance(0.4) ? [net.v4.replace('0/24', String(100 + n))] : [];
  const allowed_address_pairs = taken.map((ip_address) => ({ ip_address, mac_address: mac }));
  const row = { id: newId(), mac, port_security_enabled: secured, admin_state_up: at.chance(0.95) };
  const member = secured ? groups.filter(() => at.chance(0.55)) : [];
  const own = [
    { subnet: net.s4, ip: v4 },
    { subnet: net.s6, ip: v6 },
  ];
  const port = await cloud.port(net.id, own, { ...row, allowed_address_pairs }, member);
  const gateways = [...(net.gateway4 ? [net.gateway4] : []), net.gateway6];
  const addresses = [v4, ...taken].map((address) => `${address}/24`).concat(`${v6}/64`);
  return { port, mac, net, v4, v6, taken, addresses, gateways, routes: net.hostRoutes };
}

function questionsOf(
  at: Random,
  guests: readonly (Guest & { v4: string; v6: string; taken: string[] })[],
  floating: readonly { ip: string; port: string }[],
): Topology['questions'] {
  const all: Topology['questions'] = [];
  const ask = (from: number, to: string, toPort: string | null, protocol = at.pick([tcp, udp])) => {
    const version = to.includes(':') ? 6 : 4;
    const source = from < 0 ? { address: outside } : { port: guests[from]!.port };
    const question: Question = { from: source, to: { address: to }, version, protocol, port: at.pick([80, 80, 81]) };
    all.push({ from, to, toPort, question });
  };
  for (const [n, guest] of guests.entries()) {
    for (const [m, other] of guests.entries()) {
      if (m === n) continue;
      ask(n, other.v4, other.port);
      if (at.chance(0.5)) ask(n, other.v6, other.port);
      // The guests' UDP server would answer from their first address.
      for (const address of other.taken) ask(n, address, other.port, tcp);
    }
    for (const { ip, port } of floating) if (port !== guest.port) ask(n, ip, port);
    ask(n, outside, null);
  }
  for (const { ip, port } of floating) ask(-1, ip, port);
  return all;
}

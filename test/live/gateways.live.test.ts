/** A router with gateways on two external networks through real OVN: which of them packets take, as whom they leave, and what comes in. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { newId } from '../../contract/ids.ts';
import { unit } from '../../control/network/ovn/index.ts';
import { loadGround } from '../../control/network/reachability/load.ts';
import { reach } from '../../control/network/reachability/reach.ts';
import { type Endpoint, labMissing } from './ovn-lab.ts';
import { type ProjectedLab, projectedLab } from './projected-lab.ts';

const skip = labMissing() ?? false;
const peer = join(import.meta.dirname, 'ovn-peer.ts');
const host = newId();
/** Each external network: who is next there, and the router's own addresses. */
const nets = {
  a: { bridge: 'br-ex', next: ['203.0.113.254', '2001:db8:a::fe'], own: ['203.0.113.1', '2001:db8:a::1'] },
  b: { bridge: 'br-other', next: ['198.51.100.254', '2001:db8:b::fe'], own: ['198.51.100.1', '2001:db8:b::1'] },
} as const;
type Net = keyof typeof nets;
/** A server of the world, which either network leads to. */
const world4 = '192.0.2.1';
const floating = '203.0.113.20';
const guests = { plain: ['10.1.0.11', 'fd00:1::11'], named: ['10.1.0.12', 'fd00:1::12'] } as const;

let world: ProjectedLab;
let router: string;
const gateways: Record<string, string> = {};
const ports: Record<string, string> = {};
const at: Record<string, Endpoint> = {};

/** The address that the one who answered saw, or 'closed'. */
const knock = (from: string, address: string, ms = 8000): string =>
  world.lab.inside(at[from]!.namespace, process.execPath, peer, 'knock', address, '80', String(ms)).trim();

const change = async (statement: ReturnType<typeof sql>): Promise<void> => {
  await world.cloud.run(statement);
  await settled();
};

async function settled(): Promise<void> {
  const units = [unit('router', router), ...Object.values(ports).map((id) => unit('port', id))];
  await world.projector.reached(units, { timeoutMs: 20_000 });
  world.lab.run('ovn-nbctl', `--db=${world.lab.northbound}`, '--wait=hv', '--timeout=20', 'sync');
}

async function externalNetwork(name: Net, physical: string): Promise<void> {
  const { cloud, lab } = world;
  const { bridge, next, own } = nets[name];
  const network = await cloud.external({ name, provider_physical_network: physical });
  const none = { enable_dhcp: false };
  const four = await cloud.subnet(network, `${own[0].slice(0, -1)}0/24`, { gateway_ip: next[0], ...none });
  const six = await cloud.subnet(network, `${own[1].slice(0, -1)}/64`, { gateway_ip: next[1], ...none });
  const addresses = [
    { subnet: four, ip: own[0] },
    { subnet: six, ip: own[1] },
  ];
  const further = { device_owner: 'network:router_gateway', device_id: router };
  gateways[name] =
    name === 'a' ? await cloud.gateway(router, network, addresses) : await cloud.port(network, addresses, further);
  at[name] = lab.endpoint(name, { bridge, addresses: [`${next[0]}/24`, `${next[1]}/64`, `${world4}/32`] });
  for (const [to, by] of [
    ['10.1.0.0/24', own[0]],
    ['fd00:1::/64', own[1]],
  ] as const) {
    lab.run('ip', '-n', at[name]!.namespace, 'route', 'add', to, 'via', by);
  }
  if (name === 'a') {
    const outer = { network, subnet: four, ip: floating };
    await cloud.floatingIp(outer, { port: ports.named!, ip: guests.named[0], router });
  }
}

before(async () => {
  if (skip) return;
  world = await projectedLab(host, ['physnet1', 'physnet2']);
  const { cloud, lab } = world;
  const network = await cloud.network();
  const slaac = { ipv6_address_mode: 'dhcpv6-stateful', ipv6_ra_mode: 'dhcpv6-stateful' };
  const four = await cloud.subnet(network, '10.1.0.0/24', { gateway_ip: '10.1.0.1' });
  const six = await cloud.subnet(network, 'fd00:1::/64', { gateway_ip: 'fd00:1::1', ...slaac });
  router = await cloud.router();
  await cloud.interface(router, network, [
    { subnet: four, ip: '10.1.0.1' },
    { subnet: six, ip: 'fd00:1::1' },
  ]);
  const group = await cloud.securityGroup();
  for (const ethertype of ['IPv4', 'IPv6']) {
    for (const direction of ['ingress', 'egress']) await cloud.rule(group, { ethertype, direction });
  }
  for (const [name, [ip4, ip6]] of Object.entries(guests)) {
    const mac = cloud.mac();
    const addresses = [
      { subnet: four, ip: ip4 },
      { subnet: six, ip: ip6 },
    ];
    ports[name] = await cloud.port(network, addresses, { mac, host_id: host }, [group]);
    const plug = { iface: ports[name], mac, addresses: [`${ip4}/24`, `${ip6}/64`] };
    at[name] = lab.endpoint(name, { ...plug, gateways: ['10.1.0.1', 'fd00:1::1'] });
  }
  await externalNetwork('a', 'physnet1');
  await externalNetwork('b', 'physnet2');
  await settled();
  for (const { namespace } of Object.values(at)) {
    await once(lab.spawnInside(namespace, process.execPath, peer, 'serve', '80').stdout!, 'data');
  }
});

after(() => world?.[Symbol.asyncDispose]());

test('neighbours of each gateway are reached by it, and see its address', { skip }, () => {
  for (const { next, own } of Object.values(nets)) assert.equal(knock('plain', next[0]), own[0]);
  for (const { next } of Object.values(nets)) assert.equal(knock('plain', next[1]), guests.plain[1]);
});

test('the world is reached by the first gateway, by a floating IP as that, or by whichever a route says', {
  skip,
}, async () => {
  for (let n = 0; n < 4; n++) assert.equal(knock('plain', world4), nets.a.own[0]);
  assert.equal(knock('named', world4), floating);
  assert.equal(knock('a', floating), nets.a.next[0]);
  const routes = JSON.stringify([{ destination: '192.0.2.0/24', nexthop: nets.b.next[0] }]);
  await change(sql`update router set routes = ${routes}::jsonb where id = ${router}`);
  for (let n = 0; n < 4; n++) assert.equal(knock('plain', world4), nets.b.own[0]);
  await change(sql`update router set routes = '[]' where id = ${router}`);
});

test('from outside guests are reached by IPv6 over each gateway, and by their own IPv4 address over none', {
  skip,
}, () => {
  for (const [name, { next }] of Object.entries(nets)) {
    assert.equal(knock(name, guests.plain[1]), next[1], name);
    assert.equal(knock(name, guests.plain[0], 700), 'closed', name);
  }
});

test('where default routes of all count, connections take either', { skip }, async () => {
  await change(sql`update router set default_route_ecmp = true where id = ${router}`);
  const seen = new Set<string>();
  for (let n = 0; n < 60 && seen.size < 2; n++) seen.add(knock('plain', world4));
  assert.deepEqual([...seen].sort(), [nets.b.own[0], nets.a.own[0]].sort());
  await change(sql`update router set default_route_ecmp = false where id = ${router}`);
});

test('reachability says of each way what packets find', { skip }, async () => {
  const questions = [
    ...Object.values(nets).flatMap(({ next }) => next.map((address) => ['plain', address] as const)),
    ['plain', world4],
    ...Object.keys(nets).flatMap((name) => guests.plain.map((address) => [name, address] as const)),
    ['a', floating],
  ] as const;
  for (const [from, address] of questions) {
    const version = address.includes(':') ? 6 : 4;
    const outside = from in nets ? nets[from as Net].next[version === 4 ? 0 : 1] : undefined;
    const isGuest = guests.plain.some((own) => own === address);
    const to = isGuest ? { port: ports.plain! } : { address };
    const ends = [outside ? { address: outside } : { port: ports[from]! }, to] as const;
    const ground = await loadGround(world.db.database.query, ends, { asIfUp: true });
    const answer = reach(ground, { from: ends[0], to: ends[1], version, protocol: 6, port: 80 });
    const said = answer.reachable;
    const found = knock(from, address, said ? 8000 : 700) !== 'closed';
    assert.equal(said, found, `${from} to ${address}: ${JSON.stringify(answer)}`);
  }
});

test('when the first gateway goes, the other takes its place', { skip }, async () => {
  await world.cloud.run(sql`update floating_ip set port_id = null, fixed_ip = null, router_id = null`);
  await world.cloud.run(sql`delete from port_ip where port_id = ${gateways.a!}`);
  await change(sql`with gone as (delete from port where id = ${gateways.a!})
    update router set gateway_network_id = (select network_id from port where id = ${gateways.b!}) where id = ${router}`);
  for (const who of ['plain', 'named']) assert.equal(knock(who, world4), nets.b.own[0]);
});

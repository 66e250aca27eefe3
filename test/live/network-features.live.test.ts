/**
 * What is asked for by Neutron's API, tried by packets through real OVN: address pairs, tagged provider networks, networks that projects share,
 * service types of subnets, the template of rules, the topology that comes by itself, floating IPs that move, hardware addresses that change.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { type Me, type TestApi, testApi } from '../../api/openstack/network/testing.ts';
import { newId } from '../../contract/ids.ts';
import { type Projector, unit } from '../../control/network/ovn/index.ts';
import { testAdmin, testCaller } from '../../control/network/testing.ts';
import { type Endpoint, labMissing } from './ovn-lab.ts';
import { type ProjectedLab, projectedLab } from './projected-lab.ts';

const skip = labMissing() ?? false;
const host = newId();
const file = (name: string) => join(import.meta.dirname, name);
// biome-ignore lint/suspicious/noExplicitAny: tests look into answers as a client does
type Body = any;

const world: ProjectedLab = skip ? (undefined as never) : await projectedLab(host, ['physnet1']);
const api: TestApi = skip ? (undefined as never) : await testApi(world.db.database);
const admin: Me = skip ? (undefined as never) : api.as(testAdmin());
/** Plugged outside, where 203.0.113.0/24, 198.51.100.0/24 and 2001:db8::/64 are. */
let outside: Endpoint;
let external: Body;
const subnets: Record<'plain' | 'floating' | 'v6', Body> = { plain: null, floating: null, v6: null };

const settled = (...units: Parameters<Projector['reached']>[0]) =>
  world.projector.reached(units, { timeoutMs: 20_000 });

/** What is made by a POST or changed by a PUT. */
async function asked(me: Me, verb: 'post' | 'put', path: string, noun: string, wish: object): Promise<Body> {
  const { status, body } = await me[verb](path, { [noun]: wish });
  assert.ok(status === 200 || status === 201, `${path}: ${status} ${JSON.stringify(body)}`);
  return body[noun] ?? body;
}
const network = (me: Me, wish: object = {}) => asked(me, 'post', '/networks', 'network', { name: 'n', ...wish });
const subnet = (me: Me, network_id: string, cidr: string, wish: object = {}) =>
  asked(me, 'post', '/subnets', 'subnet', { network_id, cidr, ip_version: cidr.includes(':') ? 6 : 4, ...wish });
const rule = (me: Me, security_group_id: string, port: number, wish: object = {}) =>
  asked(me, 'post', '/security-group-rules', 'security_group_rule', {
    ...{ security_group_id, direction: 'ingress', protocol: 'tcp', port_range_min: port, port_range_max: port },
    ...wish,
  });
/** A group that lets in TCP to 80. */
async function web(me: Me): Promise<string> {
  const { id } = await asked(me, 'post', '/security-groups', 'security_group', { name: 'web' });
  await rule(me, id, 80);
  await rule(me, id, 80, { ethertype: 'IPv6' });
  return id;
}

interface Guest {
  id: string;
  mac: string;
  ips: string[];
  at: Endpoint;
}
let guests = 0;

/** A port of the caller's, and a namespace with its addresses, which answers TCP to these ports. */
async function guest(me: Me, wish: object, listens: number[] = [80]): Promise<Guest> {
  const { lab } = world;
  const port = await asked(me, 'post', '/ports', 'port', wish);
  const gateways: string[] = [];
  const addresses: string[] = [];
  for (const { subnet_id, ip_address } of port.fixed_ips) {
    const of = (await me.get(`/subnets/${subnet_id}`)).body.subnet;
    addresses.push(`${ip_address}/${of.cidr.split('/')[1]}`);
    if (of.gateway_ip) gateways.push(of.gateway_ip);
  }
  const at = lab.endpoint(`g${guests++}`, { iface: port.id, mac: port.mac_address, addresses, gateways });
  await plugged(port.id);
  for (const one of listens) await serve(at, one);
  return { id: port.id, mac: port.mac_address, ips: port.fixed_ips.map((ip: Body) => ip.ip_address), at };
}

async function plugged(id: string): Promise<void> {
  await settled(unit('port', id));
  await world.lab.until('the port is up', async () => {
    const { rows } = await sql`select from port where id = ${id} and observed_up`.execute(world.db.database.query);
    return rows.length === 1;
  });
}

async function serve({ namespace }: Endpoint, port: number): Promise<void> {
  const child = world.lab.spawnInside(namespace, process.execPath, file('ovn-peer.ts'), 'serve', String(port));
  await new Promise((resolve) => child.stdout!.once('data', resolve));
}
/** The address that was seen there, or `closed`. */
const knock = ({ namespace }: Endpoint, address: string, port = 80, ms = 5000): string =>
  world.lab.inside(namespace, process.execPath, file('ovn-peer.ts'), 'knock', address, String(port), String(ms)).trim();
const isClosed = (from: Endpoint, address: string, port = 80) =>
  assert.equal(knock(from, address, port, 600), 'closed', `${address}:${port}`);

/** A router with a way out, and these subnets behind it. */
async function router(me: Me, ...inside: Body[]): Promise<string> {
  const { id } = await asked(me, 'post', '/routers', 'router', {
    external_gateway_info: { network_id: external.id },
  });
  for (const { id: subnet_id } of inside) {
    const { status, body } = await me.put(`/routers/${id}/add_router_interface`, { subnet_id });
    assert.equal(status, 200, JSON.stringify(body));
  }
  return id;
}

before(async () => {
  if (skip) return;
  const { lab } = world;
  const physical = { 'provider:network_type': 'flat', 'provider:physical_network': 'physnet1' };
  external = await network(admin, { 'router:external': true, is_default: true, ...physical });
  const plain = { enable_dhcp: false };
  const types = (service: string) => ({ ...plain, service_types: [service] });
  subnets.plain = await subnet(admin, external.id, '203.0.113.0/24', types('network:router_gateway'));
  subnets.floating = await subnet(admin, external.id, '198.51.100.0/24', types('network:floatingip'));
  subnets.v6 = await subnet(admin, external.id, '2001:db8::/64', types('network:router_gateway'));
  const addresses = [subnets.plain, subnets.floating].map(({ gateway_ip }) => `${gateway_ip}/24`);
  outside = lab.endpoint('out', { bridge: 'br-ex', addresses: [...addresses, `${subnets.v6.gateway_ip}/64`] });
  await serve(outside, 80);
});

after(() => world?.[Symbol.asyncDispose]());

test('a guest speaks for the addresses that its pairs allow, of a range and of another card, and for no others', {
  skip,
}, async () => {
  const { lab } = world;
  const me = api.as(testCaller());
  const { id: network_id } = await network(me);
  await subnet(me, network_id, '10.1.0.0/24', { allocation_pools: [{ start: '10.1.0.10', end: '10.1.0.50' }] });
  await subnet(me, network_id, 'fd00:1::/64', { ipv6_ra_mode: 'slaac', ipv6_address_mode: 'slaac' });
  const security_groups = [await web(me)];
  const virtual = '00:00:5e:00:01:05';
  const allowed_address_pairs = [
    { ip_address: '10.1.0.64/28' },
    { ip_address: 'fd00:1::64:0/112' },
    { ip_address: '10.1.0.90', mac_address: virtual },
  ];
  const [a, b] = [
    await guest(me, { network_id, security_groups, allowed_address_pairs, fixed_ips: [{ ip_address: '10.1.0.5' }] }),
    await guest(me, { network_id, security_groups }),
  ];
  const target = b.ips.find((ip) => ip.includes('.'))!;
  const target6 = b.ips.find((ip) => ip.includes(':'))!;
  const poses = (mac: string, ...addresses: string[]) =>
    lab.configure(a.at, { mac, addresses, gateways: [], routes: [] });
  const says = (mac: string, address: string, to: string, ms = 5000) => {
    poses(mac, address);
    return knock(a.at, to, 80, ms);
  };
  assert.equal(says(a.mac, '10.1.0.70/24', target), '10.1.0.70');
  assert.equal(says(a.mac, 'fd00:1::64:9/64', target6), 'fd00:1::64:9');
  assert.equal(says(virtual, '10.1.0.90/24', target), '10.1.0.90');
  assert.equal(knock(b.at, '10.1.0.90'), target, 'and is reached there');
  for (const [mac, address, to] of [
    [a.mac, '10.1.0.80/24', target],
    [a.mac, 'fd00:1::65:9/64', target6],
    [virtual, '10.1.0.70/24', target],
    ['00:00:5e:00:01:06', '10.1.0.90/24', target],
  ] as const) {
    assert.equal(says(mac, address, to, 700), 'closed', `${mac} ${address}`);
  }
  await asked(me, 'put', `/ports/${a.id}`, 'port', { allowed_address_pairs: [] });
  await settled(unit('port', a.id));
  assert.equal(says(a.mac, '10.1.0.70/24', target, 700), 'closed');
  assert.equal(says(virtual, '10.1.0.90/24', target, 700), 'closed');
  assert.equal(says(a.mac, '10.1.0.5/24', target), '10.1.0.5');
});

test('a guest on a tagged provider network is on the cable by frames with that tag, and by no others', {
  skip,
}, async () => {
  const { id: network_id } = await network(admin, {
    ...{ 'provider:network_type': 'vlan', 'provider:physical_network': 'physnet1', 'provider:segmentation_id': 77 },
  });
  await subnet(admin, network_id, '10.77.0.0/24', { allocation_pools: [{ start: '10.77.0.10', end: '10.77.0.50' }] });
  const { id } = await asked(admin, 'post', '/security-groups', 'security_group', { name: 'ping' });
  for (const protocol of ['icmp', 'tcp'])
    await asked(admin, 'post', '/security-group-rules', 'security_group_rule', {
      ...{ security_group_id: id, direction: 'ingress', protocol },
    });
  const one = await guest(admin, { network_id, security_groups: [id] });
  const cable = world.lab.endpoint('cable', { bridge: 'br-ex', addresses: ['10.77.0.201/24'] });
  const tagged = (tag: number, ms: number) =>
    world.lab
      .inside(
        ...[cable.namespace, 'python3', file('tagged-peer.py'), '02:00:00:00:77:01', '10.77.0.200'],
        ...[String(tag), one.ips[0]!, String(ms)],
      )
      .trim();
  assert.equal(tagged(77, 8000), 'answered');
  assert.equal(tagged(78, 700), 'closed');
  isClosed(cable, one.ips[0]!);
});

test('guests of two projects meet on a network that one has given to the other, by its rules, and nobody else comes', {
  skip,
}, async () => {
  const callers = [testCaller(), testCaller(), testCaller()];
  const [alice, bob, carol] = callers.map((caller) => api.as(caller)) as [Me, Me, Me];
  const { id: network_id } = await network(alice);
  await subnet(alice, network_id, '10.3.0.0/24');
  await asked(alice, 'post', '/rbac-policies', 'rbac_policy', {
    ...{ object_type: 'network', object_id: network_id, action: 'access_as_shared' },
    target_tenant: callers[1]!.projectId,
  });
  const hers = await guest(alice, { network_id, security_groups: [await web(alice)] }, [80, 81]);
  const his = await guest(bob, { network_id });
  assert.equal(knock(his.at, hers.ips[0]!), his.ips[0]);
  isClosed(his.at, hers.ips[0]!, 81);
  isClosed(hers.at, his.ips[0]!);
  assert.equal((await carol.post('/ports', { port: { network_id } })).status, 404);
});

test('service types of subnets say where gateways and floating IPs are, and both work; a floating IP moves between guests', {
  skip,
}, async () => {
  const me = api.as(testCaller());
  const { id: network_id } = await network(me);
  const inside = await subnet(me, network_id, '10.4.0.0/24');
  const id = await router(me, inside);
  const security_groups = [await web(me)];
  await rule(me, security_groups[0]!, 81);
  const [first, second] = [
    await guest(me, { network_id, security_groups }, [80]),
    await guest(me, { network_id, security_groups }, [81]),
  ];
  await settled(unit('router', id));
  assert.match(knock(first.at, subnets.plain.gateway_ip), /^203\.0\.113\./);
  const wish = { floating_network_id: external.id, port_id: first.id };
  const floating = await asked(me, 'post', '/floatingips', 'floatingip', wish);
  const address = floating.floating_ip_address;
  assert.match(address, /^198\.51\.100\./);
  await settled(unit('router', id));
  assert.equal(knock(outside, address, 80), subnets.floating.gateway_ip);
  isClosed(outside, address, 81);
  assert.equal(knock(first.at, subnets.floating.gateway_ip), address);
  await asked(me, 'put', `/floatingips/${floating.id}`, 'floatingip', { port_id: second.id });
  await settled(unit('router', id));
  assert.equal(knock(outside, address, 81), subnets.floating.gateway_ip);
  isClosed(outside, address, 80);
  assert.equal(knock(second.at, subnets.floating.gateway_ip), address);
  assert.match(knock(first.at, subnets.plain.gateway_ip), /^203\.0\.113\./, 'and the first leaves as before');
});

test('a project’s first group has what the template says, and its guests let in just that', { skip }, async () => {
  const made = await asked(admin, 'post', '/default-security-group-rules', 'default_security_group_rule', {
    ...{ direction: 'ingress', ethertype: 'IPv4', protocol: 'tcp', port_range_min: 80, port_range_max: 80 },
    used_in_default_sg: true,
  });
  const me = api.as(testCaller());
  const { id: network_id } = await network(me);
  await subnet(me, network_id, '10.5.0.0/24');
  const target = await guest(me, { network_id }, [80, 81]);
  await admin.delete(`/default-security-group-rules/${made.id}`);
  const stranger = await guest(me, { network_id, security_groups: [await web(me)] });
  assert.equal(knock(stranger.at, target.ips[0]!), stranger.ips[0]);
  isClosed(stranger.at, target.ips[0]!, 81);
});

test('a guest on the topology that comes by itself has a way out, by IPv4 and IPv6', { skip }, async () => {
  const pool = (prefix: string, default_prefixlen: number) =>
    asked(admin, 'post', '/subnetpools', 'subnetpool', {
      name: 'p',
      prefixes: [prefix],
      default_prefixlen,
      is_default: true,
    });
  await pool('10.64.0.0/10', 26);
  await pool('2001:db8:100::/40', 64);
  const caller = testCaller();
  const me = api.as(caller);
  const { body } = await me.get(`/auto-allocated-topology/${caller.projectId}`);
  const network_id = body.auto_allocated_topology.id;
  const one = await guest(me, { network_id });
  const [made] = (await me.get('/routers')).body.routers;
  await settled(unit('router', made.id));
  assert.match(knock(one.at, subnets.plain.gateway_ip), /^203\.0\.113\./);
  const own = one.ips.find((ip) => ip.includes(':'))!;
  const [gateway6] = made.external_gateway_info.external_fixed_ips
    .map((ip: Body) => ip.ip_address)
    .filter((ip: string) => ip.includes(':'));
  world.lab.run('ip', '-n', outside.namespace, 'route', 'add', `${own}/128`, 'via', gateway6);
  assert.equal(knock(one.at, subnets.v6.gateway_ip), own);
});

test('a port whose hardware address is changed is reached by the new one, and not heard by the old one', {
  skip,
}, async () => {
  const { lab } = world;
  const { id: network_id } = await network(admin);
  await subnet(admin, network_id, '10.6.0.0/24');
  const security_groups = [await web(admin)];
  const [one, other] = [
    await guest(admin, { network_id, security_groups }),
    await guest(admin, { network_id, security_groups }),
  ];
  assert.equal(knock(other.at, one.ips[0]!), other.ips[0]);
  const mac = 'fa:16:3e:06:06:06';
  await asked(admin, 'put', `/ports/${one.id}`, 'port', { mac_address: mac });
  await settled(unit('port', one.id));
  lab.run('ip', '-n', other.at.namespace, 'neigh', 'flush', 'dev', 'eth0');
  const card = { addresses: [`${one.ips[0]}/24`], gateways: [], routes: [] };
  lab.configure(one.at, { mac: one.mac, ...card });
  assert.equal(knock(one.at, other.ips[0]!, 80, 700), 'closed');
  lab.configure(one.at, { mac, ...card });
  assert.equal(knock(one.at, other.ips[0]!), one.ips[0]);
  assert.equal(knock(other.at, one.ips[0]!), other.ips[0]);
});

/** Paths through real OVN, tried with packets: how long they may be, who translates, what opens and closes them; and what leases say. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { newId } from '../../contract/ids.ts';
import { type Projector, unit } from '../../control/network/ovn/index.ts';
import type { TestCloud } from '../simulated/ovn-cloud.ts';
import { type Endpoint, labMissing, type OvnLab } from './ovn-lab.ts';
import { type ProjectedLab, projectedLab } from './projected-lab.ts';

const skip = labMissing() ?? false;
const file = (name: string) => join(import.meta.dirname, name);
const timeoutMs = 15_000;

let world: ProjectedLab;
let lab: OvnLab;
let cloud: TestCloud;
const host = newId();
/** Ports and endpoints of guests: two on a network of 1442 bytes, one on a narrow one, one in the outside's address scope. */
const ids: Record<string, string> = {};
const at: Record<string, Endpoint> = {};
const macs: Record<string, string> = {};

const settled = (...units: Parameters<Projector['reached']>[0]) => world.projector.reached(units, { timeoutMs });
const node = (from: Endpoint, script: string, ...args: string[]) =>
  lab.inside(from.namespace, process.execPath, file(script), ...args).trim();
const knock = (from: Endpoint, address: string, port: number, ms = 4000) =>
  node(from, 'ovn-peer.ts', 'knock', address, String(port), String(ms));
const ask = (from: string, address: string, size: number, whole = true) =>
  lab
    .inside(
      at[from]!.namespace,
      'python3',
      file('path-mtu.py'),
      'ask',
      address,
      '9',
      String(size),
      ...(whole ? ['whole'] : []),
    )
    .trim();

async function serve(on: Endpoint, command: string, ...args: string[]): Promise<void> {
  const child = lab.spawnInside(on.namespace, command, ...args);
  await new Promise((resolve) => child.stdout!.once('data', resolve));
}

/** A network with a subnet of each version behind the router, and guests on it. */
async function inside(n: number, mtu: number, guests: string[], row: Record<string, unknown> = {}): Promise<void> {
  const network = await cloud.network({ name: `of ${mtu}`, mtu });
  ids[`net${n}`] = network;
  const v4 = await cloud.subnet(network, `10.${n}.0.0/24`, { gateway_ip: `10.${n}.0.1`, ...row });
  const modes = { ipv6_address_mode: 'slaac', ipv6_ra_mode: 'slaac' };
  const v6 = await cloud.subnet(network, `fd00:${n}::/64`, { gateway_ip: `fd00:${n}::1`, ...modes });
  ids[`interface${n}`] = await cloud.interface(ids.router!, network, [
    { subnet: v4, ip: `10.${n}.0.1` },
    { subnet: v6, ip: `fd00:${n}::1` },
  ]);
  for (const [index, who] of guests.entries()) {
    const mac = `fa:16:3e:0${n}:00:0${index + 1}`;
    const own = cloud.slaac(v6, `fd00:${n}::/64`, mac);
    const ip = `10.${n}.0.1${index + 1}`;
    ids[who] = await cloud.port(network, [{ subnet: v4, ip }, own], { mac }, [ids.group!]);
    const fixed = { addresses: [`${ip}/24`, `${own.ip}/64`], gateways: [`10.${n}.0.1`, `fd00:${n}::1`] };
    at[who] = lab.endpoint(who, { iface: ids[who]!, mac, ...fixed });
    lab.run('ip', '-n', at[who]!.namespace, 'link', 'set', 'eth0', 'mtu', String(mtu));
    // A default route by advertisement comes at any time, and knows nothing of the MTU that was learnt on the one before it.
    lab.inside(at[who]!.namespace, 'sysctl', '-qw', 'net.ipv6.conf.eth0.accept_ra=0');
    macs[who] = mac;
    ids[`${who}-v4`] = ip;
    ids[`${who}-v6`] = own.ip;
  }
}

before(async () => {
  if (skip) return;
  world = await projectedLab(host, ['physnet1']);
  ({ lab, cloud } = world);
  ids.group = await cloud.securityGroup();
  await cloud.rule(ids.group, {});
  await cloud.rule(ids.group, { ethertype: 'IPv6' });
  ids.scope = await cloud.insert('address_scope', { id: newId(), project_id: cloud.project, ip_version: 4 });
  ids.pool = newId();
  await cloud.run(sql`insert into subnet_pool (id, project_id, ip_version, prefixes, min_prefix_length, max_prefix_length, default_prefix_length, address_scope_id)
    values (${ids.pool}, ${cloud.project}, 4, '{0.0.0.0/1}', 8, 32, 24, ${ids.scope})`);
  ids.ext = await cloud.external();
  const scoped = { subnet_pool_id: ids.pool };
  const plain = { gateway_ip: '203.0.113.254', enable_dhcp: false };
  const ext4 = await cloud.subnet(ids.ext, '203.0.113.0/24', { ...plain, ...scoped });
  const ext6 = await cloud.subnet(ids.ext, '2001:db8::/64', { ...plain, gateway_ip: '2001:db8::fe' });
  at.outside = lab.endpoint('out', { bridge: 'br-ex', addresses: ['203.0.113.254/24', '2001:db8::fe/64'] });
  ids.router = await cloud.router();
  await inside(1, 1442, ['wide', 'wide2']);
  await inside(2, 1300, ['narrow']);
  await inside(3, 1442, ['scoped'], scoped);
  await cloud.gateway(ids.router, ids.ext, [
    { subnet: ext4, ip: '203.0.113.1' },
    { subnet: ext6, ip: '2001:db8::1' },
  ]);
  const route = (prefix: string, via: string) =>
    lab.run('ip', '-n', at.outside!.namespace, 'route', 'add', prefix, 'via', via);
  route('10.3.0.0/24', '203.0.113.1');
  for (const n of [1, 2, 3]) route(`fd00:${n}::/64`, '2001:db8::1');
  const guests = ['wide', 'wide2', 'narrow', 'scoped'];
  // The interfaces too: while something runs inside, nothing more is projected.
  const ports = [...guests, 'interface1', 'interface2', 'interface3'];
  await settled(...ports.map((who) => unit('port', ids[who]!)), unit('router', ids.router));
  for (const who of [...guests, 'outside']) {
    await serve(at[who]!, process.execPath, file('ovn-peer.ts'), 'serve', '80');
    await serve(at[who]!, 'python3', file('path-mtu.py'), 'echo', '9');
  }
  assert.equal(knock(at.wide!, ids['wide2-v4']!, 80, 10_000), ids['wide-v4']);
});

after(() => world?.[Symbol.asyncDispose]());

test('a packet of the MTU passes whole, and one byte more is answered with the MTU of the path, by IPv4 and IPv6', {
  skip,
}, () => {
  for (const [from, to, mtu] of [
    ['wide', 'wide2', 1442],
    ['wide', 'narrow', 1300],
    ['outside', 'scoped', 1442],
  ] as const) {
    for (const version of ['v4', 'v6']) {
      const address = ids[`${to}-${version}`]!;
      assert.equal(ask(from, address, mtu), 'answered', `${from} to ${to} by ${version}`);
      assert.equal(ask(from, address, mtu + 1), String(mtu), `${from} to ${to} by ${version}, one byte more`);
    }
  }
});

test('what is longer than the path passes in fragments, both ways', { skip }, () => {
  for (const [from, to] of [
    ['wide', 'wide2'],
    ['wide', 'narrow'],
    ['narrow', 'wide'],
  ] as const) {
    for (const version of ['v4', 'v6']) {
      assert.equal(ask(from, ids[`${to}-${version}`]!, 4000, false), 'answered', `${from} to ${to} by ${version}`);
    }
  }
});

test('IPv4 of the address scope that the outside is of goes out and comes in as it is; that of others is translated', {
  skip,
}, () => {
  assert.equal(knock(at.scoped!, '203.0.113.254', 80), ids['scoped-v4']);
  assert.equal(knock(at.outside!, ids['scoped-v4']!, 80), '203.0.113.254');
  assert.equal(knock(at.wide!, '203.0.113.254', 80), '203.0.113.1');
});

test('a rule for an address group lets in who is in it, from the moment on that it is, and no longer', {
  skip,
}, async () => {
  const group = await cloud.securityGroup();
  const addresses = newId();
  await cloud.insert('address_group', { id: addresses, project_id: cloud.project });
  for (const ethertype of ['IPv4', 'IPv6']) await cloud.rule(group, { ethertype, remote_address_group_id: addresses });
  await cloud.run(sql`update port_security_group set security_group_id = ${group} where port_id = ${ids.wide2}`);
  await cloud.run(sql`update port set generation = generation + 1 where id = ${ids.wide2}`);
  const holds = async (list: string[]) => {
    await cloud.run(sql`update address_group set addresses = ${list}::cidr[] where id = ${addresses}`);
    await settled(unit('address_group', addresses), unit('security_group', group), unit('port', ids.wide2!));
  };
  await holds(['10.1.0.99/32']);
  for (const version of ['v4', 'v6'])
    assert.equal(knock(at.wide!, ids[`wide2-${version}`]!, 80, 700), 'closed', version);
  await holds([`${ids['wide-v4']}/32`, 'fd00:1::/64']);
  for (const version of ['v4', 'v6']) {
    assert.equal(knock(at.wide!, ids[`wide2-${version}`]!, 80), ids[`wide-${version}`], version);
  }
  await holds([]);
  assert.equal(knock(at.wide!, ids['wide2-v4']!, 80, 700), 'closed');
  await cloud.run(sql`update port_security_group set security_group_id = ${ids.group} where port_id = ${ids.wide2}`);
  await cloud.run(sql`update port set generation = generation + 1 where id = ${ids.wide2}`);
  await settled(unit('port', ids.wide2!));
});

test('a network that is down carries nothing, inside and through its router, until it is up again', {
  skip,
}, async () => {
  const set = async (up: boolean) => {
    await cloud.run(sql`update network set admin_state_up = ${up} where id = ${ids.net1}`);
    const ports = ['wide', 'wide2', 'interface1'];
    await settled(...ports.map((who) => unit('port', ids[who]!)), unit('router', ids.router!));
  };
  await set(false);
  assert.equal(knock(at.wide!, ids['wide2-v4']!, 80, 700), 'closed');
  assert.equal(knock(at.narrow!, ids['wide-v6']!, 80, 700), 'closed');
  await set(true);
  assert.equal(knock(at.wide!, ids['wide2-v4']!, 80), ids['wide-v4']);
  assert.equal(knock(at.narrow!, ids['wide-v6']!, 80), ids['narrow-v6']);
});

const lease = (who: string, ...how: string[]) => JSON.parse(node(at[who]!, 'ovn-dhcp.ts', macs[who]!, ...how));

test("a change of a network's MTU is in the next lease and in the next router advertisement", { skip }, async () => {
  const { namespace } = at.wide2!;
  lab.run('ip', '-n', namespace, 'route', 'add', '255.255.255.255', 'dev', 'eth0');
  assert.equal(lease('wide2').mtu, 1442);
  await cloud.run(sql`update network set mtu = 1400 where id = ${ids.net1}`);
  await settled(unit('network', ids.net1!), unit('router', ids.router!));
  assert.equal(lease('wide2').mtu, 1400);
  lab.inside(namespace, 'sysctl', '-qw', 'net.ipv6.conf.eth0.accept_ra=2');
  for (const way of ['down', 'up']) lab.run('ip', '-n', namespace, 'link', 'set', 'eth0', way);
  await lab.until('the advertisement', () =>
    /default via fe80::.* mtu 1400/.test(lab.run('ip', '-n', namespace, '-6', 'route')),
  );
  lab.run('ip', '-n', namespace, 'route', 'replace', 'default', 'via', '10.1.0.1');
  lab.run('ip', '-n', namespace, 'route', 'replace', '255.255.255.255', 'dev', 'eth0');
});

const hex = (text: string) => Buffer.from(text).toString('hex');

test('a lease tells a port’s name, and nothing where it has none', { skip }, async () => {
  assert.equal(lease('wide2', 'all')[12], undefined);
  await cloud.run(sql`update port set dns_name = 'hut.example.' where id = ${ids.wide2}`);
  await settled(unit('port', ids.wide2!));
  assert.equal(lease('wide2', 'all')[12], hex('hut'));
});

const nine = '0a010009';
/** Name, value, code, bytes: all that OVN is told; the next server stands by 0. */
const options: [name: string, value: string, code: number, bytes: string][] = [
  ['router', '10.1.0.9', 3, nine],
  ['dns-server', '10.1.0.9, 9.9.9.9', 6, `${nine}09090909`],
  ['log-server', '10.1.0.9', 7, nine],
  ['lpr-server', '10.1.0.9', 9, nine],
  ['domain-name', 'a.example', 15, hex('a.example')],
  ['swap-server', '10.1.0.9', 16, nine],
  ['ip-forward-enable', 'true', 19, '01'],
  ['policy-filter', '10.1.0.9', 21, nine],
  ['default-ttl', '7', 23, '07'],
  ['mtu', '1399', 26, '0577'],
  ['router-discovery', '1', 31, '01'],
  ['router-solicitation', '10.1.0.9', 32, nine],
  ['arp-timeout', '60', 35, '0000003c'],
  ['ethernet-encap', '1', 36, '01'],
  ['tcp-ttl', '9', 37, '09'],
  ['tcp-keepalive', '60', 38, '0000003c'],
  ['nis-server', '10.1.0.9', 41, nine],
  ['ntp-server', '10.1.0.9', 42, nine],
  ['lease-time', '600', 51, '00000258'],
  ['T1', '300', 58, '0000012c'],
  ['T2', '500', 59, '000001f4'],
  ['tftp-server', 'tftp.example', 66, hex('tftp.example')],
  ['bootfile-name', 'pxelinux.0', 67, hex('pxelinux.0')],
  ['domain-search', 'a.example', 119, `0161${hex('\u0007example')}00`],
  ['classless-static-route', '198.51.100.0/24, 10.1.0.9', 121, `18c63364${nine}`],
  ['tftp-server-address', '10.1.0.9', 150, nine],
  ['path-prefix', '/x', 210, hex('/x')],
  ['ms-classless-static-route', '198.51.100.0/24, 10.1.0.9', 249, `18c63364${nine}`],
  ['wpad', 'http://p/', 252, hex('http://p/')],
  ['server-ip-address', '10.1.0.9', 0, nine],
  ['netmask', '255.255.255.128', 1, 'ffffff80'],
  ['server-id', '10.1.0.9', 54, nine],
];

test('each DHCP option of a port is in its lease, as the standard writes it', { skip }, async () => {
  const told = options.map(([opt_name, opt_value]) => ({ opt_name, opt_value, ip_version: 4 }));
  await cloud.run(sql`update port set extra_dhcp_opts = ${JSON.stringify(told)}::jsonb where id = ${ids.wide2}`);
  await settled(unit('port', ids.wide2!));
  const got: Record<string, string> = lease('wide2', 'all');
  assert.deepEqual(
    Object.fromEntries(options.map(([name, , code]) => [name, got[code]])),
    Object.fromEntries(options.map(([name, , , bytes]) => [name, bytes])),
  );
});

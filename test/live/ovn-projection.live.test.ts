/** The projection against real OVN: what tenants are promised, seen from inside namespaces that stand for guests. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { newId } from '../../contract/ids.ts';
import type { TestDatabase } from '../../control/kit/database/testing.ts';
import { eui64 } from '../../control/network/ovn/address.ts';
import { names, type Projector, unit } from '../../control/network/ovn/index.ts';
import { ovnNames } from '../../control/network/port/dhcp-options.ts';
import type { CardLimits } from '../../control/network/port/tables.ts';
import { TestCloud } from '../simulated/ovn-cloud.ts';
import { type Endpoint, labMissing, type OvnLab } from './ovn-lab.ts';
import { type ProjectedLab, projectedLab } from './projected-lab.ts';

const skip = labMissing() ?? false;
const peer = join(import.meta.dirname, 'ovn-peer.ts');
const dhcp = join(import.meta.dirname, 'ovn-dhcp.ts');
const starving = join(import.meta.dirname, 'dhcp-starving.py');
const timeoutMs = 15_000;

let world: ProjectedLab;
let lab: OvnLab;
let db: TestDatabase;
let projector: Projector;
let cloud: TestCloud;
const host = newId();
const ids: Record<string, string> = {};
const at: Record<string, Endpoint> = {};
const v6 = 'fd00:1::/64';

const knock = (from: Endpoint, address: string, port: number, ms = 3000): string =>
  lab.inside(from.namespace, process.execPath, peer, 'knock', address, String(port), String(ms)).trim();
const isClosed = (from: Endpoint, address: string, port: number) =>
  assert.equal(knock(from, address, port, 500), 'closed');
const settled = (...units: Parameters<Projector['reached']>[0]) => projector.reached(units, { timeoutMs });

async function serve(on: Endpoint, port: number, mode: 'serve' | 'pour' = 'serve'): Promise<void> {
  const child = lab.spawnInside(on.namespace, process.execPath, peer, mode, String(port));
  await new Promise((resolve) => child.stdout!.once('data', resolve));
}

/** A router with one IPv4 and one IPv6 subnet inside, outside on the external network. */
async function tenant(
  project: TestCloud,
  name: string,
  inside: { v4: string; v6: string },
  outside: { v4: string; v6: string },
) {
  const net = await project.network({ name: `小屋 🏔 "${name}"; drop` });
  ids[`${name}-net`] = net;
  const [p4, p6] = [inside.v4.replace('0/24', ''), inside.v6.replace('/64', '')];
  const s4 = await project.subnet(net, inside.v4, { gateway_ip: `${p4}1`, dns_nameservers: ['9.9.9.9'] });
  ids[`${name}-metadata`] = await project.metadataPort(net, [{ subnet: s4, ip: `${p4}2` }]);
  const modes = { ipv6_address_mode: 'slaac', ipv6_ra_mode: 'slaac' };
  const s6 = await project.subnet(net, inside.v6, { gateway_ip: `${p6}1`, ...modes });
  const router = await project.router({ name });
  ids[`${name}-router`] = router;
  await project.interface(router, net, [
    { subnet: s4, ip: `${p4}1` },
    { subnet: s6, ip: `${p6}1` },
  ]);
  await project.gateway(router, ids.ext!, [
    { subnet: ids.ext4!, ip: outside.v4 },
    { subnet: ids.ext6!, ip: outside.v6 },
  ]);
  const guest = async (who: string, last: string, groups: string[], row: Record<string, unknown> = {}) => {
    const mac = project.mac().replace('fa:16:3e:00', name === 'red' ? 'fa:16:3e:01' : 'fa:16:3e:02');
    const ip6 = eui64(inside.v6, mac);
    const port = await project.port(
      net,
      [
        { subnet: s4, ip: `${p4}${last}` },
        { subnet: s6, ip: ip6 },
      ],
      { mac, ...row },
      groups,
    );
    ids[who] = port;
    ids[`${who}-v4`] = `${p4}${last}`;
    ids[`${who}-v6`] = ip6;
    const fixed = { addresses: [`${p4}${last}/24`, `${ip6}/64`], gateways: [`${p4}1`, `${p6}1`] };
    at[who] = lab.endpoint(who, { iface: port, mac, ...(row.name === 'automatic' ? { addresses: [] } : fixed) });
  };
  return { net, router, guest };
}

before(async () => {
  if (skip) return;
  world = await projectedLab(host, ['physnet1', 'physnet2']);
  ({ lab, db, projector, cloud } = world);
  ids.ext = await cloud.external();
  ids.ext4 = await cloud.subnet(ids.ext, '203.0.113.0/24', { gateway_ip: '203.0.113.254', enable_dhcp: false });
  ids.ext6 = await cloud.subnet(ids.ext, '2001:db8::/64', { gateway_ip: '2001:db8::fe', enable_dhcp: false });
  at.outside = lab.endpoint('out', { bridge: 'br-ex', addresses: ['203.0.113.254/24', '2001:db8::fe/64'] });

  ids.group = await cloud.securityGroup({ name: 'web' });
  await cloud.rule(ids.group, { protocol: 'tcp', port_range_min: 80, port_range_max: 80 });
  await cloud.rule(ids.group, { protocol: 'tcp', port_range_min: 80, port_range_max: 80, ethertype: 'IPv6' });
  await cloud.rule(ids.group, { protocol: 'tcp', port_range_min: 82, port_range_max: 82, remote_group_id: ids.group });
  await cloud.rule(ids.group, { protocol: 'tcp', port_range_min: 90, port_range_max: 90 });
  const red = await tenant(cloud, 'red', { v4: '10.1.0.0/24', v6 }, { v4: '203.0.113.1', v6: '2001:db8::1' });
  await red.guest('r1', '11', [ids.group], { host_id: host });
  await red.guest('r2', '12', [ids.group]);
  await red.guest('r3', '13', [ids.group], { name: 'automatic' });
  const other = new TestCloud(db.database);
  ids.open = await other.securityGroup({ name: 'open' });
  await other.rule(ids.open, {});
  await other.rule(ids.open, { ethertype: 'IPv6' });
  const blue = await tenant(
    other,
    'blue',
    { v4: '10.2.0.0/24', v6: 'fd00:2::/64' },
    { v4: '203.0.113.2', v6: '2001:db8::2' },
  );
  await blue.guest('b1', '11', [ids.open]);
  ids.floating1 = await cloud.floatingIp(
    { network: ids.ext, subnet: ids.ext4, ip: '203.0.113.11' },
    { port: ids.r1!, ip: '10.1.0.11', router: red.router },
  );
  ids.floating2 = await cloud.floatingIp(
    { network: ids.ext, subnet: ids.ext4, ip: '203.0.113.12' },
    { port: ids.r2!, ip: '10.1.0.12', router: red.router },
  );
  lab.run('ip', '-n', at.outside.namespace, 'route', 'add', v6, 'via', '2001:db8::1');
  const units = ['r1', 'r2', 'r3', 'b1'].map((who) => unit('port', ids[who]!));
  await settled(...units, unit('router', red.router), unit('router', blue.router));
  for (const who of ['r1', 'r2', 'b1']) for (const port of [80, 81, 82]) await serve(at[who]!, port);
  await serve(at.outside, 80);
});

after(() => world?.[Symbol.asyncDispose]());

test('ports that are plugged are recorded as up', { skip }, async () => {
  const up = async () =>
    (await sql`select id from port where observed_up and device_owner = 'compute:nova'`.execute(db.database.query)).rows
      .length;
  await lab.until('all ports are up', async () => (await up()) === 4);
});

test('the OVN that is here says which it is', { skip }, () => {
  const { version, lacks } = projector.features()!;
  assert.match(version!, /^\d+\.\d+\.\d+-/);
  if (version!.startsWith('23.03.'))
    assert.deepEqual(
      lacks.map(({ feature }) => feature),
      ['dhcpv6_fqdn', 'acl_sampling'],
    );
});

test('a guest is given its address, routes and MTU by DHCP', { skip }, () => {
  const { namespace } = at.r3!;
  lab.run('ip', '-n', namespace, 'route', 'add', '255.255.255.255', 'dev', 'eth0');
  const mac = lab.inside(namespace, 'cat', '/sys/class/net/eth0/address').trim();
  assert.deepEqual(JSON.parse(lab.inside(namespace, process.execPath, dhcp, mac)), {
    ip: '10.1.0.13',
    server: '10.1.0.1',
    mask: '255.255.255.0',
    router: '10.1.0.1',
    dns: '9.9.9.9',
    mtu: 1442,
    seconds: 43200,
    routes: ['169.254.169.254/32 10.1.0.2', '0.0.0.0/0 10.1.0.1'],
    boot: null,
  });
});

test('a port’s own DHCP options reach its guest beside those of its network, and OVN knows all that we take', {
  skip,
}, async () => {
  const { namespace } = at.r3!;
  const options = [
    { opt_name: 'bootfile-name', opt_value: 'pxelinux.0', ip_version: 4 },
    { opt_name: 'mtu', opt_value: '1400', ip_version: 4 },
  ];
  const tell = (list: unknown[]) =>
    cloud.run(sql`update port set extra_dhcp_opts = ${JSON.stringify(list)}::jsonb where id = ${ids.r3}`);
  const ask = () => {
    const mac = lab.inside(namespace, 'cat', '/sys/class/net/eth0/address').trim();
    const { ip, mtu, boot, dns } = JSON.parse(lab.inside(namespace, process.execPath, dhcp, mac));
    return { ip, mtu, boot, dns };
  };
  await tell(options);
  await settled(unit('port', ids.r3!));
  assert.deepEqual(ask(), { ip: '10.1.0.13', mtu: 1400, boot: 'pxelinux.0', dns: '9.9.9.9' });
  const names = (table: string) =>
    new Set(lab.run('ovn-sbctl', `--db=${lab.southbound}`, '--bare', '--columns=name', 'list', table).split(/\s+/));
  const known = { 4: names('DHCP_Options'), 6: names('DHCPv6_Options') };
  for (const version of [4, 6] as const) {
    assert.deepEqual(
      ovnNames(version).filter((name) => !known[version].has(name)),
      [],
    );
  }
  await tell([]);
  await settled(unit('port', ids.r3!));
  assert.deepEqual(ask(), { ip: '10.1.0.13', mtu: 1442, boot: null, dns: '9.9.9.9' });
});

test('a guest makes itself the IPv6 address that the cloud expects, and finds its router', { skip }, async () => {
  const { namespace } = at.r3!;
  // Up again with the kernel's own behaviour: it asks for a router advertisement.
  lab.inside(namespace, 'sysctl', '-qw', 'net.ipv6.conf.eth0.autoconf=1', 'net.ipv6.conf.eth0.accept_ra=2');
  lab.run('ip', '-n', namespace, 'link', 'set', 'eth0', 'down');
  lab.run('ip', '-n', namespace, 'link', 'set', 'eth0', 'up');
  await lab.until('the address', () => lab.run('ip', '-n', namespace, '-6', 'addr').includes(ids['r3-v6']!));
  assert.match(lab.run('ip', '-n', namespace, '-6', 'route'), /default via fe80::.* mtu 1442/);
  assert.equal(knock(at.r3!, ids['r2-v6']!, 80), ids['r3-v6']);
});

test('the metadata address answers on the network', { skip }, async () => {
  const { rows } = await sql<{ mac: string }>`select mac::text from port where id = ${ids['red-metadata']}`.execute(
    db.database.query,
  );
  const metadata = lab.endpoint('md', {
    iface: ids['red-metadata']!,
    mac: rows[0]!.mac,
    addresses: ['10.1.0.2/24', '169.254.169.254/32'],
  });
  await serve(metadata, 80);
  lab.run('ip', '-n', at.r1!.namespace, 'route', 'add', '169.254.169.254', 'via', '10.1.0.2');
  assert.equal(knock(at.r1!, '169.254.169.254', 80), ids['r1-v4']);
});

test('guests of one network reach each other, on open ports only, by IPv4 and IPv6', { skip }, () => {
  assert.equal(knock(at.r1!, ids['r2-v4']!, 80), ids['r1-v4']);
  assert.equal(knock(at.r1!, ids['r2-v6']!, 80), ids['r1-v6']);
  isClosed(at.r1!, ids['r2-v4']!, 81);
  isClosed(at.r1!, ids['r2-v6']!, 81);
});

test('a rule for a remote group lets in members, and nobody else', { skip }, () => {
  assert.equal(knock(at.r1!, ids['r2-v4']!, 82), ids['r1-v4']);
  isClosed(at.outside!, '203.0.113.12', 82);
});

test('guests reach the outside: IPv4 behind the gateway, IPv6 as they are', { skip }, () => {
  assert.equal(knock(at.b1!, '203.0.113.254', 80), '203.0.113.2');
  assert.equal(knock(at.r1!, '2001:db8::fe', 80), ids['r1-v6']);
  assert.equal(knock(at.outside!, ids['r1-v6']!, 80), '2001:db8::fe');
  isClosed(at.outside!, ids['r1-v6']!, 81);
});

test("floating IPs work, on the guest's host and by the gateway", { skip }, () => {
  assert.equal(knock(at.outside!, '203.0.113.11', 80), '203.0.113.254');
  assert.equal(knock(at.outside!, '203.0.113.12', 80), '203.0.113.254');
  isClosed(at.outside!, '203.0.113.11', 81);
  assert.equal(knock(at.r1!, '203.0.113.254', 80), '203.0.113.11');
  assert.equal(knock(at.r2!, '203.0.113.254', 80), '203.0.113.12');
  assert.equal(knock(at.b1!, '203.0.113.11', 80), '203.0.113.2');
});

test('a rule change acts within a second, both ways', { skip }, async () => {
  const child = lab.spawnInside(at.r1!.namespace, process.execPath, peer, 'knock', ids['r2-v4']!, '81', '10000');
  const opened = new Promise<string>((resolve) => child.stdout!.once('data', (data) => resolve(String(data).trim())));
  await new Promise((resolve) => setTimeout(resolve, 300));
  let start = performance.now();
  const rule = await cloud.rule(ids.group!, { protocol: 'tcp', port_range_min: 81, port_range_max: 81 });
  assert.equal(await opened, ids['r1-v4']);
  const openMs = performance.now() - start;
  start = performance.now();
  await cloud.run(sql`delete from security_group_rule where id = ${rule}`);
  await settled(unit('security_group', ids.group!));
  const closeMs = performance.now() - start;
  isClosed(at.r1!, ids['r2-v4']!, 81);
  console.log(`# opened in ${openMs.toFixed(0)} ms, closed in ${closeMs.toFixed(0)} ms`);
  assert.ok(openMs < 1000 && closeMs < 1000, `${openMs} ${closeMs}`);
});

test("projects do not reach each other, not even by a route through the other's gateway", { skip }, async () => {
  isClosed(at.r1!, ids['b1-v4']!, 80);
  isClosed(at.r1!, ids['b1-v6']!, 80);
  // The blue guest lets everything in; only the routers stand between.
  await cloud.run(sql`update router set routes = ${JSON.stringify([{ destination: '10.2.0.0/24', nexthop: '203.0.113.2' }])}
    where id = ${ids['red-router']}`);
  await settled(unit('router', ids['red-router']!));
  isClosed(at.r1!, ids['b1-v4']!, 80);
  // Not even one way, as for a datagram that needs no answer.
  const mac = lab.inside(at.r1!.namespace, 'cat', '/sys/class/net/eth0/address').trim();
  const { rows } = await sql<{ mac: string }>`select mac::text from port join port_ip on id = port_id
    where ip = '10.1.0.1' and device_owner = 'network:router_interface'`.execute(db.database.query);
  const traced = lab.trace(
    names.switch(ids['red-net']!),
    `inport == "${ids.r1}" && eth.src == ${mac} && eth.dst == ${rows[0]!.mac} && ip.ttl == 64 && ip4.src == ${ids['r1-v4']} && ip4.dst == ${ids['b1-v4']} && udp.dst == 9`,
  );
  assert.ok(!traced.includes(ids.b1!), traced);
  await cloud.run(sql`update router set routes = '[]' where id = ${ids['red-router']}`);
});

test('a guest cannot pose as another guest, as DHCP server or by redirects', { skip }, () => {
  const mac = lab.inside(at.r1!.namespace, 'cat', '/sys/class/net/eth0/address').trim();
  const trace = (match: string) =>
    lab.trace(names.switch(ids['red-net']!), `inport == "${ids.r1}" && eth.src == ${mac} && ${match}`);
  const passes = (match: string) => trace(match).includes(`output("${ids.r2}")`);
  const to = `eth.dst == ${lab.inside(at.r2!.namespace, 'cat', '/sys/class/net/eth0/address').trim()} && ip.ttl == 64`;
  const v4 = (src: string) => `${to} && ip4.src == ${src} && ip4.dst == ${ids['r2-v4']}`;
  assert.equal(passes(`${v4(ids['r1-v4']!)} && tcp.dst == 80`), true, 'the honest packet passes');
  assert.equal(passes(`${v4('10.1.0.99')} && tcp.dst == 80`), false, 'a foreign source');
  assert.equal(passes(`${v4(ids['r1-v4']!)} && udp.src == 67 && udp.dst == 68`), false, 'DHCP answers');
  const lla = eui64('fe80::/64', mac);
  const nd = (type: number) =>
    `eth.dst == 33:33:00:00:00:01 && ip6.src == ${lla} && ip6.dst == ff02::1 && ip.ttl == 255 && icmp6.type == ${type} && icmp6.code == 0`;
  assert.equal(passes(nd(137)), false, 'redirects');
});

test('a guest that asks for leases under thousands of names is given its own address alone, and others go on', {
  skip,
}, async () => {
  const starve = (count: number, source: 'own' | 'foreign') =>
    JSON.parse(lab.inside(at.r1!.namespace, 'python3', starving, String(count), source)) as Record<string, number>;
  const used = async () =>
    (
      await sql`select from port_ip i join port p on p.id = i.port_id where p.network_id = ${ids['red-net']}`.execute(
        db.database.query,
      )
    ).rows.length;
  const before = await used();
  const own = ids['r1-v4'];
  const { [`OFFER ${own}`]: offers, [`ACK ${own}`]: leases, ...refused } = starve(1000, 'own');
  assert.deepEqual([offers, leases], [1000, 500]);
  assert.deepEqual(refused, { 'NAK 0.0.0.0': 500 }, 'who asks for another address is refused');
  assert.deepEqual(starve(3000, 'foreign'), {}, 'no frame from another address than the card’s is answered');
  assert.equal(await used(), before);

  const child = lab.spawnInside(at.r1!.namespace, 'python3', starving, '0', 'own');
  await new Promise((resolve) => child.stdout!.once('data', resolve));
  const mac = lab.inside(at.r3!.namespace, 'cat', '/sys/class/net/eth0/address').trim();
  lab.run('ip', '-n', at.r3!.namespace, 'route', 'replace', '255.255.255.255', 'dev', 'eth0');
  for (let times = 0; times < 3; times++) {
    const { ip } = JSON.parse(lab.inside(at.r3!.namespace, process.execPath, dhcp, mac));
    assert.equal(ip, '10.1.0.13');
  }
  assert.equal(knock(at.r1!, ids['r2-v4']!, 80), own, 'its own connections too');
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await ended;
});

/** Sends an ICMPv6 message of each of these types to all nodes, with the hop limit that neighbour discovery asks for. perl is on every Debian. */
const saying = `
use Socket qw(:all);
my ($source, $mac, $index, @types) = @ARGV;
socket(my $s, AF_INET6, SOCK_RAW, 58) or die;
setsockopt($s, 41, 18, pack('i', 255)) or die; # IPV6_MULTICAST_HOPS
my $self = inet_pton(AF_INET6, $source);
bind($s, pack_sockaddr_in6(0, $self, $index)) or die "bind: $!";
for my $type (@types) {
  my %body = (134 => pack('CCnNN', 64, 0, 1800, 0, 0), 137 => pack('N', 0) . $self . $self);
  my $link = pack('CCH12', $type == 134 ? 1 : 2, 1, $mac =~ s/://gr);
  send($s, pack('CCn', $type, 0, 0) . $body{$type} . $link, 0, pack_sockaddr_in6(0, inet_pton(AF_INET6, 'ff02::1'), $index)) or die "send: $!";
}`;
/** Prints the types of what it hears from an address. */
const hearing = `
use Socket qw(:all); $| = 1;
socket(my $s, AF_INET6, SOCK_RAW, 58) or die;
print "ready\\n";
while (my $from = recv($s, my $data, 2000, 0)) {
  print ord($data), "\\n" if (unpack_sockaddr_in6($from))[1] eq inet_pton(AF_INET6, $ARGV[0]);
}`;

test('a guest advertises no routes and redirects nobody, unless its port has no port security', { skip }, async () => {
  const mac = lab.inside(at.r1!.namespace, 'cat', '/sys/class/net/eth0/address').trim();
  const source = eui64('fe80::/64', mac);
  const index = lab.inside(at.r1!.namespace, 'cat', '/sys/class/net/eth0/ifindex').trim();
  /** @param wanted these are waited for, since who is killed prints no more */
  const heard = async (...wanted: string[]) => {
    const child = lab.spawnInside(at.r2!.namespace, 'perl', '-e', hearing, source);
    let text = '';
    child.stdout!.on('data', (data) => {
      text += data;
    });
    await lab.until('it listens', () => text.includes('ready'));
    lab.inside(at.r1!.namespace, 'perl', '-e', saying, source, mac, index, '134', '137');
    // What is sent later by the same way has come, so the rest would have.
    assert.equal(knock(at.r1!, ids['r2-v6']!, 80), ids['r1-v6']);
    await lab.until('it to be heard', () => wanted.every((type) => text.includes(type)));
    const ended = new Promise((resolve) => child.once('close', resolve));
    child.kill();
    await ended;
    return text.split('\n').filter((type) => type === '134' || type === '137');
  };
  // The other's rules let in what they are told to: what does not come was stopped at the guest that sent it.
  const rule = await cloud.rule(ids.group!, { protocol: 'ipv6-icmp', ethertype: 'IPv6' });
  await settled(unit('security_group', ids.group!));
  assert.deepEqual(await heard(), []);
  const secure = async (on: boolean) => {
    await cloud.run(sql`update port set port_security_enabled = ${on} where id = ${ids.r1}`);
    await settled(unit('port', ids.r1!));
    lab.run('ovn-nbctl', `--db=${lab.northbound}`, '--wait=hv', '--timeout=15', 'sync');
  };
  const { rows } = await sql<{ security_group_id: string }>`delete from port_security_group where port_id = ${ids.r1}
    returning security_group_id`.execute(db.database.query);
  await secure(false);
  assert.deepEqual(await heard('134', '137'), ['134', '137']);
  for (const { security_group_id: group } of rows)
    await cloud.run(sql`insert into port_security_group (port_id, security_group_id) values (${ids.r1}, ${group})`);
  await secure(true);
  assert.deepEqual(await heard(), []);
  await cloud.run(sql`delete from security_group_rule where id = ${rule}`);
  await settled(unit('security_group', ids.group!));
});

test('a disabled port passes nothing', { skip }, async () => {
  await cloud.run(sql`update port set admin_state_up = false where id = ${ids.r2}`);
  await settled(unit('port', ids.r2!));
  isClosed(at.r1!, ids['r2-v4']!, 80);
  await cloud.run(sql`update port set admin_state_up = true where id = ${ids.r2}`);
  await settled(unit('port', ids.r2!));
  assert.equal(knock(at.r1!, ids['r2-v4']!, 80), ids['r1-v4']);
});

test('who takes a guest out of its group by hand has it put back within seconds', { skip }, async () => {
  const nbctl = (...args: string[]) => lab.run('ovn-nbctl', `--db=${lab.northbound}`, ...args).trim();
  const members = () => nbctl('--bare', '--columns=ports', 'list', 'Port_Group', names.dropGroup).split(/\s+/).sort();
  const before = members();
  const { drift } = projector.status();
  nbctl('clear', 'Port_Group', names.dropGroup, 'ports');
  await lab.until('its members are back', () => String(members()) === String(before), 5000);
  await lab.until('it is told', () => projector.status().drift === drift + before.length, 5000);
});

test('the emptied northbound database is rebuilt and traffic flows again', { skip }, async () => {
  const nbctl = (...args: string[]) => lab.run('ovn-nbctl', `--db=${lab.northbound}`, ...args);
  const tables = ['Logical_Router', 'Logical_Switch', 'Port_Group', 'DHCP_Options'];
  const switches = () => nbctl('--bare', '--columns=name', 'list', 'Logical_Switch').split(/\s+/).sort().join(' ');
  const before = switches();
  nbctl(
    '--all',
    'destroy',
    tables[0]!,
    '--',
    '--all',
    'destroy',
    tables[1]!,
    '--',
    '--all',
    'destroy',
    tables[2]!,
    '--',
    '--all',
    'destroy',
    tables[3]!,
  );
  // At first packets still pass by what was: the data plane hears of either change later.
  const rebuiltMs = await lab.until('its switches are there again', () => switches() === before);
  const ms = await lab.until(
    'who asks the floating IP and who asks a neighbour are answered',
    () =>
      knock(at.outside!, '203.0.113.11', 80, 200) === '203.0.113.254' &&
      knock(at.r1!, ids['r2-v6']!, 80, 200) === ids['r1-v6'],
  );
  console.log(`# rebuilt in ${rebuiltMs.toFixed(0)} ms, reachable in another ${ms.toFixed(0)} ms`);
});

test('a router whose gateway moves to another external network speaks there, and leaves nothing behind', {
  skip,
}, async () => {
  const nbctl = (...args: string[]) => lab.run('ovn-nbctl', `--db=${lab.northbound}`, ...args).trim();
  const other = await cloud.external({ provider_physical_network: 'physnet2' });
  const subnet = await cloud.subnet(other, '198.51.100.0/24', { gateway_ip: '198.51.100.254', enable_dhcp: false });
  const outside = lab.endpoint('other', { bridge: 'br-other', addresses: ['198.51.100.254/24'] });
  await serve(outside, 80);
  const [router, acls] = [ids['blue-router']!, (network: string) => nbctl('acl-list', names.switch(network))];
  await settled(unit('router', router), unit('network', other));
  assert.match(acls(ids.ext!), /10\.2\.0\.0/);
  const gateway = await cloud.moveGateway(router, other, { subnet, ip: '198.51.100.2' });
  await settled(unit('router', router), unit('port', gateway));
  // Within the one pass, not with the next full one: the chassis is named, and the rule is where the gateway is.
  assert.match(nbctl('lrp-get-gateway-chassis', names.routerPort(gateway)), new RegExp(host));
  assert.doesNotMatch(acls(ids.ext!), /10\.2\.0\.0/);
  assert.match(acls(other), /10\.2\.0\.0/);
  assert.equal(knock(at.b1!, '198.51.100.254', 80), '198.51.100.2');
});

/** What r2 gets of r1, in thousands of bits a second. */
const poured = () => Number(lab.inside(at.r2!.namespace, process.execPath, peer, 'drink', '10.1.0.11', '90', '4000'));

async function limit(who: 'r1' | 'r2', limits: CardLimits): Promise<void> {
  await cloud.run(sql`update port set card_limits = ${JSON.stringify(limits)}::jsonb where id = ${ids[who]}`);
  await settled(unit('port', ids[who]!));
  lab.run('ovn-nbctl', `--db=${lab.northbound}`, '--wait=hv', '--timeout=15', 'sync');
}

test('a transfer keeps to what the flavor of its sender or of its receiver lets through, and is free without', {
  skip,
}, async () => {
  await serve(at.r1!, 90, 'pour');
  const within = (rate: number) => {
    const seen = poured();
    assert.ok(seen > rate * 0.85 && seen < rate * 1.15, `${seen} kbit/s of ${rate}`);
  };
  const free = poured();
  assert.ok(free > 40_000, `${free} kbit/s without limits`);
  await limit('r1', { outbound: { rate_kbit: 8000, burst_kbit: 6400 } });
  within(8000);
  await limit('r2', { inbound: { rate_kbit: 4000, burst_kbit: 3200 }, outbound: { rate_kbit: 1000, burst_kbit: 800 } });
  within(4000);
  await limit('r1', {});
  within(4000);
  await limit('r2', {});
  assert.ok(poured() > 40_000);
});

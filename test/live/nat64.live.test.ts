/**
 * NAT64 of a router with real OVN, the network driver of a host and tayga: a guest without IPv4 (a namespace behind a real tap) reaches who has
 * nothing else. Projected from the database, as the cloud does it. Needs root.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { sql } from 'kysely';
import { pino } from 'pino';
import type { DesiredNetwork, DesiredPort } from '../../contract/host/index.ts';
import type { NetworkId, PortId, SubnetId } from '../../contract/ids.ts';
import { ChangeFeed } from '../../control/kit/change-log/changes.ts';
import { testDatabase } from '../../control/kit/database/testing.ts';
import { Projector, unit } from '../../control/network/ovn/index.ts';
import { loadGround } from '../../control/network/reachability/load.ts';
import { reach } from '../../control/network/reachability/reach.ts';
import { findEngine } from '../../engine/process.ts';
import { waitUntil } from '../../engine/wait.ts';
import { type HostNetwork, nat64Engines } from '../../host/network/index.ts';
import { TestCloud } from '../simulated/ovn-cloud.ts';
import { fakeForwarder } from './fake-forwarder.ts';
import { missing, succeeds, TestMachine } from './live-machine.ts';

const skip = (await missing()) ?? ((await succeeds('sh', ['-c', 'command -v tayga'])) ? false : 'needs tayga');
/** The machine on its external bridge, next hop of the routers. Guests reach no address of it: who is asked is behind it. */
const outside = '172.24.4.1';
/** 203.0.113.9 below the prefix. */
const translated = 'fd64:ff9b:1::cb00:7109';
const farther = '203.0.113.9';
const gatewayIp = '172.24.4.10';

/** ICMPv6 echo 1 of 7; the kernel makes the checksum. */
const ping6 = `import socket, sys
s = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
s.settimeout(2)
s.sendto(bytes([128, 0, 0, 0, 0, 7, 0, 1]) + b"hut", (sys.argv[1], 0))
while True:
    data, (host, *_) = s.recvfrom(1500)
    if host == sys.argv[1] and data[:1] + data[4:] == bytes([129, 0, 7, 0, 1]) + b"hut":
        break
`;

describe('NAT64 of a router', { skip, timeout: 240_000 }, () => {
  const stack = new AsyncDisposableStack();
  let machine: TestMachine;
  let away: string;
  let driver: HostNetwork;
  let cloud: TestCloud;
  let projector: Projector;
  /** The first guest's, with its names. */
  let networks: DesiredNetwork[] = [];
  /** Each behind a router of its own; the second's has no NAT64. */
  const guests: Record<'with' | 'without', { netns: string; network: string; router: string; port: string }> =
    {} as never;

  before(async () => {
    machine = new TestMachine();
    machine.options.uplink = 'nat';
    machine.options.dnsServers = ['127.0.0.9@5353'];
    const forwarder = await fakeForwarder('127.0.0.9', farther);
    stack.defer(() => void forwarder.close());
    stack.defer(() => machine.remove());
    await machine.start();
    away = await machine.outside('198.51.100.2/24', '198.51.100.1/24', farther);
    driver = machine.driver();
    await driver.start();
    stack.defer(() => driver.stop());
    driver.onChange(() => void driver.ensureNetworks(networks).catch(() => {}));
    const db = stack.use(await testDatabase());
    const log = pino({ level: process.env.BOTHY_TEST_LOG ?? 'silent' });
    const feed = new ChangeFeed({ database: db.database, url: db.url, log });
    stack.defer(() => feed.stop());
    await feed.start();
    const northbound = { target: machine.options.southbound.replace(/sb\.sock$/, 'nb.sock') };
    projector = new Projector({ database: db.database, feed, log, northbound });
    stack.defer(() => projector.stop());
    projector.start();
    await waitUntil('the projector to be connected', async () => projector.status().connected, { timeoutMs: 20_000 });
    cloud = new TestCloud(db.database);
    await cloud.host(['physnet1'], machine.options.hostId);
    const external = await cloud.external({ provider_physical_network: 'physnet1' });
    const four = await cloud.subnet(external, '172.24.4.0/24', { gateway_ip: outside, enable_dhcp: false });
    guests.with = await guest('a', 1, true, external, { subnet: four, ip: gatewayIp });
    guests.without = await guest('b', 2, false, external, { subnet: four, ip: '172.24.4.11' });
    const { network } = guests.with;
    const mac = 'fa:16:3e:64:00:01';
    const metadata = await cloud.port(network, [], {
      mac,
      device_owner: 'network:distributed',
      device_id: `ovnmeta-${network}`,
    });
    const names = { domain: 'openstacklocal', dns64: 'fd64:ff9b:1::/96', hosts: [] };
    networks = [{ id: network as NetworkId, mtu: 1442, metadataPort: { id: metadata as PortId, mac, ips: [] }, names }];
    await driver.ensureNetworks(networks);
    const units = Object.values(guests).flatMap(({ router, port }) => [unit('router', router), unit('port', port)]);
    await projector.reached([...units, unit('port', metadata)], { timeoutMs: 30_000 });
  });

  after(() => stack.disposeAsync());

  async function guest(
    name: string,
    n: number,
    nat64: boolean,
    external: string,
    gateway: { subnet: string; ip: string },
  ) {
    const network = await cloud.network();
    const [prefix, near, own] = [`fd00:${n}::/64`, `fd00:${n}::1`, `fd00:${n}::11`];
    const none = { ipv6_address_mode: null, ipv6_ra_mode: null };
    const subnet = await cloud.subnet(network, prefix, { gateway_ip: near, ...none });
    const router = await cloud.router({ nat64 });
    await cloud.interface(router, network, [{ subnet, ip: near }]);
    await cloud.gateway(router, external, [gateway]);
    const group = await cloud.securityGroup();
    for (const direction of ['ingress', 'egress']) await cloud.rule(group, { ethertype: 'IPv6', direction });
    const mac = cloud.mac();
    const place = { mac, host_id: machine.options.hostId };
    const port = await cloud.port(network, [{ subnet, ip: own }], place, [group]);
    const fixed = { ip: own, subnetId: subnet as SubnetId, ipVersion: 6 as const, prefixLength: 64, gateway: near };
    const desired: DesiredPort = {
      ...{ id: port as PortId, networkId: network as NetworkId, mac, mtu: 1442 },
      fixedIps: [{ ...fixed, dnsNameservers: [], ipv6AddressMode: null }],
    };
    const { tap } = await driver.ensurePort(desired);
    const netns = await machine.guest(name, tap, desired, [`default via ${near}`]);
    return { netns, network, router, port };
  }

  test('a guest without IPv4 connects to who has nothing else, and to nobody without a router that translates', async () => {
    await machine.listen(8080, away);
    const reached = () => machine.connects(translated, 8080, guests.with.netns);
    await waitUntil('a connection', reached, { timeoutMs: 20_000 });
    assert.equal(await machine.connects(translated, 8080, guests.without.netns), false);
  });

  test('it finds them by name where the network’s resolver is told the prefix', async () => {
    const ask = [join(import.meta.dirname, 'ask-name.ts'), 'udp', 'fe80::a9fe:a9fe%eth0', 'four.example.org', 'AAAA'];
    const said = async () =>
      JSON.parse(await machine.run(process.execPath, ask, guests.with.netns)).answers as string[];
    const wanted = `AAAA fd64ff9b0001${'0'.repeat(12)}cb007109`;
    await waitUntil('the address', async () => (await said()).includes(wanted), { timeoutMs: 30_000 });
  });

  test('pings, datagrams as long as the network carries, and more than a window of TCP pass, and come back', async () => {
    const { netns } = guests.with;
    const answered = () => machine.succeeds('python3', ['-c', ping6, translated], netns);
    await waitUntil('an answer to a ping', answered, { timeoutMs: 20_000 });
    const paths = join(import.meta.dirname, 'path-mtu.py');
    await machine.background(
      `const s=require('dgram').createSocket('udp4');s.on('message',(d,from)=>s.send(String(d.length),from.port,from.address));
      s.bind(9,${JSON.stringify(farther)},()=>console.log('up'))`,
      away,
    );
    const asked = async (size: number) =>
      (await machine.run('python3', [paths, 'ask', translated, '9', String(size), 'whole'], netns)).trim();
    assert.deepEqual([await asked(200), await asked(1442)], ['answered', 'answered']);
    const bytes = 2_000_000;
    await machine.background(
      `require('net').createServer(s=>{s.on('error',()=>{});s.end(Buffer.alloc(${bytes}))})
      .listen(8081,()=>console.log('up'))`,
      away,
    );
    const script = `let n=0;const s=require('net').connect(8081,${JSON.stringify(translated)});
      s.on('data',d=>n+=d.length).on('close',()=>console.log(n))`;
    assert.equal((await machine.run(process.execPath, ['-e', script], netns)).trim(), String(bytes));
  });

  test('who is reached is as we say', async () => {
    for (const [which, expected] of [
      ['with', true],
      ['without', false],
    ] as const) {
      const [from, to] = [{ port: guests[which].port }, { address: translated }];
      const ground = await loadGround(cloud.database.query, [from, to], { asIfUp: true });
      const { reachable, stops } = reach(ground, { from, to, version: 6, protocol: 6, port: 8080 });
      assert.equal(reachable, expected, JSON.stringify(stops));
      assert.equal(await machine.connects(translated, 8080, guests[which].netns), expected);
    }
  });

  test('an engine that was killed is started again, and knows its guests by the addresses that they had', async () => {
    const [engine] = nat64Engines(machine.options.runDirectory);
    const before = findEngine(engine!)!;
    process.kill(before, 'SIGKILL');
    await waitUntil('its end', async () => findEngine(engine!) === undefined, { timeoutMs: 5000 });
    await driver.ensureNetworks(networks);
    assert.notEqual(findEngine(engine!), before);
    await waitUntil('a connection', () => machine.connects(translated, 8080, guests.with.netns), { timeoutMs: 20_000 });
  });

  test('another process of the host takes over what is there', async () => {
    const [engine] = nat64Engines(machine.options.runDirectory);
    const before = findEngine(engine!);
    await driver.stop();
    assert.equal(await machine.connects(translated, 8080, guests.with.netns), true);
    driver = machine.driver();
    await driver.start();
    stack.defer(() => driver.stop());
    driver.onChange(() => void driver.ensureNetworks(networks).catch(() => {}));
    await driver.ensureNetworks(networks);
    assert.equal(findEngine(engine!), before);
    assert.equal(await machine.connects(translated, 8080, guests.with.netns), true);
  });

  test('without NAT64 nothing is left of it', async () => {
    const { router, netns } = guests.with;
    await cloud.run(sql`update router set nat64 = false where id = ${router}`);
    await projector.reached([unit('router', router)], { timeoutMs: 20_000 });
    const gone = async () => nat64Engines(machine.options.runDirectory).length === 0;
    await waitUntil('the engine to go', gone, { timeoutMs: 20_000 });
    assert.equal(await machine.connects(translated, 8080, netns), false);
    const left = JSON.parse(await machine.run('ip', ['-j', 'link', 'show'])) as { ifname: string }[];
    assert.deepEqual(
      left.map(({ ifname }) => ifname).filter((name) => driver.names.nat64VethPattern.test(name)),
      [],
    );
  });
});

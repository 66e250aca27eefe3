/** Port forwardings through real OVN: who gets there by which port, as whom, and who does not. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { newId } from '../../contract/ids.ts';
import { unit } from '../../control/network/ovn/index.ts';
import { loadGround } from '../../control/network/reachability/load.ts';
import { reach } from '../../control/network/reachability/reach.ts';
import { TestCloud } from '../simulated/ovn-cloud.ts';
import { type Endpoint, labMissing } from './ovn-lab.ts';
import { type ProjectedLab, projectedLab } from './projected-lab.ts';

const skip = labMissing() ?? false;
const script = (name: string) => join(import.meta.dirname, name);
const host = newId();
const [vip, outsideIp, gatewayIp] = ['203.0.113.20', '203.0.113.254', '203.0.113.1'];

let world: ProjectedLab;
let router: string;
let floatingIp: string;
let groundUnits: ReturnType<typeof unit>[];
const at: Record<string, Endpoint> = {};
const guests: Record<string, { port: string; ip: string; router: string }> = {};
const asking: Record<string, { ask(line: string): void; lines: Interface }> = {};

/** The address that the one who answered saw, or 'closed'. */
const knock = (from: string, address: string, port: number, ms = 3000): string =>
  world.lab
    .inside(at[from]!.namespace, process.execPath, script('ovn-peer.ts'), 'knock', address, String(port), String(ms))
    .trim();

const settled = (...units: ReturnType<typeof unit>[]) => world.projector.reached(units, { timeoutMs: 20_000 });

async function byUdp(from: string, port: number, ms: number): Promise<boolean> {
  const { ask, lines } = asking[from]!;
  ask(JSON.stringify({ id: 1, protocol: 'udp', address: vip, port, ms }));
  const [line] = await once(lines, 'line');
  return JSON.parse(line).answered;
}

async function serve(on: string, ...ports: number[]): Promise<void> {
  for (const port of ports) {
    const child = world.lab.spawnInside(
      at[on]!.namespace,
      process.execPath,
      script('ovn-peer.ts'),
      'serve',
      String(port),
    );
    await once(child.stdout!, 'data');
  }
}

/** Answers UDP at these ports, and asks. */
async function peer(on: string, ...ports: number[]): Promise<void> {
  const child = world.lab.spawnInside(
    at[on]!.namespace,
    process.execPath,
    script('reach-peer.ts'),
    ...ports.map(String),
  );
  const lines = createInterface({ input: child.stdout! });
  await once(lines, 'line');
  asking[on] = { lines, ask: (line) => child.stdin!.write(`${line}\n`) };
}

/** A network behind a router with guests .11, .12 … on it. */
async function tenant(
  cloud: TestCloud,
  net: number,
  outside: { network: string; subnet: string; ip: string },
  names: string[],
) {
  const network = await cloud.network();
  const subnet = await cloud.subnet(network, `10.${net}.0.0/24`, { gateway_ip: `10.${net}.0.1` });
  const made = await cloud.router();
  await cloud.interface(made, network, [{ subnet, ip: `10.${net}.0.1` }]);
  await cloud.gateway(made, outside.network, [outside]);
  const group = await cloud.securityGroup();
  await cloud.rule(group, {
    protocol: 'tcp',
    port_range_min: 80,
    port_range_max: 81,
    remote_ip_prefix: '203.0.113.0/24',
  });
  await cloud.rule(group, { protocol: 'tcp', port_range_min: 80, port_range_max: 80, remote_ip_prefix: '10.0.0.0/8' });
  await cloud.rule(group, { protocol: 'tcp', port_range_min: 9000, port_range_max: 9002 });
  await cloud.rule(group, { protocol: 'udp', port_range_min: 53, port_range_max: 53 });
  for (const [index, name] of names.entries()) {
    const [ip, mac] = [`10.${net}.0.${11 + index}`, `fa:16:3e:00:0${net}:1${index}`];
    const port = await cloud.port(network, [{ subnet, ip }], { mac, host_id: host }, [group]);
    guests[name] = { port, ip, router: made };
    at[name] = world.lab.endpoint(name, { iface: port, mac, addresses: [`${ip}/24`], gateways: [`10.${net}.0.1`] });
  }
  return made;
}

before(async () => {
  if (skip) return;
  world = await projectedLab(host, ['physnet1']);
  const { cloud, lab, db } = world;
  const network = await cloud.external();
  const subnet = await cloud.subnet(network, '203.0.113.0/24', { gateway_ip: outsideIp, enable_dhcp: false });
  at.outside = lab.endpoint('out', { bridge: 'br-ex', addresses: [`${outsideIp}/24`] });
  router = await tenant(cloud, 1, { network, subnet, ip: gatewayIp }, ['a', 'b']);
  const other = await tenant(new TestCloud(db.database), 2, { network, subnet, ip: '203.0.113.2' }, ['c']);
  // First it stands for a guest as a whole: the outside has learned where it is.
  floatingIp = await cloud.floatingIp({ network, subnet, ip: vip }, guests.a!);
  groundUnits = [
    unit('router', router),
    unit('router', other),
    ...Object.values(guests).map(({ port }) => unit('port', port)),
  ];
  await settled(...groundUnits);
  await serve('a', 80, 81, 82);
  await serve('b', 9000, 9001, 9002);
  await serve('outside', 80);
  await peer('a', 53);
  await peer('outside');
  assert.equal(knock('outside', vip, 80), outsideIp);
  await cloud.run(
    sql`update floating_ip set port_id = null, fixed_ip = null, router_id = null where id = ${floatingIp}`,
  );
  // Were both in one step, ovn-controller 23.03 would go on to announce the address at its old place (control/network/ovn/README.md).
  await settled(unit('router', router));
  await cloud.portForwarding(floatingIp, guests.a!, 'tcp', ['2222', '80']);
  await cloud.portForwarding(floatingIp, guests.a!, 'tcp', ['2224', '82']);
  await cloud.portForwarding(floatingIp, guests.b!, 'tcp', ['8000:8002', '9000:9002']);
  await cloud.portForwarding(floatingIp, guests.a!, 'tcp', ['7000:7001', '81']);
  await cloud.portForwarding(floatingIp, guests.a!, 'udp', ['5353', '53']);
  await settled(unit('router', router));
});

after(() => world?.[Symbol.asyncDispose]());

test('each external port leads to its port inside, and the guest sees who calls', { skip }, () => {
  for (const port of [2222, 7000, 7001, 8000, 8001, 8002])
    assert.equal(knock('outside', vip, port), outsideIp, String(port));
});

test('what is not forwarded, or what the security groups do not let in, is closed', { skip }, () => {
  for (const port of [80, 2223, 2224, 8003]) assert.equal(knock('outside', vip, port, 400), 'closed', String(port));
});

test('datagrams come and their answers go back', { skip }, async () => {
  assert.equal(await byUdp('outside', 5353, 5000), true);
  assert.equal(await byUdp('outside', 5354, 500), false);
});

test('guests behind the router reach it too, as themselves, the one behind the port among them', { skip }, () => {
  assert.equal(knock('b', vip, 2222), guests.b!.ip);
  assert.equal(knock('a', vip, 8001), guests.a!.ip);
  // To itself: the address that it is called from is the floating IP's, for it would answer itself past the network.
  assert.equal(knock('a', vip, 2222), vip);
});

test('a guest of another router comes as its own router’s address', { skip }, () => {
  assert.equal(knock('c', vip, 2222), '203.0.113.2');
});

test('what the guest itself begins leaves behind the router’s address, as before', { skip }, () => {
  assert.equal(knock('a', outsideIp, 80), gatewayIp);
});

test('reachability says of each of them what packets find', { skip }, async () => {
  const ports = [80, 2222, 2223, 2224, 7000, 7001, 7002, 8000, 8001, 8002, 8003];
  for (const from of ['outside', 'a', 'b', 'c']) {
    const ends = [
      from === 'outside' ? { address: outsideIp } : { port: guests[from]!.port },
      { address: vip },
    ] as const;
    const ground = await loadGround(world.db.database.query, ends, { asIfUp: true });
    for (const port of ports) {
      const said = reach(ground, { from: ends[0], to: ends[1], version: 4, protocol: 6, port }).reachable;
      const found = knock(from, vip, port, said ? 5000 : 400) !== 'closed';
      assert.equal(said, found, `${from} to ${port}`);
    }
  }
});

test('a forwarding that is removed is closed, and the others stay', { skip }, async () => {
  await world.cloud.run(
    sql`delete from port_forwarding where floating_ip_id = ${floatingIp} and external_first <> 2222`,
  );
  await settled(unit('router', router));
  assert.equal(knock('outside', vip, 8000, 400), 'closed');
  assert.equal(knock('outside', vip, 2222), outsideIp);
  await world.cloud.run(sql`delete from port_forwarding where floating_ip_id = ${floatingIp}`);
  await settled(unit('router', router));
  assert.equal(knock('outside', vip, 2222, 400), 'closed');
  assert.equal(world.lab.run('ovn-nbctl', `--db=${world.lab.northbound}`, 'lb-list').trim(), '');
});

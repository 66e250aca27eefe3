/**
 * A network of two segments on two machines, each of which has another physical network: guests of it find the router of the fabric on
 * their own segment, and one another by that router alone, which is what reachability says of them. Real OVN and Open vSwitch. Needs root.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { pino } from 'pino';
import type { DesiredPort } from '../../contract/host/index.ts';
import type { PortId } from '../../contract/ids.ts';
import { newId } from '../../contract/ids.ts';
import { ChangeFeed } from '../../control/kit/change-log/changes.ts';
import { type TestDatabase, testDatabase } from '../../control/kit/database/testing.ts';
import { Projector, unit } from '../../control/network/ovn/index.ts';
import { loadGround } from '../../control/network/reachability/load.ts';
import { reach } from '../../control/network/reachability/reach.ts';
import { ovnCentralSockets } from '../../engine/ovn-central.ts';
import { waitUntil } from '../../engine/wait.ts';
import { exampleServer } from '../../host/metadata/testing.ts';
import { TestCloud } from '../simulated/ovn-cloud.ts';
import { Fabric, listenForMachines } from './fabric.ts';
import { missing, TestMachine } from './live-machine.ts';

const execute = promisify(execFile);
const skip = await missing();
const timeoutMs = 30_000;
/** `stretched`: of a subnet that both segments are to have, which only a fabric that is one could give them. */
const racks = [
  { physical: 'red', guest: '10.1.0.11', gateway: '10.1.0.1', stretched: '10.3.0.11' },
  { physical: 'blue', guest: '10.2.0.11', gateway: '10.2.0.1', stretched: '10.3.0.12' },
] as const;
const tcpPort = 80;

describe('a network of two segments', { skip: skip ?? false, timeout: 240_000 }, () => {
  const stack = new AsyncDisposableStack();
  const machines: TestMachine[] = [];
  const guests: string[] = [];
  const ports: string[] = [];
  let db: TestDatabase;
  let fabric: Fabric;

  /** The fabric's router, with a foot on each segment: on the outer switch, and on a second one that becomes the other machine's. */
  async function startFabric(tag: string): Promise<void> {
    fabric = new Fabric(tag);
    stack.defer(() => fabric.remove());
    await fabric.start([`${racks[0].gateway}/24`]);
    const { netns, outside } = fabric;
    const ip = (...args: string[]) => execute('ip', args);
    await ip('-n', netns, 'link', 'add', 'blue', 'type', 'bridge', 'forward_delay', '0', 'mcast_snooping', '0');
    await ip('-n', netns, 'link', 'set', 'blue', 'up');
    await ip('-n', outside, 'link', 'add', 'eth1', 'type', 'veth', 'peer', 'name', 'foot', 'netns', netns);
    await ip('-n', netns, 'link', 'set', 'foot', 'master', 'blue', 'up');
    await ip('netns', 'exec', outside, 'ethtool', '-K', 'eth1', 'tx', 'off');
    await ip('-n', outside, 'addr', 'add', `${racks[1].gateway}/24`, 'dev', 'eth1');
    await ip('-n', outside, 'link', 'set', 'eth1', 'up');
  }

  const routing = (on: boolean) =>
    execute('ip', ['netns', 'exec', fabric.outside, 'sysctl', '-q', `net.ipv4.ip_forward=${on ? 1 : 0}`]);

  async function startMachine(index: number): Promise<void> {
    const machine = new TestMachine(machines[0]);
    machines.push(machine);
    if (index === 0) await startFabric(machine.tag);
    stack.defer(() => machine.remove());
    await machine.start();
    await fabric.plug(machine, { outer: true, physicalNetwork: racks[index]!.physical });
    if (index === 0) await listenForMachines(machine);
    else await execute('ip', ['-n', fabric.netns, 'link', 'set', 'outer2', 'master', 'blue']);
    const driver = machine.driver();
    stack.defer(() => driver.stop());
    await driver.start();
    guests.push('');
    plug.push(async (port, route) => {
      const { tap } = await driver.ensurePort(port);
      guests[index] = await machine.guest(`g${index}`, tap, port, [route]);
    });
  }
  const plug: ((port: DesiredPort, route: string) => Promise<void>)[] = [];

  async function startCloud(): Promise<void> {
    const log = pino({ level: process.env.BOTHY_TEST_LOG ?? 'silent' });
    db = stack.use(await testDatabase());
    const cloud = new TestCloud(db.database);
    const feed = new ChangeFeed({ database: db.database, url: db.url, log });
    stack.defer(() => feed.stop());
    await feed.start();
    const northbound = { target: ovnCentralSockets(machines[0]!.runDirectory).northbound };
    const projector = new Projector({ database: db.database, feed, log, northbound });
    stack.defer(() => projector.stop());
    projector.start();
    await waitUntil('the projection', () => projector.status().connected, { timeoutMs });
    const group = await cloud.securityGroup();
    await cloud.rule(group, {});
    const [first, second] = racks;
    const network = await cloud.network({
      ...{ mtu: 1500, provider_network_type: 'flat', provider_physical_network: first.physical },
    });
    await cloud.insert('segment', {
      ...{ id: newId(), network_id: network, position: 1 },
      ...{ network_type: 'flat', physical_network: second.physical },
    });
    const units = [unit('network', network)];
    const both = await cloud.subnet(network, '10.3.0.0/24', { gateway_ip: null });
    for (const [index, { physical, guest, gateway, stretched }] of racks.entries()) {
      const { hostId } = machines[index]!.options;
      await cloud.host([physical], hostId);
      const subnet = await cloud.subnet(network, gateway.replace(/1$/, '0/24'), { gateway_ip: gateway });
      const mac = `fa:16:3e:00:07:0${index}`;
      const own = [
        { subnet, ip: guest },
        { subnet: both, ip: stretched },
      ];
      const id = await cloud.port(network, own, { mac, host_id: hostId }, [group]);
      ports.push(id);
      const example = exampleServer().ports[0]!;
      const fixedIps = own.map(({ ip }) => ({ ...example.fixedIps[0]!, ip, ipVersion: 4 as const, prefixLength: 24 }));
      await plug[index]!({ ...example, id: id as PortId, mac, mtu: 1500, fixedIps }, `default via ${gateway}`);
      units.push(unit('port', id));
    }
    await projector.reached(units, { timeoutMs });
  }

  before(async () => {
    for (const index of racks.keys()) await startMachine(index);
    await startCloud();
    for (const [index, machine] of machines.entries()) await machine.listen(tcpPort, guests[index]);
    await machines[0]!.listen(tcpPort, fabric.outside);
  });

  after(() => stack.disposeAsync());

  /** What we say of it. */
  async function said(from: number, address: string) {
    const ends = [{ port: ports[from]! }, { address }] as const;
    const ground = await loadGround(db.database.query, ends, { asIfUp: true });
    const { stops, assumptions } = reach(ground, {
      from: ends[0],
      to: ends[1],
      version: 4,
      protocol: 6,
      port: tcpPort,
    });
    return { stops: [...new Set(stops.map(({ reason }) => reason))], assumptions };
  }

  const reaches = (from: number, address: string) => machines[from]!.connects(address, tcpPort, guests[from]!);

  test('each guest has the router of the fabric on the segment of its machine', async () => {
    for (const [index, { gateway }] of racks.entries()) {
      await waitUntil(`guest ${index} reaches its gateway`, () => reaches(index, gateway), { timeoutMs });
    }
  });

  test('guests on different segments reach each other by that router, and by nothing else', async () => {
    await routing(true);
    for (const [index, other] of [1, 0].entries()) {
      assert.deepEqual(await said(index, racks[other]!.guest), { stops: [], assumptions: ['outside_routes_here'] });
      await waitUntil('the way is open', () => reaches(index, racks[other]!.guest), { timeoutMs });
    }
    await routing(false);
    for (const [index, other] of [1, 0].entries()) {
      assert.equal(await reaches(index, racks[other]!.guest), false, 'no tunnel joins the segments');
    }
    assert.equal(await reaches(0, racks[0].gateway), true);
  });

  test('guests of one subnet on different segments do not meet, as is said of them', async () => {
    await routing(true);
    for (const [index, other] of [1, 0].entries()) {
      const { stretched } = racks[other]!;
      assert.deepEqual(await said(index, stretched), { stops: ['segments_apart'], assumptions: [] });
      assert.equal(await reaches(index, stretched), false);
    }
  });
});

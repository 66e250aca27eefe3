/**
 * Local IPs on two machines: what a guest asks at one address is answered by a port of its own machine. What control writes to real OVN, and
 * packets through two real Open vSwitches with a tunnel between them. Needs root.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { sql } from 'kysely';
import { pino } from 'pino';
import type { PortId } from '../../contract/ids.ts';
import { ChangeFeed } from '../../control/kit/change-log/changes.ts';
import { testDatabase } from '../../control/kit/database/testing.ts';
import { Projector, unit } from '../../control/network/ovn/index.ts';
import { loadGround } from '../../control/network/reachability/load.ts';
import { reach } from '../../control/network/reachability/reach.ts';
import { ovnCentralSockets } from '../../engine/ovn-central.ts';
import { waitUntil } from '../../engine/wait.ts';
import { exampleServer } from '../../host/metadata/testing.ts';
import type { HostNetwork } from '../../host/network/index.ts';
import { TestCloud } from '../simulated/ovn-cloud.ts';
import { missing, TestMachine } from './live-machine.ts';

const skip = await missing();
const timeoutMs = 30_000;
const card = 'cable0';
/** Of nobody but the local IP; of a guest, too; of guests that have it themselves. */
const [local, owned, passed] = ['10.1.0.50', '10.1.0.31', '10.1.0.60'];

interface Guest {
  port: string;
  ip: string;
  netns: string;
  machine: number;
}

describe('local IPs on two machines', { skip: skip ?? false, timeout: 240_000 }, () => {
  const stack = new AsyncDisposableStack();
  const machines: TestMachine[] = [];
  const drivers: HostNetwork[] = [];
  const guests: Record<string, Guest> = {};
  const ids = { network: '', subnet: '', group: '', local: '', owned: '' };
  let cloud: TestCloud;
  let projector: Projector;

  const settled = () => {
    const ports = Object.values(guests).map(({ port }) => unit('port', port));
    const hosts = machines.map(({ options }) => unit('host', options.hostId));
    return projector.reached([unit('network', ids.network), ...hosts, ...ports], { timeoutMs });
  };

  async function startMachines(): Promise<void> {
    machines.push(new TestMachine());
    machines.push(new TestMachine(machines[0]));
    for (const machine of machines) {
      stack.defer(() => machine.remove());
      await machine.start();
    }
    await machines[0]!.cable(machines[1]!, card);
    for (const [index, machine] of machines.entries()) {
      const ip = `10.9.0.${index + 1}`;
      machine.options.encapsulation.ip = ip;
      machine.options.underlay = { device: card, address: `${ip}/24` };
      const driver = machine.driver();
      drivers.push(driver);
      stack.defer(() => driver.stop());
      await driver.start();
    }
  }

  async function startControl(): Promise<void> {
    const log = pino({ level: process.env.BOTHY_TEST_LOG ?? 'silent' });
    const db = stack.use(await testDatabase());
    cloud = new TestCloud(db.database);
    const feed = new ChangeFeed({ database: db.database, url: db.url, log });
    stack.defer(() => feed.stop());
    await feed.start();
    const northbound = { target: ovnCentralSockets(machines[0]!.runDirectory).northbound };
    projector = new Projector({ database: db.database, feed, log, northbound });
    stack.defer(() => projector.stop());
    projector.start();
    await waitUntil('the projection', () => projector.status().connected, { timeoutMs });
    for (const { options } of machines) await cloud.host([], options.hostId);
  }

  /** A guest that says by TCP and UDP who it is, and whom it sees. @param also an address that it has beside its own */
  async function guest(name: string, on: number, ip: string, also?: string): Promise<void> {
    const machine = machines[on]!;
    const mac = `fa:16:3e:00:01:${ip.split('.')[3]!}`;
    const pairs = also ? [{ ip_address: also, mac_address: mac }] : [];
    const row = { mac, host_id: machine.options.hostId, allowed_address_pairs: pairs };
    const port = await cloud.port(ids.network, [{ subnet: ids.subnet, ip }], row, [ids.group]);
    const example = exampleServer().ports[0]!;
    const own = { ...example.fixedIps[0]!, ipVersion: 4 as const };
    const fixedIps = [{ ...own, ip, prefixLength: 24 }, ...(also ? [{ ...own, ip: also, prefixLength: 32 }] : [])];
    const desired = { ...example, id: port as PortId, mac, mtu: 1400, fixedIps };
    const { tap } = await drivers[on]!.ensurePort(desired);
    const netns = await machine.guest(name, tap, desired, []);
    guests[name] = { port, ip, netns, machine: on };
    const says = `const says=(a)=>'${name} saw '+a.replace('::ffff:','')`;
    const udp = `const u=require('dgram').createSocket('udp4');u.on('message',(m,r)=>u.send(says(r.address),r.port,r.address));u.bind(53)`;
    const tcp = `require('net').createServer(s=>s.on('error',()=>{}).end(says(s.remoteAddress))).listen(80,()=>console.log('up'))`;
    await machine.background(`${says};${udp};${tcp}`, netns);
  }

  before(async () => {
    await startMachines();
    await startControl();
    ids.network = await cloud.network({ mtu: 1400 });
    ids.subnet = await cloud.subnet(ids.network, '10.1.0.0/24');
    ids.group = await cloud.securityGroup();
    await cloud.rule(ids.group, {});
    await guest('a', 0, '10.1.0.11');
    await guest('near-a', 0, '10.1.0.12', passed);
    await guest('b', 1, '10.1.0.21');
    await guest('near-b', 1, '10.1.0.22');
    await guest('owner', 1, owned);
    await settled();
    await waitUntil('the tunnel', async () => (await ask('a', guests.b!.ip)) === `b saw ${guests.a!.ip}`, {
      timeoutMs,
    });
  });

  after(() => stack.disposeAsync());

  /** Who answers there, and whom it sees; '' when nobody does. */
  async function ask(from: string, address: string, { udp = false, ms = 1500 } = {}): Promise<string> {
    const { netns, machine } = guests[from]!;
    const end = `setTimeout(()=>process.exit(),${ms})`;
    const tcp = `require('net').connect(80,'${address}').on('error',()=>process.exit()).on('data',d=>{console.log(''+d);process.exit()});${end}`;
    const datagram = `const u=require('dgram').createSocket('udp4');u.on('message',d=>{console.log(''+d);process.exit()});u.send('?',53,'${address}');${end}`;
    return (await machines[machine]!.run(process.execPath, ['-e', udp ? datagram : tcp], netns)).trim();
  }

  const answers = (from: string, address: string, by: string, options = {}) =>
    waitUntil(
      `${by} answers ${from} at ${address}`,
      async () => (await ask(from, address, options)) === `${by} saw ${guests[from]!.ip}`,
      { timeoutMs },
    );

  const closed = (from: string, address: string) =>
    waitUntil(`nobody answers ${from} at ${address}`, async () => (await ask(from, address)) === '', { timeoutMs });

  async function said(from: string, address: string): Promise<boolean> {
    const ends = [{ port: guests[from]!.port }, { address }] as const;
    const ground = await loadGround(cloud.database.query, ends, { asIfUp: true });
    return reach(ground, { from: ends[0], to: ends[1], version: 4, protocol: 6, port: 80 }).reachable;
  }

  test('where no port of the machine stands behind it, nobody has the address', async () => {
    ids.local = await cloud.localIp(ids.network, { subnet: ids.subnet, ip: local });
    await cloud.associate(ids.local, ids.network, { port: guests['near-a']!.port, ip: guests['near-a']!.ip });
    await settled();
    await answers('a', local, 'near-a');
    assert.equal(await ask('b', local), '');
    assert.deepEqual([await said('a', local), await said('b', local)], [true, false]);
  });

  test('each machine’s guests are answered by its own port, by TCP and UDP, as who they are', async () => {
    await cloud.associate(ids.local, ids.network, { port: guests['near-b']!.port, ip: guests['near-b']!.ip });
    await settled();
    for (const [from, by] of [
      ['a', 'near-a'],
      ['b', 'near-b'],
    ] as const) {
      await answers(from, local, by);
      await answers(from, local, by, { udp: true });
      assert.equal(await said(from, local), true);
    }
    await answers('b', guests['near-a']!.ip, 'near-a');
  });

  test('a guest’s address stays its own where no port of the machine stands before it', async () => {
    ids.owned = await cloud.localIp(ids.network, { subnet: ids.subnet, ip: owned, port: guests.owner!.port });
    await cloud.associate(ids.owned, ids.network, { port: guests['near-a']!.port, ip: guests['near-a']!.ip });
    await settled();
    await answers('a', owned, 'near-a');
    await answers('b', owned, 'owner');
    // Those before it and it still reach each other.
    await answers('owner', guests['near-a']!.ip, 'near-a');
    await answers('owner', guests.a!.ip, 'a');
    assert.deepEqual([await said('a', owned), await said('b', owned)], [true, true]);
  });

  test('passed through, the address stays as it was asked for, and the guest has it itself', async () => {
    const id = await cloud.localIp(ids.network, { subnet: ids.subnet, ip: passed }, 'passthrough');
    await cloud.associate(id, ids.network, { port: guests['near-a']!.port, ip: guests['near-a']!.ip });
    await settled();
    await answers('a', passed, 'near-a');
    assert.equal(await ask('b', passed), '');
    assert.deepEqual([await said('a', passed), await said('b', passed)], [true, false]);
  });

  test('a port that moves takes the local IP along, and leaves none behind', async () => {
    await cloud.run(sql`update port set host_id = null where id = ${guests['near-b']!.port}`);
    await settled();
    await closed('b', local);
    await cloud.run(sql`update port set host_id = ${machines[1]!.options.hostId} where id = ${guests['near-b']!.port}`);
    await settled();
    await answers('b', local, 'near-b');
  });

  test('without its associations it leads nowhere, and without itself nothing is left', async () => {
    await cloud.run(sql`delete from local_ip_association where local_ip_id = ${ids.local}`);
    await settled();
    await closed('a', local);
    await closed('b', local);
    await cloud.run(sql`delete from local_ip`);
    await settled();
    // Who was answered by the router that is gone asks anew when its entry is old.
    await machines[0]!.run('ip', ['neigh', 'flush', 'dev', 'eth0'], guests.a!.netns);
    await answers('a', owned, 'owner');
    const northbound = ovnCentralSockets(machines[0]!.runDirectory).northbound;
    const list = async (...what: string[]) =>
      (await machines[0]!.run('ovn-nbctl', [`--db=${northbound}`, '--bare', ...what])).trim();
    for (const table of ['Load_Balancer', 'Logical_Router']) assert.equal(await list('list', table), '');
    assert.equal(await list('--columns=variables', 'list', 'Chassis_Template_Var'), '');
  });
});

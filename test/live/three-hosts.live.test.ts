/**
 * Three machines, each a network namespace, with tunnels between them, what control writes to real OVN, and a gateway that two of them can be:
 * whatever happens to the one that is, the way to the outside comes back. Needs root.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { pino } from 'pino';
import type { DesiredPort } from '../../contract/host/index.ts';
import type { PortId } from '../../contract/ids.ts';
import { ChangeFeed } from '../../control/kit/change-log/changes.ts';
import { testDatabase } from '../../control/kit/database/testing.ts';
import { globalOptions, Projector, unit } from '../../control/network/ovn/index.ts';
import { hostSockets } from '../../engine/open-vswitch.ts';
import { ovnCentralSockets } from '../../engine/ovn-central.ts';
import { callControl } from '../../engine/ovs-daemon.ts';
import { waitUntil } from '../../engine/wait.ts';
import { exampleServer } from '../../host/metadata/testing.ts';
import type { HostNetwork } from '../../host/network/index.ts';
import { TestCloud } from '../simulated/ovn-cloud.ts';
import { Fabric, listenForMachines } from './fabric.ts';
import { missing, TestMachine } from './live-machine.ts';

const skip = await missing();
const file = (name: string) => join(import.meta.dirname, name);
const timeoutMs = 30_000;
/** What a gateway may be away for. */
const awayMs = 3000;
const outside = '203.0.113.254';

interface Guest {
  id: string;
  netns: string;
  ip: string;
  ip6: string;
}

/** Datagrams that are answered all the while, and when. */
class Steady {
  readonly #child: ChildProcess;
  readonly #answers: number[] = [];

  constructor(netns: string, address: string) {
    this.#child = spawn('ip', ['netns', 'exec', netns, 'python3', file('steady.py'), address, '9'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let text = '';
    this.#child.stdout!.on('data', (data) => {
      const lines = (text + data).split('\n');
      text = lines.pop()!;
      this.#answers.push(...lines.map(Number));
    });
  }

  /** Waits for one that came after this moment. */
  answered(since: number): Promise<void> {
    return waitUntil('an answer', () => (this.#answers.at(-1) ?? 0) > since, { timeoutMs });
  }

  /** The longest time without an answer from this moment on. */
  silentMs(since: number): number {
    const at = [since, ...this.#answers.filter((time) => time > since)];
    return Math.max(...at.slice(1).map((time, index) => time - at[index]!));
  }

  stop(): void {
    this.#child.kill('SIGKILL');
  }
}

/** By the clock that `steady.py` reads. */
const nowMs = () => Number(process.hrtime.bigint() / 1_000_000n);

describe('the network of three machines', { skip: skip ?? false, timeout: 240_000 }, () => {
  const stack = new AsyncDisposableStack();
  const machines: TestMachine[] = [];
  const drivers: HostNetwork[] = [];
  const guests: Record<string, Guest> = {};
  const ids: Record<string, string> = {};
  let fabric: Fabric;
  let cloud: TestCloud;
  let projector: Projector;

  const settled = (...units: Parameters<Projector['reached']>[0]) => projector.reached(units, { timeoutMs });

  async function startMachines(): Promise<void> {
    machines.push(new TestMachine());
    fabric = new Fabric(machines[0]!.tag);
    stack.defer(() => fabric.remove());
    await fabric.start([`${outside}/24`, '2001:db8::fe/64']);
    machines.push(new TestMachine(machines[0]), new TestMachine(machines[0]));
    for (const [index, machine] of machines.entries()) {
      stack.defer(() => machine.remove());
      await machine.start();
      await fabric.plug(machine, { outer: index > 0 });
      if (index === 0) await listenForMachines(machine);
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
    for (const [index, { options }] of machines.entries()) {
      await cloud.host(index > 0 ? ['physnet1'] : [], options.hostId);
    }
  }

  /** A guest on a machine, and who answers in it. */
  async function guest(
    name: string,
    on: number,
    network: { id: string; v4: string; v6: string; n: number; mtu: number },
  ) {
    const machine = machines[on]!;
    const mac = `fa:16:3e:0${network.n}:00:1${on}`;
    const ip = `10.${network.n}.0.1${on}`;
    const own = cloud.slaac(network.v6, `fd00:${network.n}::/64`, mac);
    const id = await cloud.port(
      network.id,
      [{ subnet: network.v4, ip }, own],
      { mac, host_id: machine.options.hostId },
      [ids.group!],
    );
    const example = exampleServer().ports[0]!;
    const address = (address: string, version: 4 | 6) => ({
      ...{ ...example.fixedIps[0]!, ip: address, ipVersion: version, prefixLength: version === 4 ? 24 : 64 },
    });
    const port = {
      ...example,
      id: id as PortId,
      mac,
      mtu: network.mtu,
      fixedIps: [address(ip, 4), address(own.ip, 6)],
    };
    const { tap } = await drivers[on]!.ensurePort(port as DesiredPort);
    const routes = [`default via 10.${network.n}.0.1`, `default via fd00:${network.n}::1`];
    guests[name] = { id, ip, ip6: own.ip, netns: await machine.guest(name, tap, port as DesiredPort, routes) };
    await echo(guests[name].netns);
  }

  async function echo(netns: string): Promise<void> {
    const child = spawn('ip', ['netns', 'exec', netns, 'python3', file('path-mtu.py'), 'echo', '9'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    stack.defer(() => void child.kill('SIGKILL'));
    await new Promise((resolve) => child.stdout.once('data', resolve));
  }

  async function network(n: number, mtu: number) {
    const id = await cloud.network({ name: `of ${mtu}`, mtu });
    const v4 = await cloud.subnet(id, `10.${n}.0.0/24`, { gateway_ip: `10.${n}.0.1` });
    const modes = { ipv6_address_mode: 'slaac', ipv6_ra_mode: 'slaac' };
    const v6 = await cloud.subnet(id, `fd00:${n}::/64`, { gateway_ip: `fd00:${n}::1`, ...modes });
    const own = [
      { subnet: v4, ip: `10.${n}.0.1` },
      { subnet: v6, ip: `fd00:${n}::1` },
    ];
    await cloud.interface(ids.router!, id, own);
    return { id, v4, v6, n, mtu };
  }

  before(async () => {
    await startMachines();
    await startControl();
    ids.group = await cloud.securityGroup();
    await cloud.rule(ids.group, {});
    await cloud.rule(ids.group, { ethertype: 'IPv6' });
    ids.router = await cloud.router();
    const ext = await cloud.external();
    const plain = { gateway_ip: outside, enable_dhcp: false };
    const subnet = await cloud.subnet(ext, '203.0.113.0/24', plain);
    await cloud.gateway(ids.router, ext, [{ subnet, ip: '203.0.113.1' }]);
    const [wide, narrow] = [await network(1, 1442), await network(2, 1300)];
    await guest('a', 0, wide);
    await guest('b', 1, wide);
    await guest('c', 2, narrow);
    const { id: port, ip } = guests.a!;
    await cloud.floatingIp({ network: ext, subnet, ip: '203.0.113.11' }, { port, ip, router: ids.router });
    await echo(fabric.outside);
    await settled(unit('router', ids.router), ...Object.values(guests).map(({ id }) => unit('port', id)));
  });

  after(() => stack.disposeAsync());

  /** Which machine is the gateway, as OVN says. */
  async function gateway(): Promise<number> {
    const { southbound } = ovnCentralSockets(machines[0]!.runDirectory);
    const ask = (...args: string[]) => machines[0]!.run('ovn-sbctl', [`--db=${southbound}`, '--bare', ...args]);
    const chassis = (await ask('--columns=chassis', 'find', 'Port_Binding', 'type=chassisredirect')).trim();
    if (!chassis) return -1;
    const name = (await ask('get', 'Chassis', chassis, 'name')).trim().replaceAll('"', '');
    return machines.findIndex(({ options }) => options.hostId === name);
  }

  /**
   * All tunnels are watched, and as closely as they shall be: BFD begins with a second, which a machine that has just come back keeps to for
   * a while (RFC 5880, 6.8.3).
   */
  function watched(): Promise<void> {
    const closely = async ({ runDirectory }: TestMachine) => {
      const shown = await callControl(join(hostSockets(runDirectory).ovsDirectory, 'ovs-vswitchd.ctl'), 'bfd/show', []);
      const intervals = [...shown.matchAll(/Remote Minimum TX Interval: (\d+)ms/g)].map(([, ms]) => ms);
      return intervals.length >= 2 && intervals.every((ms) => ms === globalOptions['bfd-min-tx']);
    };
    const all = async () => (await Promise.all(machines.map(closely))).every(Boolean);
    return waitUntil('the tunnels to be watched', all, { timeoutMs });
  }

  /** Something happens to the gateway: the other one takes over, and both ways are open again in time. */
  async function movesBy(what: () => Promise<void>): Promise<void> {
    const steady = [new Steady(guests.a!.netns, outside), new Steady(fabric.outside, '203.0.113.11')];
    try {
      for (const one of steady) await one.answered(0);
      const before = await gateway();
      const since = nowMs();
      await what();
      await waitUntil('another gateway', async () => ![before, -1].includes(await gateway()), { timeoutMs });
      const moved = nowMs();
      for (const one of steady) await one.answered(moved);
      const silent = steady.map((one) => one.silentMs(since));
      console.log(`gateway moved after ${moved - since} ms; silent for ${silent.join(' and ')} ms`);
      assert.ok(Math.max(...silent) < awayMs, `silent for ${silent.join(' and ')} ms, out and in`);
    } finally {
      for (const one of steady) one.stop();
    }
  }

  async function signal(index: number, name: NodeJS.Signals): Promise<void> {
    const pids = (await machines[0]!.run('ip', ['netns', 'pids', machines[index]!.netns])).split('\n').filter(Boolean);
    for (const pid of pids) process.kill(Number(pid), name);
  }

  /** What comes of a packet of this size that must not be fragmented. */
  async function ask(from: string, address: string, size: number): Promise<string> {
    const args = [file('path-mtu.py'), 'ask', address, '9', String(size), 'whole'];
    return (await machines[0]!.run('python3', args, guests[from]!.netns)).trim();
  }

  test('a packet of the MTU passes whole between machines, and one byte more is answered with the MTU of the path', async () => {
    for (const [from, to, mtu] of [
      ['a', 'b', 1442],
      ['b', 'a', 1442],
      ['a', 'c', 1300],
      ['b', 'c', 1300],
      ['c', 'a', 1300],
    ] as const) {
      for (const version of ['ip', 'ip6'] as const) {
        const address = guests[to]![version];
        assert.equal(await ask(from, address, mtu), 'answered', `${from} to ${to}, ${version}`);
        assert.equal(await ask(from, address, mtu + 1), String(mtu), `${from} to ${to}, ${version}, one byte more`);
      }
    }
  });

  test('a gateway that is frozen moves, and again when it thaws', async () => {
    await watched();
    const first = await gateway();
    await movesBy(() => signal(first, 'SIGSTOP'));
    await movesBy(() => signal(first, 'SIGCONT'));
  });

  test('a gateway that is cut off moves, and again when it is back', async () => {
    await watched();
    const first = await gateway();
    await movesBy(() => fabric.cut(first));
    await movesBy(() => fabric.mend(first));
  });

  test('a gateway that is killed moves', async () => {
    await watched();
    const first = await gateway();
    await movesBy(() => signal(first, 'SIGKILL'));
  });
});

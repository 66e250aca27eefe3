/**
 * A cloud for the bench of the data plane: a control process of this or another commit with its database, real OVN and a real Open vSwitch of
 * one host, and namespaces for guests, whose cards are plugged by hand. Needs root.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { hostSockets } from '../../engine/open-vswitch.ts';
import { ovnCentralSockets } from '../../engine/ovn-central.ts';
import { nft } from '../../host/network/command.ts';
import { guard, refuseForbidden } from '../../host/network/firewall.ts';
import { names } from '../../host/network/index.ts';
import { configReached, OvsdbClient, raiseConfig } from '../../protocols/ovsdb/index.ts';
import { TestMachine } from '../../test/live/live-machine.ts';
import { type CloudProcesses, startCloudProcesses } from '../../test/support/cloud-processes.ts';
import { OpenStack } from '../../test/support/openstack.ts';
import { until } from '../../test/support/until.ts';
import { Hops } from './data-plane-hops.ts';

const execute = promisify(execFile);
const ip = (...args: string[]) => execute('ip', args, { timeout: 10_000 });
const peer = join(import.meta.dirname, 'data-plane-peer.py');
const pourer = join(import.meta.dirname, '../../test/live/ovn-peer.ts');
const flag = '--disable-warning=ExperimentalWarning';

/** By the clock that data-plane-peer.py reads, in milliseconds. */
export const nowMs = () => Number(process.hrtime.bigint() / 1000n) / 1000;

/** Milliseconds after the request. */
export interface Passed {
  answered: number;
  northbound: number;
  southbound: number;
  effect: number;
}

export interface Guest {
  netns: string;
  veth: string;
}

export class DataPlaneWorld implements AsyncDisposable {
  readonly machine: TestMachine;
  readonly cloud: CloudProcesses;
  readonly openstack: OpenStack;
  readonly #switch: OvsdbClient;
  readonly #hops: Hops;
  readonly #stack: AsyncDisposableStack;

  /** @param source another commit's work tree, for control; by default this one */
  static async start(source?: string): Promise<DataPlaneWorld> {
    await using stack = new AsyncDisposableStack();
    const directory = mkdtempSync(join(tmpdir(), 'bothy-plane-'));
    stack.defer(() => rmSync(directory, { recursive: true, force: true }));
    const machine = new TestMachine();
    stack.defer(() => machine.remove());
    await machine.start();
    symlinkSync(ovnCentralSockets(machine.runDirectory).northbound.replace('unix:', ''), join(directory, 'nb.sock'));
    await execute('chmod', ['-R', 'a+rwX', machine.runDirectory]);
    const cloud = stack.use(
      await startCloudProcesses({ hosts: 1, fleetHosts: 0, directory, ...(source && { source }), logLevel: 'warn' }),
    );
    machine.options.hostId = cloud.hosts[0]!.id;
    machine.options.external = { physicalNetwork: 'plane', addresses: ['203.0.113.254/24'] };
    const driver = machine.driver();
    stack.defer(() => driver.stop());
    await driver.start();
    const target = `unix:${hostSockets(machine.runDirectory).ovsdb}`;
    const ovs = new OvsdbClient({ target, database: 'Open_vSwitch', monitor: { Interface: ['name', 'external_ids'] } });
    stack.defer(() => ovs.stop());
    ovs.start();
    await ovs.ready({ timeoutMs: 10_000 });
    await settle(cloud.databaseUrl);
    const openstack = new OpenStack({ authUrl: cloud.environment.OS_AUTH_URL!, caFile: cloud.caFile });
    stack.defer(() => openstack.close());
    await openstack.login({ name: 'admin', password: cloud.adminPassword, project: 'admin' });
    const hops = stack.use(await Hops.open(machine.runDirectory));
    return new DataPlaneWorld({ machine, cloud, openstack, ovs, hops }, stack.move());
  }

  private constructor(
    parts: { machine: TestMachine; cloud: CloudProcesses; openstack: OpenStack; ovs: OvsdbClient; hops: Hops },
    stack: AsyncDisposableStack,
  ) {
    this.machine = parts.machine;
    this.cloud = parts.cloud;
    this.openstack = parts.openstack;
    this.#switch = parts.ovs;
    this.#hops = parts.hops;
    this.#stack = stack;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync();
  }

  // biome-ignore lint/suspicious/noExplicitAny: as OpenStack.must
  ask(method: string, path: string, body?: unknown): Promise<any> {
    return this.openstack.must(method, 'network', `/v2.0${path}`, body);
  }

  /** A namespace whose card is in the integration bridge, for no port yet; UDP to port 9 is answered with its name. */
  async guest(
    name: string,
    { mac, address, gateway }: { mac: string; address: string; gateway: string },
  ): Promise<Guest> {
    const guest = await this.#namespace(name, { mac, address });
    await ip('-n', guest.netns, 'route', 'add', 'default', 'via', gateway);
    const socket = `unix:${hostSockets(this.machine.runDirectory).ovsdb}`;
    await this.machine.run('ovs-vsctl', [
      `--db=${socket}`,
      'add-port',
      names(this.machine.tag).integrationBridge,
      guest.veth,
    ]);
    await this.#background(guest.netns, ['python3', peer, 'serve', '9', name]);
    return guest;
  }

  /**
   * Two guests on a bridge of their own, where by hand is done what OVN does between guests of one network: conntrack in the zone of each, and no
   * firewall of the machine.
   */
  async byHand(): Promise<[Guest, Guest]> {
    const { ovsDirectory, ovsdb } = hostSockets(this.machine.runDirectory);
    const vsctl = (...args: string[]) => this.machine.run('ovs-vsctl', [`--db=unix:${ovsdb}`, ...args]);
    await vsctl('add-br', 'hand', '--', 'set', 'Bridge', 'hand', 'datapath_type=netdev', 'fail_mode=secure');
    const guests: Guest[] = [];
    for (const n of [1, 2]) {
      const guest = await this.#namespace(`h${n}`, { mac: `fa:16:3e:08:00:0${n}`, address: `10.8.0.${n}` });
      await vsctl('add-port', 'hand', guest.veth, '--', 'set', 'Interface', guest.veth, `ofport_request=${n}`);
      guests.push(guest);
    }
    const flows = ['table=0,arp actions=normal'];
    for (const [from, to] of [
      [1, 2],
      [2, 1],
    ] as const) {
      const [own, others] = [`zone=${from}`, `zone=${to}`];
      flows.push(
        `table=0,ip,in_port=${from} actions=ct(table=1,${own})`,
        `table=1,ip,in_port=${from},ct_state=+trk+new actions=ct(commit,${own}),ct(table=2,${others})`,
        `table=1,ip,in_port=${from},ct_state=+trk-new actions=ct(table=2,${others})`,
        `table=2,ip,in_port=${from},ct_state=+trk+new actions=ct(commit,${others}),output:${to}`,
        `table=2,ip,in_port=${from},ct_state=+trk-new actions=output:${to}`,
      );
    }
    for (const flow of flows) {
      await this.machine.run('ovs-ofctl', ['add-flow', `unix:${join(ovsDirectory, 'hand.mgmt')}`, flow]);
    }
    return guests as [Guest, Guest];
  }

  /** What a host puts before each tap of its guests (host/network/firewall.ts). */
  async protect(...guests: Guest[]): Promise<void> {
    const devices = guests.map(({ veth }) => veth);
    const named = names(this.machine.tag);
    await nft(guard(named, devices) + refuseForbidden(named, devices), { netns: this.machine.netns });
  }

  /** Millions of bits a second by TCP, for two seconds after the first. */
  async pours(from: Guest, address: string, to: Guest): Promise<number> {
    const serve = [process.execPath, flag, pourer];
    const child = await this.#background(from.netns, [...serve, 'pour', '5001']);
    const rate = await this.machine.run(serve[0]!, [flag, pourer, 'drink', address, '5001', '2000'], to.netns);
    child.kill('SIGKILL');
    return Number(rate) / 1000;
  }

  /** Waits until OVN has so many ports, and the host all that follows from them. */
  async settled(ports: number): Promise<void> {
    const { northbound } = this.machine;
    const all = () => northbound.replica.rows('Logical_Switch_Port').size >= ports;
    await until('the ports to be projected', all, { timeoutMs: 60_000 });
    const transaction = northbound.transaction();
    const number = raiseConfig(transaction);
    await configReached(northbound, number(await northbound.transact(transaction)), { timeoutMs: 60_000 });
  }

  /** As a host plugs a port: what ovn-controller waits for. */
  async plug(guest: Guest, portId: string): Promise<void> {
    const transaction = this.#switch.transaction();
    const where = [['name', '==', guest.veth]] as const;
    transaction.mutate('Interface', where, [['external_ids', 'delete', ['iface-id']]]);
    transaction.mutate('Interface', where, [['external_ids', 'insert', { 'iface-id': portId }]]);
    await this.#switch.transact(transaction);
  }

  /** Milliseconds from now until somebody of this name answers, knocked at all the while, and until the change is in each of OVN's databases. */
  async untilAnswered(
    { from, address, name, fresh = false }: { from: string; address: string; name: string; fresh?: boolean },
    act: () => Promise<unknown>,
  ): Promise<Passed> {
    const child = await this.#background(from, ['python3', peer, 'knock', address, '9', ...(fresh ? ['fresh'] : [])]);
    let text = '';
    let at: number | undefined;
    let began = Number.POSITIVE_INFINITY;
    child.stdout!.on('data', (data) => {
      const lines = (text + data).split('\n');
      text = lines.pop()!;
      for (const line of lines) {
        const [time, who] = line.split(' ');
        if (who === name && Number(time) / 1000 > began) at ??= Number(time) / 1000;
      }
    });
    this.#hops.begin();
    began = nowMs();
    await act();
    const answered = nowMs() - began;
    await until(`an answer of ${name}`, () => at !== undefined, { timeoutMs: 30_000 });
    child.kill('SIGKILL');
    const { northbound, southbound } = this.#hops.passed;
    return { answered, northbound: northbound - began, southbound: southbound - began, effect: at! - began };
  }

  async #namespace(name: string, { mac, address }: { mac: string; address: string }): Promise<Guest> {
    const { tag, netns: host } = this.machine;
    const guest = { netns: `bt${tag}${name}`, veth: `${tag}g${name}` };
    const inside = (...args: string[]) => ip('-n', guest.netns, ...args);
    await ip('netns', 'add', guest.netns);
    this.#stack.defer(() => ip('netns', 'del', guest.netns).then(() => {}));
    await ip('-n', host, 'link', 'add', guest.veth, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', guest.netns);
    await inside('link', 'set', 'lo', 'up');
    await inside('link', 'set', 'eth0', 'address', mac, 'mtu', '1442');
    // Who has an address is asked again soon, not after a second: that would be the time of whatever comes just after the question.
    await this.machine.run('sysctl', ['-qw', 'net.ipv4.neigh.eth0.retrans_time_ms=10'], guest.netns);
    await execute('ip', ['netns', 'exec', guest.netns, 'ethtool', '-K', 'eth0', 'tx', 'off']);
    await this.machine.run('sysctl', ['-qw', `net.ipv6.conf.${guest.veth}.disable_ipv6=1`]);
    await ip('-n', host, 'link', 'set', guest.veth, 'up');
    await inside('link', 'set', 'eth0', 'up');
    await inside('addr', 'add', `${address}/16`, 'dev', 'eth0');
    return guest;
  }

  async #background(netns: string, command: readonly string[]): Promise<ChildProcess> {
    const child = spawn('ip', ['netns', 'exec', netns, ...command], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.#stack.defer(() => void child.kill('SIGKILL'));
    await new Promise((resolve) => child.stdout.once('data', resolve));
    return child;
  }
}

/** No quota stands in the way, and the one host has the physical network. */
async function settle(databaseUrl: string): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  await client.query('update quota set maximum = -1 where project_id is null');
  await client.query(`update host set physical_networks = '{plane}'`);
  await client.end();
}

/**
 * A machine for live tests of the network: a namespace of its own with real OVN central, Open vSwitch and the network
 * driver, and guests that are namespaces behind real taps. Everything carries a random tag and is removed by `remove`.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { DesiredPort } from '../../contract/host/index.ts';
import { type HostId, newOrderedId } from '../../contract/ids.ts';
import type { Engine } from '../../engine/engine.ts';
import { hostEngines } from '../../engine/open-vswitch.ts';
import { ovnCentralEngines, ovnCentralSockets } from '../../engine/ovn-central.ts';
import { ensureEngine, stopEngine } from '../../engine/process.ts';
import { waitUntil } from '../../engine/wait.ts';
import { getKernel, setKernel } from '../../host/network/command.ts';
import { HostNetwork, type HostNetworkOptions, names, purgeHostNetwork } from '../../host/network/index.ts';
import { OvsdbClient } from '../../protocols/ovsdb/index.ts';

const execute = promisify(execFile);

/** Why these tests cannot run here; undefined where they can. */
export async function missing(): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return 'needs root';
  for (const command of ['ovs-vswitchd', 'ovn-controller', 'ovn-northd', 'haproxy', 'nft', 'qemu-system-x86_64']) {
    if (!(await succeeds('sh', ['-c', `command -v ${command}`]))) return `needs ${command}`;
  }
  return undefined;
}

export async function succeeds(command: string, args: string[]): Promise<boolean> {
  try {
    await execute(command, args, { timeout: 10_000 });
    return true;
  } catch {
    return false;
  }
}

export class TestMachine {
  readonly tag = randomBytes(2).toString('hex');
  readonly netns = `bt${this.tag}`;
  readonly directory = mkdtempSync(join(tmpdir(), 'bothy-live-'));
  readonly runDirectory = join(this.directory, 'run');
  readonly options: HostNetworkOptions;
  readonly engines: Engine[];
  readonly northbound: OvsdbClient;
  forwardingAtStart = '';
  readonly #children: ChildProcess[] = [];
  readonly #guests: string[] = [];

  /** @param central the machine whose OVN central this one uses; by default it has its own. */
  constructor(central?: TestMachine) {
    chmodSync(this.directory, 0o755);
    const centralRun = central?.runDirectory ?? this.runDirectory;
    const { runDirectory, netns, tag } = this;
    this.options = {
      tag,
      netns,
      hostId: newOrderedId<HostId>(),
      hostname: 'live-1',
      runDirectory,
      logDirectory: join(this.directory, 'log'),
      southbound: ovnCentralSockets(centralRun).southbound,
      guestUser: 'nobody',
      proxyUser: 'nobody',
      encapsulation: { ip: '127.0.0.1', type: 'geneve' },
      datapath: 'auto',
      external: { physicalNetwork: 'physnet1', addresses: ['172.24.4.1/24', 'fd0b:724::1/64'] },
      uplink: 'none',
    };
    const directory = (name: string) => join(this.directory, name);
    const ovn = { dataDirectory: directory('ovn'), logDirectory: directory('ovn-log'), runDirectory, user: 'nobody' };
    const { integrationBridge } = names(tag);
    const host = {
      dataDirectory: directory('host'),
      logDirectory: directory('log'),
      runDirectory,
      netns,
      integrationBridge,
    };
    this.engines = [...(central ? [] : ovnCentralEngines(ovn)), ...hostEngines(host)];
    this.northbound = new OvsdbClient({
      target: ovnCentralSockets(centralRun).northbound,
      database: 'OVN_Northbound',
      monitor: { NB_Global: ['hv_cfg'], Logical_Switch_Port: ['name', 'up'] },
    });
  }

  engine(name: string): Engine {
    return this.engines.find((engine) => engine.name === name)!;
  }

  startEngine(name: string): Promise<number> {
    return ensureEngine(this.engine(name), { logFile: join(this.directory, `${name}.out`) });
  }

  /** The namespace, with an address that stands for the machine's management network, and all engines. */
  async start(): Promise<void> {
    await ip('netns', 'add', this.netns);
    await ip('-n', this.netns, 'link', 'set', 'lo', 'up');
    await ip('-n', this.netns, 'addr', 'add', '10.99.0.1/32', 'dev', 'lo');
    this.forwardingAtStart = await getKernel('net/ipv4/ip_forward', { netns: this.netns });
    for (const { name } of this.engines) await this.startEngine(name);
    this.northbound.start();
    await this.northbound.ready({ timeoutMs: 5000 });
  }

  driver(): HostNetwork {
    return new HostNetwork(this.options);
  }

  /** Runs a command in the machine's namespace, or in a guest's. */
  async run(command: string, args: string[], netns = this.netns): Promise<string> {
    return (await execute('ip', ['netns', 'exec', netns, command, ...args], { timeout: 15_000 })).stdout;
  }

  succeeds(command: string, args: string[], netns = this.netns): Promise<boolean> {
    return succeeds('ip', ['netns', 'exec', netns, command, ...args]);
  }

  /** Listens for TCP in a namespace; every connection is greeted. */
  listen(port: number, netns = this.netns): Promise<void> {
    const script = `require('net').createServer(s => s.end('hello')).listen(${port}, () => console.log('up'))`;
    return this.background(script, netns);
  }

  /** Runs a script in a namespace until the end of the test; resolves at its first output. */
  async background(script: string, netns: string): Promise<void> {
    const child = spawn('ip', ['netns', 'exec', netns, process.execPath, '-e', script], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    this.#children.push(child);
    await new Promise((resolve) => child.stdout.once('data', resolve));
  }

  connects(address: string, port: number, netns = this.netns): Promise<boolean> {
    const host = JSON.stringify(address);
    const script = `const s=require('net').connect(${port},${host});setTimeout(()=>process.exit(1),800);
      s.on('error',()=>process.exit(1)).on('data',()=>process.exit(0))`;
    return this.succeeds(process.execPath, ['-e', script], netns);
  }

  /** GET from within a namespace: status and body. */
  async get(host: string, path: string, netns: string, headers: Record<string, string | string[]> = {}) {
    const request = JSON.stringify({ host, path, headers, timeout: 3000 });
    const script = `const r=require('http').get(${request},a=>{let b='';a.on('data',d=>b+=d).on('end',
      ()=>console.log(JSON.stringify({status:a.statusCode,body:b})))});r.on('timeout',()=>r.destroy(new Error('timeout')))`;
    return JSON.parse(await this.run(process.execPath, ['-e', script], netns)) as { status: number; body: string };
  }

  /**
   * A guest: a namespace whose eth0 is a tap that an unprivileged QEMU without a machine joins to the port's tap, as it
   * would join a virtio card.
   */
  async guest(name: string, tap: string, port: DesiredPort, routes: string[]): Promise<string> {
    const netns = `${this.netns}${name}`;
    const card = `${this.tag}g${name}`;
    await ip('netns', 'add', netns);
    this.#guests.push(netns);
    await ip('-n', this.netns, 'tuntap', 'add', 'dev', card, 'mode', 'tap', 'user', 'nobody');
    const netdev = (id: string, ifname: string) => `tap,id=${id},ifname=${ifname},script=no,downscript=no,vnet_hdr=off`;
    const relay = spawn(
      'ip',
      ['netns', 'exec', this.netns, 'setpriv', '--reuid=nobody', '--regid=nogroup', '--clear-groups'].concat(
        ['qemu-system-x86_64', '-M', 'none', '-nodefaults', '-display', 'none', '-netdev', netdev('a', tap)],
        ['-netdev', netdev('b', card), '-netdev', 'hubport,id=h0,hubid=0,netdev=a'],
        ['-netdev', 'hubport,id=h1,hubid=0,netdev=b'],
      ),
      { stdio: ['ignore', 'ignore', 'inherit'] },
    );
    this.#children.push(relay);
    await waitUntil(
      'the relay to hold the card',
      async () => (await this.run('ip', ['link', 'show', card])).includes('LOWER_UP') || this.#carrier(card),
      {
        timeoutMs: 5000,
      },
    );
    await ip('-n', this.netns, 'link', 'set', card, 'netns', netns, 'name', 'eth0');
    await ip('-n', netns, 'link', 'set', 'lo', 'up');
    await ip('-n', netns, 'link', 'set', 'eth0', 'address', port.mac, 'mtu', String(port.mtu));
    for (const { ip: address, prefixLength, ipVersion } of port.fixedIps) {
      const flags = ipVersion === 6 ? ['nodad'] : [];
      await ip('-n', netns, 'addr', 'add', `${address}/${prefixLength}`, 'dev', 'eth0', ...flags);
    }
    await setKernel({ 'net/ipv6/conf/eth0/accept_dad': '0', 'net/ipv6/conf/eth0/accept_ra': '0' }, { netns });
    await ip('-n', netns, 'link', 'set', 'eth0', 'up');
    for (const route of routes) await ip('-n', netns, 'route', 'add', ...route.split(' '));
    return netns;
  }

  async removeGuest(netns: string): Promise<void> {
    await ip('netns', 'del', netns);
    this.#guests.splice(this.#guests.indexOf(netns), 1);
  }

  /** What lies behind the machine's default route: a namespace with a neighbour of the machine and one farther away. */
  async outside(machineAddress: string, neighbour: string, farther: string): Promise<string> {
    const netns = `${this.netns}out`;
    await ip('netns', 'add', netns);
    this.#guests.push(netns);
    await ip('-n', this.netns, 'link', 'add', 'up0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', netns);
    await ip('-n', netns, 'link', 'set', 'lo', 'up');
    await ip('-n', netns, 'addr', 'add', `${farther}/32`, 'dev', 'lo');
    await ip('-n', netns, 'addr', 'add', neighbour, 'dev', 'eth0');
    await ip('-n', netns, 'link', 'set', 'eth0', 'up');
    await ip('-n', this.netns, 'addr', 'add', machineAddress, 'dev', 'up0');
    await ip('-n', this.netns, 'link', 'set', 'up0', 'up');
    await ip('-n', this.netns, 'route', 'add', 'default', 'via', neighbour.split('/')[0]!);
    return netns;
  }

  /** A cable to another machine: a card on each side. */
  async cable(other: TestMachine, device: string): Promise<void> {
    const peer = ['peer', 'name', device, 'netns', other.netns, 'mtu', '1600'];
    await ip('-n', this.netns, 'link', 'add', device, 'mtu', '1600', 'type', 'veth', ...peer);
  }

  async #carrier(card: string): Promise<boolean> {
    await ip('-n', this.netns, 'link', 'set', card, 'up');
    return (await this.run('ip', ['link', 'show', card])).includes('LOWER_UP');
  }

  /** Everything with our tag that the kernel still knows: links, namespaces, nft tables. */
  async leftovers(): Promise<string[]> {
    const links = JSON.parse(await this.run('ip', ['-j', 'link', 'show'])) as { ifname: string }[];
    const namespaces = (await execute('ip', ['netns', 'list'])).stdout.split('\n').map((line) => line.split(' ')[0]!);
    const tables = (await this.run('nft', ['list', 'tables'])).split('\n');
    return [
      ...links.map(({ ifname }) => ifname).filter((name) => name.startsWith(this.tag)),
      ...namespaces.filter((name) => name.startsWith(`${this.tag}m`)),
      ...tables.filter((table) => table.endsWith(`_${this.tag}`)),
    ];
  }

  async remove(): Promise<void> {
    for (const child of this.#children) child.kill('SIGKILL');
    await this.northbound.stop();
    const { tag, runDirectory, netns } = this;
    await purgeHostNetwork({ tag, runDirectory, netns });
    for (const engine of [...this.engines].reverse()) await stopEngine(engine);
    for (const name of [...this.#guests, netns]) await succeeds('ip', ['netns', 'del', name]);
    rmSync(this.directory, { recursive: true, force: true });
  }
}

async function ip(...args: string[]): Promise<void> {
  await execute('ip', args);
}

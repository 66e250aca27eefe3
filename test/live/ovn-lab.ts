/**
 * For live tests: real OVN central and one real host in a network namespace, with namespaces as endpoints instead of
 * guests. Everything has names with a tag of its own and private run directories; `close` leaves nothing. Needs root.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { withdrawZeroSnat, zeroSnat } from '../../engine/zero-snat.ts';
import { refuseForbidden } from '../../host/network/firewall.ts';
import { names } from '../../host/network/names.ts';

/** Why the lab can't run here; undefined when it can. */
export function labMissing(): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root (network namespaces)';
  for (const file of ['/usr/bin/ovn-northd', '/usr/bin/ovn-controller', '/usr/sbin/ovs-vswitchd', '/usr/sbin/ip']) {
    if (!existsSync(file) && !existsSync(file.replace('/usr/sbin', '/usr/bin'))) return `${file} is not installed`;
  }
  return undefined;
}

const prefix = 'bothy-live-ovn-';
const nbSchema = '/usr/share/ovn/ovn-nb.ovsschema';
const sbSchema = '/usr/share/ovn/ovn-sb.ovsschema';
const ovsSchema = '/usr/share/openvswitch/vswitch.ovsschema';

/** Removes what labs left whose process was killed outright. */
function sweep(): void {
  for (const name of readdirSync(tmpdir()).filter((each) => each.startsWith(prefix))) {
    const owner = join(tmpdir(), name, 'owner');
    if (!existsSync(owner)) continue;
    const [pid, tag] = readFileSync(owner, 'utf8').split(' ');
    if (existsSync(`/proc/${pid}`)) continue;
    const list = execFileSync('ip', ['netns', 'list'], { encoding: 'utf8' });
    const left = list.split('\n').map((line) => line.split(' ')[0]!);
    for (const namespace of left.filter((each) => each.startsWith(`b${tag}-`))) {
      const pids = execFileSync('ip', ['netns', 'pids', namespace], { encoding: 'utf8' });
      for (const member of pids.split('\n').filter(Boolean)) process.kill(Number(member), 'SIGKILL');
      execFileSync('ip', ['netns', 'del', namespace]);
    }
    rmSync(join(tmpdir(), name), { recursive: true, force: true });
  }
}

export interface Endpoint {
  namespace: string;
  /** On the host's side. */
  veth: string;
}

export class OvnLab {
  readonly tag = randomBytes(2).toString('hex');
  readonly directory = mkdtempSync(join(tmpdir(), prefix));
  readonly hostNamespace = `b${this.tag}-host`;
  readonly #children: ChildProcess[] = [];
  readonly #namespaces: string[] = [];
  #veths = 0;
  readonly #onExit = () => this.#closeNow();

  constructor() {
    // A run that is cut short (Ctrl-C, a deadline) leaves nothing either.
    process.once('exit', this.#onExit);
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
    sweep();
    writeFileSync(this.#path('owner'), `${process.pid} ${this.tag}`);
  }

  get northbound(): string {
    return `unix:${this.#path('central', 'nb.sock')}`;
  }
  get southbound(): string {
    return `unix:${this.#path('central', 'sb.sock')}`;
  }

  async start(systemId: string): Promise<void> {
    for (const folder of ['central', 'host']) mkdirSync(this.#path(folder));
    await this.#central();
    await this.#host(systemId);
  }

  run(command: string, ...args: string[]): string {
    return execFileSync(command, args, { encoding: 'utf8', env: this.#env('host'), stdio: ['ignore', 'pipe', 'pipe'] });
  }

  inside(namespace: string, command: string, ...args: string[]): string {
    return this.run('ip', 'netns', 'exec', namespace, command, ...args);
  }

  /** Starts a process in a namespace; it ends with the lab. */
  spawnInside(namespace: string, command: string, ...args: string[]): ChildProcess {
    const child = spawn('ip', ['netns', 'exec', namespace, command, ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#children.push(child);
    return child;
  }

  vsctl(...args: string[]): string {
    return this.run('ovs-vsctl', `--db=unix:${this.#path('host', 'db.sock')}`, '--timeout=10', ...args);
  }

  trace(network: string, flow: string): string {
    // Friendly names are the first digits of UUIDs; those of time-ordered ones are all alike.
    const options = ['--no-friendly-names', '--minimal', '--ct=new', '--ct=new'];
    return this.run('ovn-trace', `--db=${this.southbound}`, ...options, network, flow);
  }

  /** A namespace whose only interface is plugged for this port. */
  endpoint(
    name: string,
    plug: { iface?: string; bridge?: string; mac?: string; addresses: string[]; gateways?: string[] },
  ): Endpoint {
    const namespace = this.#namespace(name);
    const veth = `b${this.tag}v${this.#veths++}`;
    this.run(
      'ip',
      '-n',
      this.hostNamespace,
      'link',
      'add',
      veth,
      'type',
      'veth',
      'peer',
      'name',
      'eth0',
      'netns',
      namespace,
    );
    this.run('ip', '-n', namespace, 'link', 'set', 'lo', 'up');
    if (plug.mac) this.run('ip', '-n', namespace, 'link', 'set', 'eth0', 'address', plug.mac);
    // The userspace datapath reads veths through AF_PACKET, which sees partial checksums unless they are off.
    this.inside(namespace, 'ethtool', '-K', 'eth0', 'tx', 'off');
    this.inside(namespace, 'sysctl', '-qw', 'net.ipv6.conf.eth0.accept_dad=0', 'net.ipv6.conf.eth0.autoconf=0');
    this.inside(this.hostNamespace, 'sysctl', '-qw', `net.ipv6.conf.${veth}.disable_ipv6=1`);
    this.run('ip', '-n', this.hostNamespace, 'link', 'set', veth, 'up');
    this.run('ip', '-n', namespace, 'link', 'set', 'eth0', 'up');
    for (const address of plug.addresses) this.run('ip', '-n', namespace, 'addr', 'add', address, 'dev', 'eth0');
    for (const gateway of plug.gateways ?? [])
      this.run('ip', '-n', namespace, 'route', 'add', 'default', 'via', gateway);
    const protection = refuseForbidden(names(this.tag), [veth]);
    this.run('ip', 'netns', 'exec', this.hostNamespace, 'nft', protection);
    const ids = plug.iface ? ['--', 'set', 'Interface', veth, `external_ids:iface-id=${plug.iface}`] : [];
    this.vsctl('add-port', plug.bridge ?? 'br-int', veth, ...ids);
    return { namespace, veth };
  }

  /** An endpoint is unplugged and plugged for another port. Its interface is down: what it learned on the other network is forgotten. */
  replug({ namespace, veth }: Endpoint, iface: string): void {
    this.run('ip', '-n', namespace, 'link', 'set', 'eth0', 'down');
    this.vsctl('set', 'Interface', veth, `external_ids:iface-id=${iface}`);
  }

  /** Its interface comes up as a guest's, which is told nothing by anybody. After the port is up: else it would ask on the network before. */
  configure(
    { namespace }: Endpoint,
    guest: {
      mac: string;
      addresses: readonly string[];
      gateways: readonly string[];
      routes: readonly { destination: string; nexthop: string }[];
    },
  ): void {
    const ip = (...args: string[]) => this.run('ip', '-n', namespace, ...args);
    this.inside(namespace, 'sysctl', '-qw', 'net.ipv6.conf.eth0.accept_ra=0');
    for (const version of ['-4', '-6']) this.run('ip', version, '-n', namespace, 'addr', 'flush', 'dev', 'eth0');
    ip('link', 'set', 'eth0', 'address', guest.mac, 'up');
    for (const address of guest.addresses) ip('addr', 'add', address, 'dev', 'eth0');
    for (const gateway of guest.gateways) ip('route', 'add', 'default', 'via', gateway);
    for (const { destination, nexthop } of guest.routes) ip('route', 'add', destination, 'via', nexthop);
  }

  async close(): Promise<void> {
    for (const child of this.#children.reverse()) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill();
      const hung = setTimeout(() => child.kill('SIGKILL'), 3000);
      await ended;
      clearTimeout(hung);
    }
    process.off('exit', this.#onExit);
    this.#closeNow();
  }

  #closeNow(): void {
    for (const child of this.#children) child.kill('SIGKILL');
    for (const namespace of this.#namespaces) {
      try {
        this.run('ip', 'netns', 'del', namespace);
      } catch {
        // Cut short before it was made.
      }
    }
    rmSync(this.directory, { recursive: true, force: true });
  }

  #path(...parts: string[]): string {
    return join(this.directory, ...parts);
  }

  #namespace(name: string): string {
    const namespace = `b${this.tag}-${name}`;
    this.run('ip', 'netns', 'add', namespace);
    this.#namespaces.push(namespace);
    return namespace;
  }

  #env(folder: string): NodeJS.ProcessEnv {
    const at = this.#path(folder);
    const names = ['OVS_RUNDIR', 'OVS_LOGDIR', 'OVS_DBDIR', 'OVS_SYSCONFDIR', 'OVN_RUNDIR', 'OVN_LOGDIR', 'OVN_DBDIR'];
    return { ...process.env, ...Object.fromEntries(names.map((name) => [name, at])) };
  }

  #daemon(folder: string, command: string, args: string[], namespace?: string): void {
    const log = [`--log-file=${this.#path(folder, `${command}-${this.#children.length}.log`)}`, '-vconsole:off'];
    const line = [...(namespace ? ['ip', 'netns', 'exec', namespace] : []), command, ...args, ...log];
    this.#children.push(spawn(line[0]!, line.slice(1), { stdio: 'ignore', env: this.#env(folder) }));
  }

  async #database(folder: string, name: string, schema: string, namespace?: string): Promise<void> {
    const [file, socket] = [this.#path(folder, `${name}.db`), this.#path(folder, `${name}.sock`)];
    this.run('ovsdb-tool', 'create', file, schema);
    const args = [file, `--remote=punix:${socket}`, `--unixctl=${this.#path(folder, `${name}.ctl`)}`, '--no-chdir'];
    this.#daemon(folder, 'ovsdb-server', args, namespace);
    await this.until(`${name} serves`, () => existsSync(socket));
  }

  async #central(): Promise<void> {
    await this.#database('central', 'nb', nbSchema);
    await this.#database('central', 'sb', sbSchema);
    this.run('ovn-nbctl', `--db=${this.northbound}`, 'init');
    this.run('ovn-sbctl', `--db=${this.southbound}`, 'init');
    const dbs = [`--ovnnb-db=${this.northbound}`, `--ovnsb-db=${this.southbound}`];
    this.#daemon('central', 'ovn-northd', [...dbs, `--unixctl=${this.#path('central', 'northd.ctl')}`]);
  }

  async #host(systemId: string): Promise<void> {
    const ns = this.#namespace('host');
    this.run('ip', '-n', ns, 'link', 'set', 'lo', 'up');
    await this.#database('host', 'db', ovsSchema, ns);
    const db = `unix:${this.#path('host', 'db.sock')}`;
    this.vsctl('--no-wait', 'init');
    const ids = {
      'system-id': systemId,
      'ovn-remote': this.southbound,
      'ovn-encap-type': 'geneve',
      'ovn-encap-ip': '127.0.0.1',
      'ovn-bridge-datapath-type': 'netdev',
      'ovn-bridge-mappings': 'physnet1:br-ex,physnet2:br-other',
    };
    const set = Object.entries(ids).map(([key, value]) => `external_ids:${key}=${JSON.stringify(value)}`);
    this.vsctl('--no-wait', 'set', 'Open_vSwitch', '.', ...set);
    this.#daemon('host', 'ovs-vswitchd', [db, `--unixctl=${this.#path('host', 'vswitchd.ctl')}`, '--no-chdir'], ns);
    this.#tend();
    for (const bridge of ['br-int', 'br-ex', 'br-other']) {
      const mode = bridge === 'br-int' ? ['fail_mode=secure'] : [];
      this.vsctl('add-br', bridge, '--', 'set', 'Bridge', bridge, 'datapath_type=netdev', ...mode);
    }
    this.#daemon('host', 'ovn-controller', [db, '--no-chdir', '--pidfile'], ns);
    await this.until('the datapath says what it can', () =>
      this.vsctl('--bare', '--columns=capabilities', 'list', 'Datapath').includes(zeroSnat),
    );
    await withdrawZeroSnat(db.slice('unix:'.length));
    await this.until('the chassis registers', () =>
      this.run('ovn-sbctl', `--db=${this.southbound}`, '--bare', '--columns=name', 'list', 'Chassis').includes(
        systemId,
      ),
    );
  }

  /** What the host process would do. */
  #tend(): void {
    const script = join(import.meta.dirname, 'ovn-host.ts');
    const args = ['--disable-warning=ExperimentalWarning', script, this.#path('host')];
    this.#children.push(spawn(process.execPath, args, { stdio: ['pipe', 'ignore', 'ignore'] }));
  }

  async until(what: string, condition: () => boolean | Promise<boolean>, timeoutMs = 15_000): Promise<number> {
    const start = performance.now();
    while (!(await condition())) {
      if (performance.now() - start > timeoutMs) throw new Error(`not in ${timeoutMs} ms: ${what}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    return performance.now() - start;
  }
}

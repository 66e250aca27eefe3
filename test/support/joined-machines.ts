/**
 * A cloud of several machines, the first by `bothy up`, the others by `bothy join`: network namespaces, each with a cable to a switch at which this process is
 * too (control, the southbound database, the way out) and one to a switch of its own for tunnels; where it is asked for a third one to a switch that is the external network.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readdirSync, readlinkSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { reserveCloud } from '../../cli/cloud/throw-away.ts';
import { cloudPaths } from '../../cli/settings.ts';
import { GuestShell } from './guest-shell.ts';
import { bothy, environmentOf, type LiveCloud, mustRun, type Output, run } from './live-cloud.ts';

const ip = (...args: string[]): string => execFileSync('ip', args, { encoding: 'utf8' });

export class JoinedMachine {
  /** Of its network namespace. */
  readonly namespace: string;
  /** As the cloud calls it; of the first: once it is up. */
  name: string;
  data = '';

  constructor(namespace: string, name: string) {
    this.namespace = namespace;
    this.name = name;
  }

  run(...args: string[]): Promise<Output> {
    return run('nsenter', [`--net=/run/netns/${this.namespace}`, ...args], { deadlineMs: 300_000 });
  }

  must(...args: string[]): Promise<string> {
    return mustRun('nsenter', [`--net=/run/netns/${this.namespace}`, ...args], { deadlineMs: 300_000 });
  }

  /**
   * Somebody on it asks an address for a connection, again and again, until `stop`. That it is refused is an answer, too. What comes by the second try of a
   * kernel, after one second, is none: who was asked then was not heard.
   */
  connecting(address: string, port: number, everyMs = 50): Connecting {
    const code = `const {connect} = require('node:net');
      setInterval(() => { const at = Date.now(); const socket = connect(${port}, '${address}', () => { console.log(at); socket.destroy(); });
        socket.on('error', ({code}) => { if (code === 'ECONNREFUSED') console.log(at); }); socket.setTimeout(900, () => socket.destroy()); }, ${everyMs});`;
    const args = [`--net=/run/netns/${this.namespace}`, process.execPath, '-e', code];
    return new Connecting(spawn('nsenter', args, { stdio: ['ignore', 'pipe', 'ignore'] }));
  }

  /** Below the run directory of its host process. */
  hostFile(...path: string[]): string {
    return join(cloudPaths(this.data).run, 'host', ...path);
  }

  /** Of a guest on it, at its serial port. */
  shellOf(server: string): Promise<GuestShell> {
    return GuestShell.open(this.hostFile('guests', server, 'serial.sock'));
  }

  /** All that run on it, by their network namespace. */
  processes(): { pid: number; program: string }[] {
    const own = statSync(`/run/netns/${this.namespace}`).ino;
    return readdirSync('/proc').flatMap((entry) => {
      try {
        if (!/^\d+$/.test(entry) || statSync(`/proc/${entry}/ns/net`).ino !== own) return [];
        return [{ pid: Number(entry), program: readlinkSync(`/proc/${entry}/exe`) }];
      } catch {
        return [];
      }
    });
  }

  signal(signal: NodeJS.Signals, which: (process: { pid: number; program: string }) => boolean = () => true): void {
    for (const process of this.processes().filter(which)) {
      try {
        globalThis.process.kill(process.pid, signal);
      } catch {
        // It has ended by itself.
      }
    }
  }
}

class Connecting {
  /** When each was asked for that was answered, in ms. */
  readonly answered: number[] = [];
  readonly #child: ChildProcess;

  constructor(child: ChildProcess) {
    this.#child = child;
    child.stdout!.on('data', (text) => this.answered.push(...String(text).trim().split('\n').map(Number)));
  }

  /** The longest time between two. */
  get longestMs(): number {
    const times = this.answered.toSorted((a, b) => a - b);
    return Math.max(0, ...times.slice(1).map((at, index) => at - times[index]!));
  }

  stop(): void {
    this.#child.kill();
  }
}

export class JoinedMachines implements AsyncDisposable {
  readonly #tag = randomBytes(2).toString('hex');
  readonly #outside = `b${this.#tag}out`;
  readonly #tunnels = `b${this.#tag}tun`;
  readonly #external: string | undefined;
  readonly machines: readonly JoinedMachine[];
  cloud!: LiveCloud;

  private constructor(count: number, external: boolean) {
    this.#external = external ? `b${this.#tag}ext` : undefined;
    this.machines = Array.from(
      { length: count },
      (_, n) => new JoinedMachine(`bothy-m${n}-${this.#tag}`, `m${n}-${this.#tag}`),
    );
  }

  /**
   * The first is up; the others are plain machines until they `join`.
   * @param settings of each by its number, the first's first, asked for once this process is at the switch
   * @param options.external each is on the external network, and may be a gateway
   */
  static async start(
    count: number,
    settings: (machine: number) => Promise<Record<string, string>> = async () => ({}),
    { external = false }: { external?: boolean } = {},
  ): Promise<JoinedMachines> {
    const made = new JoinedMachines(count, external);
    try {
      await made.#begin(settings);
      return made;
    } catch (error) {
      await made[Symbol.asyncDispose]();
      throw error;
    }
  }

  async #begin(settings: (machine: number) => Promise<Record<string, string>>): Promise<void> {
    for (const name of this.#switches) {
      ip('link', 'add', name, 'type', 'bridge', 'forward_delay', '0');
      ip('link', 'set', name, 'up');
    }
    ip('addr', 'add', '10.8.0.254/24', 'dev', this.#outside);
    const [first] = this.machines;
    for (const [n, { namespace }] of this.machines.entries()) {
      ip('netns', 'add', namespace);
      this.#plug(n, 'card0', this.#outside);
      this.#plug(n, 'tunnel0', this.#tunnels);
      if (this.#external) this.#plug(n, 'outer0', this.#external);
      for (const device of ['lo', 'card0']) ip('-n', namespace, 'link', 'set', device, 'up');
      ip('-n', namespace, 'addr', 'add', `10.8.0.${n + 1}/24`, 'dev', 'card0');
      ip('-n', namespace, 'route', 'add', 'default', 'via', '10.8.0.254');
    }
    for (const [n, machine] of this.machines.entries())
      machine.data = await reserveCloud(tmpdir(), {
        tunnels: `tunnel0:10.9.0.${n + 1}/24`,
        ...(this.#external && { external_interface: 'outer0' }),
        ...(await settings(n)),
      });
    const { data } = first!;
    await first!.must(bothy, 'up', '--detach', '--data', data);
    this.cloud = {
      ...{ data, adminEnvironment: environmentOf(join(data, 'openrc')), caFile: join(data, 'ca.pem') },
      [Symbol.asyncDispose]: async () => {},
    };
  }

  get #switches(): string[] {
    return [this.#outside, this.#tunnels, ...(this.#external ? [this.#external] : [])];
  }

  #plug(machine: number, card: string, into: string): void {
    const cable = this.#cable(machine, card);
    ip('link', 'add', cable, 'type', 'veth', 'peer', 'name', card, 'netns', this.machines[machine]!.namespace);
    ip('link', 'set', cable, 'master', into, 'up');
  }

  /** The switch's end of it. */
  #cable = (machine: number, card: string): string => `b${this.#tag}${card[0]}${machine}`;

  /** This process is found by the machines under this address, too, as somebody out in the world is. */
  answerTo(address: string): void {
    ip('addr', 'add', `${address}/32`, 'dev', this.#outside);
  }

  /** It becomes a host of the cloud. */
  async join(machine: JoinedMachine): Promise<void> {
    const [first] = this.machines;
    const token = /--token (\S+)/.exec(await first!.must(bothy, 'token', '--data', first!.data))![1]!;
    const url = new URL(this.cloud.adminEnvironment.OS_AUTH_URL!).origin;
    await machine.must(bothy, 'join', url, '--token', token, '--name', machine.name, '--data', machine.data);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const machine of this.machines.toReversed()) {
      if (!machine.data) continue;
      await machine.run(bothy, 'down', '--purge', '--yes', '--data', machine.data);
      execFileSync('rm', ['-rf', join(machine.data, '..')]);
    }
    for (const { namespace } of this.machines) ip('netns', 'del', namespace);
    for (const name of this.#switches) ip('link', 'del', name);
  }
}

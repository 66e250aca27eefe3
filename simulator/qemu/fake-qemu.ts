/**
 * One QEMU process that is none: started by a command line, seen through its pid file, its sockets, its console log, its
 * stderr and its end. Owns all of these and the machine within. It belongs to the machine that it runs on, not to the
 * host process that started it, and outlives that one.
 */
import { accessSync, appendFileSync, constants, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { type AgentBehaviour, serveAgent } from './agent.ts';
import { BlockGraph } from './block-graph.ts';
import { systemReason } from './block-nodes.ts';
import type { Claims } from './claims.ts';
import { type MachineDescription, parseCommandLine } from './command-line.ts';
import { type GuestBehaviour, type RunState, SimulatedGuest } from './guest.ts';
import { readMemory } from './migration.ts';
import { Moving } from './moving.ts';
import { ListeningSocket, QmpServer } from './qmp-server.ts';
import { QemuRefusal, unable } from './refusal.ts';
import { serveScreen } from './screen.ts';

export interface QemuBehaviour extends GuestBehaviour {
  /** From exec until QEMU listens. 0: it listens as soon as it is there. */
  startMs: number;
  /** QEMU ends at its start with these words; null: it starts. */
  startError: string | null;
  /** QEMU hangs: it takes connections and never answers. */
  silent: boolean;
  /** Where it shall hand its guest over it waits for its disks' target, which stands still: till then it answers only what passes by. Absent: it does not. */
  drainsForEver?: boolean;
  /** Absent: the guest has none. */
  agent?: AgentBehaviour | undefined;
}

export const defaultBehaviour: QemuBehaviour = {
  startMs: 0,
  startError: null,
  silent: false,
  bootMs: 0,
  shutdownMs: 1,
};

export interface FakeQemuOptions {
  pid: number;
  args: readonly string[];
  /** For stderr; appended to. */
  logFile: string;
  /** The file that it has open as descriptor 3. */
  incoming?: string | undefined;
  claims: Claims;
  behaviour: QemuBehaviour;
}

export class FakeQemu {
  readonly pid: number;
  readonly args: readonly string[];
  readonly exited: Promise<void>;
  /** May be changed while it runs. */
  behaviour: QemuBehaviour;
  readonly #options: FakeQemuOptions;
  readonly #claims: (() => void)[] = [];
  #guest: SimulatedGuest | undefined;
  #description: MachineDescription | undefined;
  #qmp: QmpServer | undefined;
  #serial: { listening: ListeningSocket; clients: Set<Socket> } | undefined;
  #agent: ListeningSocket | undefined;
  #screen: ListeningSocket | undefined;
  #pidFile: string | undefined;
  #alive = true;
  #end: () => void = () => {};
  /** How it ended; null while it lives. */
  exit: 'clean' | 'failed' | 'killed' | null = null;

  constructor(options: FakeQemuOptions) {
    this.#options = options;
    this.pid = options.pid;
    this.args = options.args;
    this.behaviour = options.behaviour;
    this.exited = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  get alive(): boolean {
    return this.#alive;
  }

  get state(): RunState | 'starting' | 'gone' {
    return this.#alive ? (this.#guest?.state ?? 'starting') : 'gone';
  }

  /** What it was started with. @throws before QEMU has understood that */
  get machine(): MachineDescription {
    if (!this.#description) throw new Error('this QEMU has not started');
    return this.#description;
  }

  /** @throws before QEMU has started */
  get guest(): SimulatedGuest {
    if (!this.#guest) throw new Error('this QEMU has not started');
    return this.#guest;
  }

  /** The guest's own act: it switches itself off. */
  powerOff(): void {
    this.guest.powerOff();
  }

  /** The guest's own act: it starts itself again; QEMU goes on. */
  reboot(): void {
    this.guest.reboot();
  }

  /** The guest's own act: it writes to its serial console. */
  write(text: string): void {
    this.#write(text);
  }

  /** Who has its serial console open. */
  get serialReaders(): number {
    return this.#serial?.clients.size ?? 0;
  }

  /** Commands that came by QMP, for assertions. */
  readonly executed: string[] = [];

  #moving: Moving | undefined;

  /** Limits of its disks, by the devices that have them. */
  readonly throttles = new Map<string, Record<string, unknown>>();

  /** Resolves when QEMU listens or has ended; the words of a failed start are in its log. */
  async start(): Promise<void> {
    try {
      if (this.behaviour.startMs > 0) await new Promise((resolve) => setTimeout(resolve, this.behaviour.startMs));
      if (!this.#alive) return;
      if (this.behaviour.startError !== null) throw unable(this.behaviour.startError);
      await this.#run(parseCommandLine(this.args));
    } catch (error) {
      if (!this.#alive) return;
      if (!(error instanceof QemuRefusal)) throw error;
      appendFileSync(this.#options.logFile, `${error.message}\n`);
      this.#exit('failed');
    }
  }

  /** Stopped by a signal: nothing of the guest or of QEMU goes on, whatever its state says. */
  held = false;

  /** Its guest does something now. */
  get executes(): boolean {
    return this.state === 'running' && !this.held;
  }

  /** SIGKILL: files and sockets stay behind. */
  kill(): void {
    this.#exit('killed');
  }

  /** It waits for its disks' target, see `drainsForEver`. */
  get draining(): boolean {
    return this.#moving?.draining ?? false;
  }

  /** The kernel ends its connections to there. */
  resetConnections(to: { address: string; ports: number[] }): void {
    this.#moving?.reset(to);
  }

  /** SIGTERM, as the machine sends it when it is shut down. */
  terminate(): void {
    if (!this.#alive) return;
    this.#qmp?.event('SHUTDOWN', { guest: false, reason: 'host-signal' });
    this.#exit('clean');
  }

  async #run(description: MachineDescription): Promise<void> {
    this.#description = description;
    this.#writePidFile(description);
    const blocks = this.#openDisks(description);
    for (const back of description.taps.values()) back.release = this.#claimTap(back.tap);
    const guest = new SimulatedGuest({
      onShutdown: description.onShutdown,
      behaviour: () => this.behaviour,
      listener: {
        event: (name, data) => this.#qmp?.event(name, data),
        console: (text) => this.#write(text),
        ended: () => this.#exit('clean'),
      },
    });
    this.#guest = guest;
    if (description.incoming !== undefined) guest.await();
    await this.#listen(description, blocks);
    if (typeof description.incoming === 'number') this.#load(description, guest);
    if (this.#alive && !description.heldAtStart) guest.resume();
  }

  #load(description: MachineDescription, guest: SimulatedGuest): void {
    const { incoming } = this.#options;
    if (description.incoming !== 3 || incoming === undefined) throw unable('Unable to use fd: Bad file descriptor');
    guest.load(readMemory(readFileSync(incoming, 'utf8'), description));
  }

  #writePidFile({ pidFile }: MachineDescription): void {
    if (pidFile === undefined) return;
    this.#claim(() => this.#options.claims.pidFile(pidFile));
    try {
      writeFileSync(pidFile, `${this.pid}\n`, { mode: 0o600 });
    } catch (error) {
      throw unable(`cannot create PID file: Could not create '${pidFile}': ${systemReason(error)}`);
    }
    this.#pidFile = pidFile;
  }

  #openDisks({ disks, nodes, files }: MachineDescription): BlockGraph {
    for (const path of files) this.#readable(path);
    const blocks = new BlockGraph(disks, (file) => this.#held(this.#options.claims.file(file.path, file.mode)));
    for (const node of nodes.values()) {
      try {
        blocks.open(node);
      } catch (error) {
        throw error instanceof QemuRefusal ? error : unable(`-blockdev ${node.name}: ${(error as Error).message}`);
      }
    }
    return blocks;
  }

  #readable(path: string): void {
    try {
      accessSync(path, constants.R_OK);
    } catch (error) {
      throw unable(`Could not open '${path}': ${systemReason(error)}`);
    }
  }

  #claimTap(tap: string): () => void {
    return this.#held(this.#options.claims.tap(tap));
  }

  /** Let go of before QEMU's end or with it. */
  #held(release: () => void): () => void {
    this.#claims.push(release);
    return () => {
      const at = this.#claims.indexOf(release);
      if (at >= 0) this.#claims.splice(at, 1)[0]!();
    };
  }

  #claim(take: () => () => void): void {
    this.#claims.push(take());
  }

  async #listen(description: MachineDescription, blocks: BlockGraph): Promise<void> {
    const { monitor, serial, agent, vnc } = description;
    try {
      if (agent) {
        this.#agent = new ListeningSocket(agent.path, (socket) => serveAgent(socket, () => this.behaviour.agent));
        await this.#agent.open();
      }
      if (vnc) {
        this.#screen = new ListeningSocket(vnc.path, serveScreen);
        await this.#screen.open();
      }
      if (serial) {
        const clients = new Set<Socket>();
        const listening = new ListeningSocket(serial.path, (socket) => {
          clients.add(socket);
          // What is typed comes back, as from a terminal.
          socket.on('close', () => clients.delete(socket)).on('data', (typed) => this.#write(typed.toString('utf8')));
        });
        if (serial.logFile !== undefined) appendFileSync(serial.logFile, '', { mode: 0o640 });
        await listening.open();
        this.#serial = { listening, clients };
      }
      if (monitor) {
        const context = this.#context(description, blocks);
        const qmp = new QmpServer({
          path: monitor.path,
          context,
          silent: () => this.behaviour.silent || this.held,
          busy: () => this.draining,
          executed: this.executed,
        });
        await qmp.open();
        this.#qmp = qmp;
      }
    } catch (error) {
      throw unable(`-chardev socket: Failed to bind socket: ${systemReason(error)}`);
    } finally {
      // Killed while it was opening.
      if (!this.#alive) this.#close({ clean: false });
    }
  }

  #context(description: MachineDescription, blocks: BlockGraph): ConstructorParameters<typeof QmpServer>[0]['context'] {
    const { pid, guest, throttles } = this;
    const event = (name: string, data?: Record<string, unknown>) => this.#qmp?.event(name, data);
    const fail = (words: string) => {
      appendFileSync(this.#options.logFile, `${words}\n`);
      this.#exit('failed');
    };
    const drains = () => this.behaviour.drainsForEver === true;
    const drained = () => this.#qmp?.goOn();
    const moving = new Moving({ description, guest, blocks, event, fail, drains, drained });
    this.#moving = moving;
    return {
      ...{ pid, description, guest, blocks, throttles, event, moving, outgoing: undefined },
      end: () => this.#exit('clean'),
      claimTap: (tap) => this.#claimTap(tap),
    };
  }

  #write(text: string): void {
    const log = this.#description?.serial?.logFile;
    for (const client of this.#serial?.clients ?? []) client.write(text);
    if (log === undefined) return;
    try {
      appendFileSync(log, text);
    } catch {
      // Somebody removed it: QEMU would go on writing to a file without a name.
    }
  }

  #exit(how: 'clean' | 'failed' | 'killed'): void {
    if (!this.#alive) return;
    this.#alive = false;
    this.exit = how;
    this.#guest?.end();
    this.#close({ clean: how !== 'killed' });
    if (how !== 'killed' && this.#pidFile !== undefined) rmSync(this.#pidFile, { force: true });
    for (const release of this.#claims.splice(0)) release();
    this.#end();
  }

  #close(options: { clean: boolean }): void {
    this.#moving?.close();
    this.#qmp?.close(options);
    this.#serial?.listening.close(options);
    this.#agent?.close(options);
    this.#screen?.close(options);
  }
}

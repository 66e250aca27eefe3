/**
 * A QEMU without a guest: the machine protocol on a real unix socket, and a behaviour in place of an operating system.
 * Owns its socket and pid file. Lives in this process but not in any Host: it outlives the host object that started it.
 */
import { appendFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { QmpFramer } from '../../protocols/qmp/index.ts';
import type { FakeMachineDescription } from './arguments.ts';

export interface GuestBehaviour {
  /** From the start of QEMU to its first answer. */
  startMs: number;
  /** From the power button to the guest's end; null: the guest doesn't listen. */
  shutdownMs: number | null;
  /** What the guest writes to its console when it starts. */
  boots: string;
}

export const politeGuest: GuestBehaviour = { startMs: 0, shutdownMs: 5, boots: 'login: ' };

type RunState = 'running' | 'paused' | 'shutdown' | 'io-error' | 'internal-error';

const greeting = {
  QMP: { version: { qemu: { micro: 22, minor: 2, major: 7 }, package: 'simulated' }, capabilities: [] },
};

export class FakeQemu {
  readonly machine: FakeMachineDescription;
  readonly pid: number;
  readonly exited: Promise<void>;
  behaviour: GuestBehaviour;
  /** Commands that were executed, for assertions. */
  readonly executed: string[] = [];
  #state: RunState = 'running';
  #server: Server | undefined;
  #client: Socket | undefined;
  #waiting: Socket[] = [];
  #negotiated = false;
  #alive = true;
  #ended: () => void = () => {};
  #timers = new Set<NodeJS.Timeout>();

  constructor(machine: FakeMachineDescription, pid: number, behaviour: GuestBehaviour) {
    this.machine = machine;
    this.pid = pid;
    this.behaviour = behaviour;
    this.exited = new Promise((resolve) => {
      this.#ended = resolve;
    });
    this.#later(behaviour.startMs, () => this.#start());
  }

  get alive(): boolean {
    return this.#alive;
  }

  get state(): RunState | 'gone' {
    return this.#alive ? this.#state : 'gone';
  }

  /** SIGKILL, or a crash: without a word. */
  kill(): void {
    if (!this.#alive) return;
    this.#alive = false;
    for (const timer of this.#timers) clearTimeout(timer);
    for (const socket of [this.#client, ...this.#waiting]) socket?.destroy();
    this.#server?.close();
    this.#ended();
  }

  /** The guest's own act: it powers itself off. */
  powerOff(): void {
    this.#shutDown({ guest: true, reason: 'guest-shutdown' });
  }

  /** The guest's own act: it reboots itself; QEMU goes on. */
  reboot(): void {
    this.#event('RESET', { guest: true, reason: 'guest-reset' });
    appendFileSync(this.machine.consoleLog, this.behaviour.boots);
  }

  /** Something in the world stops the machine, e.g. a full disk. */
  become(state: RunState): void {
    this.#state = state;
    this.#event(state === 'running' ? 'RESUME' : 'STOP');
  }

  #start(): void {
    writeFileSync(this.machine.pidFile, `${this.pid}\n`);
    appendFileSync(this.machine.consoleLog, this.behaviour.boots);
    rmSync(this.machine.qmpPath, { force: true });
    this.#server = createServer((socket) => this.#connected(socket));
    this.#server.on('error', () => this.kill());
    this.#server.listen(this.machine.qmpPath);
    this.#server.unref();
  }

  /** QEMU serves one client at a time. */
  #connected(socket: Socket): void {
    socket.on('error', () => {});
    if (this.#client) {
      this.#waiting.push(socket);
      return;
    }
    this.#client = socket;
    this.#negotiated = false;
    const framer = new QmpFramer();
    socket.on('data', (chunk) => {
      try {
        for (const message of framer.push(chunk)) this.#received(message);
      } catch {
        this.#send({ error: { class: 'GenericError', desc: 'JSON parse error' } });
      }
    });
    socket.on('close', () => {
      this.#client = undefined;
      const next = this.#waiting.shift();
      if (next && this.#alive) this.#connected(next);
    });
    this.#send(greeting);
  }

  #send(message: object): void {
    this.#client?.write(`${JSON.stringify(message)}\r\n`);
  }

  #event(event: string, data?: object): void {
    if (!this.#negotiated) return;
    const now = Date.now();
    const timestamp = { seconds: Math.floor(now / 1000), microseconds: (now % 1000) * 1000 };
    this.#send({ timestamp, event, ...(data && { data }) });
  }

  #received(message: Record<string, unknown>): void {
    const { id } = message;
    const command = String(message.execute);
    if (!this.#negotiated && command !== 'qmp_capabilities') {
      const desc = "Expecting capabilities negotiation with 'qmp_capabilities'";
      this.#send({ id, error: { class: 'CommandNotFound', desc } });
      return;
    }
    this.executed.push(command);
    const answer = this.#execute(command);
    if (answer === undefined) {
      this.#send({ id, error: { class: 'CommandNotFound', desc: `The command ${command} has not been found` } });
    } else this.#send({ return: answer, id });
    if (command === 'quit') this.#quit();
  }

  #execute(command: string): unknown {
    switch (command) {
      case 'qmp_capabilities':
        this.#negotiated = true;
        return {};
      case 'query-status':
        return { status: this.#state, singlestep: false, running: this.#state === 'running' };
      case 'query-cpus-fast':
        return Array.from({ length: this.machine.cpus }, (_, index) => ({ 'cpu-index': index, target: 'x86_64' }));
      case 'query-block':
        return this.machine.disks.map(({ node, filename, driver }) => ({
          device: '',
          inserted: { 'node-name': node, file: filename, drv: driver },
        }));
      case 'query-version':
        return greeting.QMP.version;
      case 'system_powerdown':
        this.#event('POWERDOWN');
        this.#pressed();
        return {};
      case 'system_reset':
        this.#event('RESET', { guest: false, reason: 'host-qmp-system-reset' });
        return {};
      case 'stop':
        this.become('paused');
        return {};
      case 'cont':
        this.#state = 'running';
        this.#event('RESUME');
        return {};
      case 'quit':
        return {};
      default:
        return undefined;
    }
  }

  #pressed(): void {
    const { shutdownMs } = this.behaviour;
    if (shutdownMs !== null && this.#state === 'running') {
      this.#later(shutdownMs, () => this.#shutDown({ guest: true, reason: 'guest-shutdown' }));
    }
  }

  #shutDown(data: object): void {
    if (!this.#alive || this.#state === 'shutdown') return;
    this.#event('SHUTDOWN', data);
    if (!this.machine.pauseAtShutdown) {
      this.#quit();
      return;
    }
    this.#state = 'shutdown';
    this.#event('STOP');
  }

  #quit(): void {
    this.#event('SHUTDOWN', { guest: false, reason: 'host-qmp-quit' });
    // What was written still reaches the client.
    this.#client?.end();
    this.#client = undefined;
    this.#later(0, () => {
      rmSync(this.machine.pidFile, { force: true });
      this.kill();
    });
  }

  #later(ms: number, act: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      if (this.#alive) act();
    }, ms);
    this.#timers.add(timer);
  }
}

/**
 * Every QEMU of one simulated machine: its process table. Owns the guests; a host process that starts and finds them
 * comes and goes (`launcher`). A launcher that is severed belongs to a host process that was killed: whatever that one's
 * code still does reaches no guest any more.
 */
import type { ServerId } from '../../contract/ids.ts';
import { parseId } from '../../contract/ids.ts';
import type { QemuLaunch, QemuLauncher, QemuProcess } from '../../host/guest/launcher.ts';
import { Claims } from './claims.ts';
import { defaultBehaviour, FakeQemu, type QemuBehaviour } from './fake-qemu.ts';
import { FakeLeaseGuard } from './lease-guard.ts';

export interface FakeMachineOptions {
  /** Whether the machine has this tap; absent: it has every tap. */
  tapExists?: (name: string) => boolean;
  behaviour?: Partial<QemuBehaviour>;
}

/** Above every pid that Linux gives out, so that a mistake never hits a real process. */
let lastPid = 5_000_000;

export class FakeMachine implements QemuLauncher {
  /** Of guests to come. */
  behaviour: QemuBehaviour;
  readonly claims: Claims;
  /** Of the host's lease. */
  readonly guard = new FakeLeaseGuard(() => this.guests);
  readonly #running = new Map<number, { serverId: ServerId; qemu: FakeQemu }>();
  readonly #behaviours = new Map<ServerId, Partial<QemuBehaviour>>();
  /** QEMUs started so far. */
  launches = 0;

  constructor(options: FakeMachineOptions = {}) {
    this.claims = new Claims({ tapExists: options.tapExists });
    this.behaviour = { ...defaultBehaviour, ...options.behaviour };
  }

  /** What this server's guest does differently, from now on. */
  behave(serverId: ServerId, behaviour: Partial<QemuBehaviour>): void {
    this.#behaviours.set(serverId, { ...this.#behaviours.get(serverId), ...behaviour });
    for (const { qemu } of this.#of(serverId)) qemu.behaviour = { ...qemu.behaviour, ...behaviour };
  }

  /** For one host process that may be killed; `launch` and `list` of the machine itself serve those that are not. */
  launcher(): SimulatedLauncher {
    return new SimulatedLauncher(this);
  }

  async launch({ serverId, args, logFile, incoming }: QemuLaunch): Promise<FakeQemu> {
    const named = parseId<ServerId>(args[args.indexOf('-uuid') + 1] ?? '');
    if (named !== serverId) throw new Error(`these are the arguments of server ${named}, not of ${serverId}`);
    lastPid += 1000; // room for its threads
    const pid = lastPid;
    const behaviour = { ...this.behaviour, ...this.#behaviours.get(serverId) };
    const qemu = new FakeQemu({ pid, args, logFile, incoming, claims: this.claims, behaviour });
    this.launches++;
    this.#running.set(pid, { serverId, qemu });
    void qemu.exited.then(() => this.#running.delete(pid));
    const started = qemu.start();
    if (behaviour.startMs === 0) await started;
    return qemu;
  }

  async list(): Promise<{ serverId: ServerId; process: FakeQemu }[]> {
    return this.#alive().map(({ serverId, qemu }) => ({ serverId, process: qemu }));
  }

  /** All that run. */
  get guests(): FakeQemu[] {
    return this.#alive().map(({ qemu }) => qemu);
  }

  /** The server's guest, if one runs. */
  guest(serverId: ServerId): FakeQemu | undefined {
    return this.#of(serverId)[0]?.qemu;
  }

  /** Its kernel ends all connections to there. */
  resetConnections(to: { address: string; ports: number[] }): void {
    for (const qemu of this.guests) qemu.resetConnections(to);
  }

  /** The machine loses its power. */
  powerCut(): void {
    for (const qemu of this.guests) qemu.kill();
  }

  #alive() {
    return [...this.#running.values()].filter(({ qemu }) => qemu.alive);
  }

  #of(serverId: ServerId) {
    return this.#alive().filter((running) => running.serverId === serverId);
  }
}

class SimulatedLauncher implements QemuLauncher {
  readonly #machine: FakeMachine;
  #severed = false;

  constructor(machine: FakeMachine) {
    this.#machine = machine;
  }

  /** The host process that has this launcher is dead. */
  sever(): void {
    this.#severed = true;
  }

  async launch(options: QemuLaunch): Promise<QemuProcess> {
    if (this.#severed) return never();
    const process = this.#handle(await this.#machine.launch(options));
    return this.#severed ? never() : process;
  }

  async list(): Promise<{ serverId: ServerId; process: QemuProcess }[]> {
    if (this.#severed) return never();
    return (await this.#machine.list()).map(({ serverId, process }) => ({ serverId, process: this.#handle(process) }));
  }

  #handle(qemu: FakeQemu): QemuProcess {
    const severed = () => this.#severed;
    return {
      pid: qemu.pid,
      get alive() {
        return qemu.alive;
      },
      exited: qemu.exited.then(() => (severed() ? never() : undefined)),
      kill: () => {
        if (!severed()) qemu.kill();
      },
    };
  }
}

/** What a dead process waits for. */
const never = <T>(): Promise<T> => new Promise<T>(() => {});

/**
 * One running QEMU: its process and its QMP connection. Owns both ends' lifetimes, never decides what shall be.
 * QEMU's death is the end of the process, never merely of the connection; a lost connection is made again.
 */
import { QmpClient } from '../../protocols/qmp/index.ts';
import { HostFault } from '../host-error.ts';
import type { QemuProcess } from './launcher.ts';

/** QEMU's RunState, and two of ours: 'starting' before its first answer, 'gone' after its end. */
export type RunState =
  | 'starting'
  | 'running'
  | 'paused'
  | 'prelaunch'
  | 'inmigrate'
  | 'postmigrate'
  | 'guest-panicked'
  | 'shutdown'
  | 'io-error'
  | 'internal-error'
  | 'gone'
  | (string & {});

export interface GuestOptions {
  process: QemuProcess;
  qmpPath: string;
  /** How long it may take to answer. */
  timeoutMs: number;
  /** Called whenever the state may have changed. */
  onChange(): void;
  /** A file to which it writes has become larger than was said. */
  onGrown(): void;
}

const quitGraceMs = 2000;
const quietEvents = new Set(['DEVICE_DELETED', 'BLOCK_JOB_READY', 'BLOCK_JOB_COMPLETED', 'BLOCK_JOB_ERROR']);

export class Guest {
  readonly process: QemuProcess;
  readonly #options: GuestOptions;
  readonly #stopped = new AbortController();
  #qmp: QmpClient | undefined;
  #state: RunState = 'starting';
  #ending = false;
  readonly #waiters = new Set<() => void>();

  constructor(options: GuestOptions) {
    this.process = options.process;
    this.#options = options;
    void this.process.exited.then(() => this.#gone());
    void this.#keepConnected();
  }

  get state(): RunState {
    return this.#state;
  }

  /** It has been told to end by us. */
  get ending(): boolean {
    return this.#ending;
  }

  /** Lets go of the guest, which goes on. */
  release(): void {
    this.#stopped.abort();
    this.#qmp?.close();
    for (const waiter of [...this.#waiters]) waiter();
  }

  /** Resolves at the next change of state, or after a while. */
  changed(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.#waiters.delete(done);
        resolve();
      };
      const timer = setTimeout(done, Math.max(0, timeoutMs));
      this.#waiters.add(done);
    });
  }

  /** Presses the power button. Whether the guest obeys is seen in its state. */
  async powerdown(): Promise<void> {
    await this.#qmp?.execute('system_powerdown');
  }

  async resume(): Promise<void> {
    await this.execute('cont');
  }

  async pause(): Promise<void> {
    await this.execute('stop');
  }

  /** @throws HostFault where QEMU can't be asked now; what QmpClient throws */
  execute<T = unknown>(command: string, args?: Record<string, unknown>): Promise<T> {
    if (!this.#qmp) return Promise.reject(new HostFault('guest_silent', 'QEMU does not answer'));
    return this.#qmp.execute<T>(command, args, { timeoutMs: this.#options.timeoutMs });
  }

  /** What passes by all that QEMU does (`yank`). @throws as execute */
  executeOutOfBand<T = unknown>(command: string, args?: Record<string, unknown>): Promise<T> {
    if (!this.#qmp) return Promise.reject(new HostFault('guest_silent', 'QEMU does not answer'));
    return this.#qmp.executeOutOfBand<T>(command, args, { timeoutMs: this.#options.timeoutMs });
  }

  /** Asks for the state. QEMU tells most of its changes by itself; not that it has loaded a memory. */
  async look(): Promise<void> {
    try {
      const answer = await this.#qmp?.execute<{ status?: unknown }>('query-status');
      if (typeof answer?.status === 'string') this.#become(answer.status);
    } catch {
      // The connection's end, or the next event, brings us here again.
    }
  }

  /** Ends QEMU: the guest's disk is flushed first; by force when it does not answer. */
  async quit(): Promise<void> {
    this.#ending = true;
    if (!this.process.alive) return;
    const timer = setTimeout(() => this.process.kill(), quitGraceMs);
    try {
      if (this.#qmp?.open) await this.#qmp.execute('quit', undefined, { timeoutMs: quitGraceMs });
      else this.process.kill();
    } catch {
      this.process.kill();
    }
    await this.process.exited;
    clearTimeout(timer);
  }

  /** Ends QEMU without a word. */
  async kill(): Promise<void> {
    this.#ending = true;
    this.process.kill();
    await this.process.exited;
  }

  async #keepConnected(): Promise<void> {
    const { signal } = this.#stopped;
    while (!signal.aborted && this.process.alive) {
      try {
        this.#qmp = await QmpClient.connect({ path: this.#options.qmpPath, timeoutMs: 5000, signal });
        this.#qmp.listen(({ name }) => this.#told(name));
        await this.look();
        await this.#qmp.closed;
      } catch {
        // QEMU is not listening yet, or dies: either shows soon.
      }
      this.#qmp = undefined;
      await pause(this.#state === 'starting' ? 4 : 100, signal);
    }
  }

  #told(event: string): void {
    // No change of state: the guest has let go of a device, or something is over that is done beside it.
    if (quietEvents.has(event)) this.#options.onChange();
    else if (event === 'BLOCK_WRITE_THRESHOLD') this.#options.onGrown();
    else if (event === 'MIGRATION') void this.look().then(() => this.#options.onChange());
    else void this.look();
  }

  #become(state: RunState): void {
    if (this.#state === 'gone' || this.#state === state || this.#stopped.signal.aborted) return;
    this.#state = state;
    for (const waiter of [...this.#waiters]) waiter();
    this.#options.onChange();
  }

  #gone(): void {
    this.#become('gone');
    this.#stopped.abort();
    this.#qmp?.close();
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done, { once: true });
  });
}

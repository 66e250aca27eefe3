/**
 * One thing of this host, driven to its desired state: look at everything, decide, do one step that may be repeated, look again. Takes no facts from what woke it. Owns its timer, its back-off and
 * its last error: a step that fails is tried again later, and a desired state that is given up is left alone until another one comes. What is looked at, decided, done and told is its owner's.
 */
import { backOffMs } from './back-off.ts';
import { asFault, type HostFault } from './host-error.ts';
import type { HostLogger } from './logger.ts';

/** Thrown by a `step` hook: from here on this host does nothing more, as if its process had died. For crash tests. */
export class ProcessDied extends Error {
  override readonly name = 'ProcessDied';
}

/** The work is for something that nobody wants any more. */
export class Superseded extends Error {}

export interface LoopOwner<Desired> {
  /** What it shall be, as of now. Undefined: nothing is to be done; a promise: nor when that has come about. */
  begin(): { desired: Desired } | Promise<void> | undefined;
  /** One look, and one step where there is one: says by `next` when the next look is, by `rest` that nothing is to be done. */
  pass(desired: Desired): Promise<void>;
  /** After so many failures in a row: nothing but another desired state helps. */
  givesUp(fault: HostFault, desired: Desired, failures: number): boolean;
  /** To be told: it has failed for good, or is tried again. */
  failed(desired: Desired, end: 'given up' | 'tried again'): void;
  /** A hook killed this host. */
  died(): void;
}

export interface LoopOptions {
  /** For the log, and by which fields it is known there. */
  what: string;
  named: object;
  log: HostLogger;
  limits: { retryFirstMs: number; retryMaxMs: number };
}

export class StepLoop<Desired extends { presence: string } | undefined> {
  readonly #owner: LoopOwner<Desired>;
  readonly #options: LoopOptions;
  #running: Promise<void> | undefined;
  #again = false;
  #closed = false;
  #timer: NodeJS.Timeout | undefined;
  #failures = 0;
  #retryAtMs = 0;
  #error: HostFault | undefined;
  #gaveUp = false;

  constructor(owner: LoopOwner<Desired>, options: LoopOptions) {
    this.#owner = owner;
    this.#options = options;
  }

  get idle(): boolean {
    return this.#running === undefined;
  }

  get closed(): boolean {
    return this.#closed;
  }

  get gaveUp(): boolean {
    return this.#gaveUp;
  }

  /** Of the last failure, until one that shall be is reached or another one comes. */
  get error(): { code: string; message: string } | undefined {
    return this.#error && { code: this.#error.code, message: this.#error.message };
  }

  /** Looks again now. */
  wake(): void {
    if (this.#closed) return;
    clearTimeout(this.#timer);
    this.#again = true;
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
      // A wake between the loop's last look and here must not be lost.
      if (this.#again && !this.#closed) this.wake();
    });
  }

  /** Looks again then, unless it is woken before. */
  wakeIn(ms: number): void {
    clearTimeout(this.#timer);
    if (!this.#closed) this.#timer = setTimeout(() => this.wake(), Math.max(1, ms));
  }

  /** After a step. @param waitMs undefined: at once */
  next(waitMs: number | undefined): void {
    if (waitMs === undefined) this.#again = true;
    else this.wakeIn(waitMs);
  }

  /** Nothing is to be done: it is as it shall be. */
  rest(): void {
    this.#failures = 0;
    this.#error = undefined;
  }

  /** What it shall be is another thing now: a clean slate. */
  anew(): void {
    this.rest();
    this.#retryAtMs = 0;
    this.#gaveUp = false;
  }

  /** Begins nothing any more. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  /** What was under way has ended. */
  async ended(): Promise<void> {
    await this.#running;
  }

  async #run(): Promise<void> {
    while (this.#again && !this.#closed) {
      this.#again = false;
      const begun = this.#owner.begin();
      if (!begun || !('desired' in begun)) return begun;
      const { desired } = begun;
      if (this.#gaveUp && desired?.presence === 'present') return;
      const waitMs = this.#retryAtMs - performance.now();
      if (waitMs > 0) {
        this.wakeIn(waitMs);
        return;
      }
      try {
        await this.#owner.pass(desired);
      } catch (error) {
        if (this.#closed) return;
        if (error instanceof ProcessDied) {
          this.#owner.died();
          return;
        }
        if (error instanceof Superseded) this.#again = true;
        else this.#failed(error, desired);
      }
    }
  }

  #failed(error: unknown, desired: Desired): void {
    const { what, named, log, limits } = this.#options;
    const fault = asFault(error);
    const isNews = fault.retryMs === undefined || fault.message !== this.#error?.message;
    this.#failures++;
    this.#error = fault;
    this.#gaveUp = this.#owner.givesUp(fault, desired, this.#failures);
    const fields = { err: error, ...named, failures: this.#failures };
    if (this.#gaveUp) {
      log.error(fields, `${what}: given up`);
      this.#owner.failed(desired, 'given up');
      return;
    }
    if (isNews) log.warn(fields, `${what}: a step failed, will try again`);
    const { retryFirstMs: firstMs, retryMaxMs: maxMs } = limits;
    const waitMs = fault.retryMs ?? backOffMs(this.#failures, { firstMs, maxMs });
    this.#retryAtMs = performance.now() + waitMs;
    this.#owner.failed(desired, 'tried again');
    this.wakeIn(waitMs);
  }
}

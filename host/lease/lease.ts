/**
 * For how long this host may begin something for its servers: see README.md. Owns a timer, nothing on disk: a host process that
 * starts anew has no lease until control lends it one, which is not the same as one that has ended.
 *
 * It ends so long after this host *asked* as control said, never so long after the answer: of that moment control knows nothing.
 */
import type { HostLogger } from '../logger.ts';
import { bootTimeMs } from './clock.ts';
import type { GuestGuard } from './guard.ts';

export type LeaseState = 'none' | 'held' | 'ended';

/** How many questions are remembered until their answer: far more than are asked in one lease. */
const questions = 64;

export interface LeaseOptions {
  /** Told of each new end, before anything begins under it. */
  guard: Pick<GuestGuard, 'extended'>;
  onChange(state: LeaseState): void;
  log: HostLogger;
  /** In ms, by a clock that nobody sets; for tests. */
  now?: () => number;
}

export class Lease {
  readonly #options: LeaseOptions;
  readonly #now: () => number;
  /** When it was asked, by the time that was said. */
  readonly #asked = new Map<number, number>();
  #leaseMs = 0;
  #endsAtMs = 0;
  #state: LeaseState = 'none';
  #timer: NodeJS.Timeout | undefined;

  constructor(options: LeaseOptions) {
    this.#options = options;
    this.#now = options.now ?? bootTimeMs;
  }

  /** By the clock, also where a timer is late: the machine slept. */
  get state(): LeaseState {
    if (this.#state === 'held' && this.#now() >= this.#endsAtMs) this.#become('ended');
    return this.#state;
  }

  /** For the health account. */
  get status(): { state: LeaseState; leaseMs: number; endsInMs: number | null } {
    const endsInMs = this.state === 'held' ? Math.max(0, this.#endsAtMs - this.#now()) : null;
    return { state: this.state, leaseMs: this.#leaseMs, endsInMs };
  }

  /** @returns what to say to control, which gives it back with what it lends */
  ask(): number {
    const time = Date.now();
    // A clock that was set back says one time twice: the earlier moment counts.
    if (!this.#asked.has(time)) this.#asked.set(time, this.#now());
    if (this.#asked.size > questions) this.#asked.delete(this.#asked.keys().next().value!);
    return time;
  }

  /** Control lends, in answer to what was asked with this time; what nobody asked lends nothing. */
  lent(asked: number, leaseMs: number): void {
    const atMs = this.#asked.get(asked);
    if (atMs !== undefined) this.#extend(atMs, leaseMs);
  }

  /** A control of an older protocol gave a sign of life: it lends for so long after each. */
  renewed(leaseMs: number): void {
    this.#extend(this.#now(), leaseMs);
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  #extend(fromMs: number, leaseMs: number): void {
    this.#leaseMs = leaseMs;
    if (fromMs + leaseMs <= Math.max(this.#endsAtMs, this.#now())) return;
    const endsAtMs = fromMs + leaseMs;
    // Where that fails, as on a full disk, the earlier end stands for both.
    this.#options.guard.extended(endsAtMs);
    this.#endsAtMs = endsAtMs;
    this.#become('held');
    // One timer, moved on when it fires.
    this.#timer ??= setTimeout(() => this.#look(), this.#endsAtMs - this.#now()).unref();
  }

  #look(): void {
    this.#timer = undefined;
    if (this.state === 'held') this.#timer = setTimeout(() => this.#look(), this.#endsAtMs - this.#now()).unref();
  }

  #become(state: LeaseState): void {
    if (this.#state === state) return;
    this.#state = state;
    if (state === 'held') this.#options.log.info({}, 'control lends this host its servers');
    else this.#options.log.warn({}, 'the lease has ended: nothing is begun until control lends again');
    this.#options.onChange(state);
  }
}

/**
 * For how long this host may begin something for its servers: see README.md. Owns a timer, nothing on disk: a host process that
 * starts anew has no lease until control greets it, which is not the same as one that has ended.
 *
 * The clock is the kernel's monotonic one: setting the machine's time neither ends a lease nor prolongs it.
 */
export type LeaseState = 'none' | 'held' | 'ended';

export class Lease {
  readonly #onChange: (state: LeaseState) => void;
  #leaseMs = 0;
  #endsAtMs = 0;
  #state: LeaseState = 'none';
  #timer: NodeJS.Timeout | undefined;

  constructor(options: { onChange(state: LeaseState): void }) {
    this.#onChange = options.onChange;
  }

  get state(): LeaseState {
    return this.#state;
  }

  /** For the health account. */
  get status(): { state: LeaseState; leaseMs: number; endsInMs: number | null } {
    const endsInMs = this.#state === 'held' ? Math.max(0, Math.round(this.#endsAtMs - performance.now())) : null;
    return { state: this.#state, leaseMs: this.#leaseMs, endsInMs };
  }

  /** Control has greeted: it lends for this long after each sign of life. */
  grant(leaseMs: number): void {
    this.#leaseMs = leaseMs;
    this.#extend();
  }

  /** Control gave a sign of life. */
  renew(): void {
    if (this.#state !== 'none') this.#extend();
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  #extend(): void {
    this.#endsAtMs = performance.now() + this.#leaseMs;
    this.#become('held');
    // One timer, moved on when it fires: signs of life come with every message.
    this.#timer ??= setTimeout(() => this.#look(), this.#leaseMs).unref();
  }

  #look(): void {
    this.#timer = undefined;
    const leftMs = this.#endsAtMs - performance.now();
    if (leftMs <= 0) this.#become('ended');
    else this.#timer = setTimeout(() => this.#look(), Math.ceil(leftMs)).unref();
  }

  #become(state: LeaseState): void {
    if (this.#state === state) return;
    this.#state = state;
    this.#onChange(state);
  }
}

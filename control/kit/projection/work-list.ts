/** Which units wait to be projected, since when, who waits for them, and which failed and when to try again. */
import type { UnitFailure } from './status.ts';

const firstRetryMs = 200;
const maxRetryMs = 30_000;

interface Waiter<Unit> {
  units: Set<Unit>;
  resolve: () => void;
  reject: (error: unknown) => void;
}

export class WorkList<Unit extends string> {
  readonly #dirty = new Map<Unit, Date | undefined>();
  /** Many that one change touched: they let others go first. */
  readonly #later = new Map<Unit, Date | undefined>();
  /** With the time of the next attempt by the clock that nobody sets. */
  readonly #failures = new Map<Unit, { failure: UnitFailure; dueMs: number }>();
  readonly #waiters = new Set<Waiter<Unit>>();

  get size(): number {
    return this.#dirty.size + this.#later.size;
  }
  get failures(): UnitFailure[] {
    return [...this.#failures.values()].map(({ failure }) => failure);
  }
  has(unit: Unit): boolean {
    return this.#dirty.has(unit) || this.#later.has(unit);
  }

  /**
   * @param options.since when the change was made, where it is known
   * @param options.later behind all that are not
   */
  add(unit: Unit, options: { since?: Date | undefined; later?: boolean } = {}): void {
    const list = options.later && !this.#dirty.has(unit) ? this.#later : this.#dirty;
    const known = list.get(unit) ?? this.#later.get(unit);
    if (list === this.#dirty) this.#later.delete(unit);
    const { since } = options;
    list.set(unit, known && since && known < since ? known : (since ?? known));
  }

  /** Takes the next ones, with failed ones whose time has come. @param nowMs of performance.now() */
  take(nowMs: number, limit: number): Map<Unit, Date | undefined> {
    const taken = new Map<Unit, Date | undefined>();
    for (const list of [this.#dirty, this.#later]) {
      for (const [unit, since] of list) {
        if (taken.size >= limit) return taken;
        taken.set(unit, since);
        list.delete(unit);
      }
    }
    for (const [unit, { dueMs }] of this.#failures) {
      if (taken.size >= limit) break;
      if (dueMs <= nowMs && !taken.has(unit)) taken.set(unit, undefined);
    }
    return taken;
  }

  /** Nothing was done: as before `take`. */
  putBack(taken: ReadonlyMap<Unit, Date | undefined>): void {
    for (const [unit, since] of taken) this.add(unit, { since });
  }

  succeeded(unit: Unit): void {
    this.#failures.delete(unit);
    // Changed again meanwhile: whoever waits, waits for that too.
    if (this.has(unit)) return;
    for (const waiter of this.#waiters) {
      waiter.units.delete(unit);
      if (waiter.units.size === 0) this.#settle(waiter, waiter.resolve);
    }
  }

  /** Answers the failure, with the count of attempts. */
  failed(unit: Unit, error: unknown, nowMs: number): UnitFailure {
    const attempts = (this.#failures.get(unit)?.failure.attempts ?? 0) + 1;
    const pause = Math.min(maxRetryMs, firstRetryMs * 2 ** Math.min(attempts - 1, 16));
    const message = error instanceof Error ? error.message : String(error);
    const failure = { unit, error: message, attempts, nextAttemptAt: new Date(Date.now() + pause) };
    this.#failures.set(unit, { failure, dueMs: nowMs + pause });
    return failure;
  }

  /** When the next failed unit is due. */
  nextAttemptMs(): number {
    let next = Number.POSITIVE_INFINITY;
    for (const { dueMs } of this.#failures.values()) next = Math.min(next, dueMs);
    return next;
  }

  /** Marks the units, and resolves once each was projected after now. */
  done(units: readonly Unit[], signal: AbortSignal): Promise<void> {
    for (const unit of units) this.add(unit);
    if (units.length === 0) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const waiter: Waiter<Unit> = { units: new Set(units), resolve, reject };
      this.#waiters.add(waiter);
      const abort = () => this.#settle(waiter, () => reject(signal.reason));
      if (signal.aborted) abort();
      else signal.addEventListener('abort', abort, { once: true });
    });
  }

  /** Nothing will be done any more. */
  close(reason: Error): void {
    for (const waiter of [...this.#waiters]) this.#settle(waiter, () => waiter.reject(reason));
  }

  #settle(waiter: Waiter<Unit>, settle: () => void): void {
    this.#waiters.delete(waiter);
    settle();
  }
}

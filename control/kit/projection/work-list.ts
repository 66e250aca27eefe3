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
  readonly #failures = new Map<Unit, UnitFailure>();
  readonly #waiters = new Set<Waiter<Unit>>();

  get size(): number {
    return this.#dirty.size + this.#later.size;
  }
  get failures(): UnitFailure[] {
    return [...this.#failures.values()];
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

  /** Takes the next ones, with failed ones whose time has come. */
  take(now: Date, limit: number): Map<Unit, Date | undefined> {
    const taken = new Map<Unit, Date | undefined>();
    for (const list of [this.#dirty, this.#later]) {
      for (const [unit, since] of list) {
        if (taken.size >= limit) return taken;
        taken.set(unit, since);
        list.delete(unit);
      }
    }
    for (const { unit, nextAttemptAt } of this.#failures.values()) {
      if (taken.size >= limit) break;
      if (nextAttemptAt <= now && !taken.has(unit as Unit)) taken.set(unit as Unit, undefined);
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
  failed(unit: Unit, error: unknown, now: Date): UnitFailure {
    const attempts = (this.#failures.get(unit)?.attempts ?? 0) + 1;
    const pause = Math.min(maxRetryMs, firstRetryMs * 2 ** Math.min(attempts - 1, 16));
    const message = error instanceof Error ? error.message : String(error);
    const failure = { unit, error: message, attempts, nextAttemptAt: new Date(now.getTime() + pause) };
    this.#failures.set(unit, failure);
    return failure;
  }

  /** When the next failed unit is due. */
  nextAttempt(): Date | undefined {
    let next: Date | undefined;
    for (const { nextAttemptAt } of this.#failures.values()) {
      if (next === undefined || nextAttemptAt < next) next = nextAttemptAt;
    }
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

/** Which units wait to be projected, since when, who waits for them, and which failed and when to try again. */
import type { UnitFailure } from './status.ts';
import type { Unit } from './units.ts';

const firstRetryMs = 200;
const maxRetryMs = 30_000;

interface Waiter {
  units: Set<Unit>;
  resolve: () => void;
  reject: (error: unknown) => void;
}

export class WorkList {
  #dirty = new Map<Unit, Date | undefined>();
  readonly #failures = new Map<Unit, UnitFailure>();
  readonly #waiters = new Set<Waiter>();

  get size(): number {
    return this.#dirty.size;
  }
  get failures(): UnitFailure[] {
    return [...this.#failures.values()];
  }

  /** @param since when the change was made, where it is known */
  add(name: Unit, since?: Date): void {
    const known = this.#dirty.get(name);
    this.#dirty.set(name, known && since && known < since ? known : (since ?? known));
  }

  /** Takes all, with the failed ones whose time has come. */
  take(now: Date): Map<Unit, Date | undefined> {
    const taken = this.#dirty;
    this.#dirty = new Map();
    for (const failure of this.#failures.values()) {
      if (failure.nextAttemptAt <= now && !taken.has(failure.unit)) taken.set(failure.unit, undefined);
    }
    return taken;
  }

  /** Nothing was done: as before `take`. */
  putBack(taken: ReadonlyMap<Unit, Date | undefined>): void {
    for (const [name, since] of taken) this.add(name, since);
  }

  succeeded(name: Unit): void {
    this.#failures.delete(name);
    // Changed again meanwhile: whoever waits, waits for that too.
    if (this.#dirty.has(name)) return;
    for (const waiter of this.#waiters) {
      waiter.units.delete(name);
      if (waiter.units.size === 0) this.#settle(waiter, waiter.resolve);
    }
  }

  /** Answers the failure, with the count of attempts. */
  failed(name: Unit, error: unknown, now: Date): UnitFailure {
    const attempts = (this.#failures.get(name)?.attempts ?? 0) + 1;
    const pause = Math.min(maxRetryMs, firstRetryMs * 2 ** Math.min(attempts - 1, 16));
    const message = error instanceof Error ? error.message : String(error);
    const failure = { unit: name, error: message, attempts, nextAttemptAt: new Date(now.getTime() + pause) };
    this.#failures.set(name, failure);
    return failure;
  }

  /** When the next failed unit is due. */
  nextAttempt(): Date | undefined {
    return this.failures.map(({ nextAttemptAt }) => nextAttemptAt).sort((a, b) => a.getTime() - b.getTime())[0];
  }

  /** Marks the units, and resolves once each was projected after now. */
  done(units: readonly Unit[], signal: AbortSignal): Promise<void> {
    for (const name of units) this.add(name);
    return new Promise((resolve, reject) => {
      const waiter: Waiter = { units: new Set(units), resolve, reject };
      this.#waiters.add(waiter);
      const abort = () => this.#settle(waiter, () => reject(signal.reason));
      if (signal.aborted) abort();
      else signal.addEventListener('abort', abort, { once: true });
    });
  }

  clear(): void {
    this.#dirty.clear();
    this.#failures.clear();
  }

  #settle(waiter: Waiter, settle: () => void): void {
    this.#waiters.delete(waiter);
    settle();
  }
}

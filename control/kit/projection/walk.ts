/**
 * Going through everything: a page at a time, with pauses that leave most of the process to others, so that a cloud of any
 * size is compared in bounded memory and nobody notices. After a new connection it goes without pauses.
 */
import type { Outcome } from './page.ts';
import type { PassStatus } from './status.ts';

/** Of the time, how much a walk that is in no hurry takes. */
const share = 0.2;
const longestPauseMs = 1000;

export class Walk<Unit extends string> {
  readonly startedAt = new Date();
  /** After a new connection, when the target may hold anything: what differs then is no drift. */
  readonly urgent: boolean;
  readonly #pages: AsyncIterator<readonly Unit[]>;
  readonly #drifted = new Set<Unit>();
  #mended = 0;
  #units = 0;
  #changed = 0;
  #failed = 0;
  #nextAt = 0;

  constructor(pages: AsyncIterable<readonly Unit[]>, options: { urgent: boolean }) {
    this.#pages = pages[Symbol.asyncIterator]();
    this.urgent = options.urgent;
  }

  /** When the next page has its turn, by the clock of `performance`. */
  get nextAt(): number {
    return this.#nextAt;
  }

  /** Undefined at the end. */
  async next(): Promise<readonly Unit[] | undefined> {
    const { value, done } = await this.#pages.next();
    return done ? undefined : value;
  }

  /** A page is done, which took so long. */
  record(outcomes: readonly Outcome<Unit>[], options: { mended: number; tookMs: number }): void {
    for (const { unit, changed, error } of outcomes) {
      this.#units++;
      if (changed) {
        this.#changed++;
        if (!this.urgent) this.#drifted.add(unit);
      }
      if (error !== undefined) this.#failed++;
    }
    if (!this.urgent) this.#mended += options.mended;
    const pauseMs = this.urgent ? 0 : Math.min(longestPauseMs, options.tookMs * (1 / share - 1));
    this.#nextAt = performance.now() + pauseMs;
  }

  /** A change of the truth came for it: that it differed was no drift. */
  excuse(unit: Unit): void {
    this.#drifted.delete(unit);
  }

  get drift(): { units: Unit[]; mended: number } {
    return { units: [...this.#drifted], mended: this.#mended };
  }

  status(): PassStatus {
    const ms = Date.now() - this.startedAt.getTime();
    return { kind: 'full', at: this.startedAt, ms, units: this.#units, changed: this.#changed, failed: this.#failed };
  }

  async stop(): Promise<void> {
    await this.#pages.return?.();
  }
}

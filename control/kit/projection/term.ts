/**
 * The time for which this process projects: from the gain of leadership to its loss. Owns the target's connection, what
 * waits, and the loop, which does one thing at a time: changes first, a page of the walk through everything in between.
 *
 * No change is lost between the reading of the truth and the write: a change that is noticed during a pass is resolved
 * after it, when what the pass wrote can be seen, and the units that it touches are read anew. If the process dies on any
 * line, the next term's walk finds what is missing by content.
 */
import type { Logger } from 'pino';
import type { Change } from '../change-log/changes.ts';
import { bringPage, isWaiting, type Outcome, pageSize } from './page.ts';
import type { PassStatus } from './status.ts';
import { type AnyTarget, type TargetEvents, TargetLost } from './target.ts';
import { Walk } from './walk.ts';
import { WorkList } from './work-list.ts';

/** Of what a projection did so far; outlives terms. */
export interface PassRecord {
  databaseError: string | null;
  lastPass: PassStatus | null;
  lastFullPass: PassStatus | null;
  lagMs: number | null;
  drift: number;
}

export interface TermOptions<Unit extends string> {
  name: string;
  log: Logger;
  record: PassRecord;
  open: (events: TargetEvents<Unit>) => AnyTarget<Unit>;
  fullPassMs: number;
  /** While the lease lasts. */
  mayWrite: () => boolean;
}

/** After a failure to read the truth. */
const retryMs = 500;
/** More resources than this changed since the last look: everything is gone through instead of remembering them. */
const maxChanges = 20_000;

export class Term<Unit extends string> {
  readonly work = new WorkList<Unit>();
  readonly target: AnyTarget<Unit>;
  readonly #options: TermOptions<Unit>;
  readonly #log: Logger;
  readonly #record: PassRecord;
  /** What differs of these is somebody else's doing, unless a change of the truth comes for them. */
  readonly #disturbed = new Set<Unit>();
  #changes = new Map<string, Change>();
  #since: Date | undefined;
  #look = false;
  #asked = false;
  #walk: Walk<Unit> | undefined;
  #walkAt = Number.POSITIVE_INFINITY;
  #urgent = false;
  #running: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(options: TermOptions<Unit>) {
    this.#options = options;
    this.#log = options.log;
    this.#record = options.record;
    this.target = options.open({
      mayWrite: () => this.#mayWrite(),
      renewed: () => this.#goThroughAll(),
      disturbed: (units) => {
        for (const unit of units) {
          this.work.add(unit);
          this.#disturbed.add(unit);
        }
        this.wake();
      },
      look: () => {
        this.#look = true;
        this.wake();
      },
    });
    if (this.target.ready) this.#goThroughAll();
  }

  /** Changes and units that wait for their turn. */
  get pending(): number {
    return this.#changes.size + this.work.size;
  }

  notice(changes: readonly Change[]): void {
    for (const change of changes) {
      if (!this.target.concerns(change)) continue;
      this.#changes.set(`${change.resource_type}/${change.resource_id}`, change);
      if (!this.#since || change.at < this.#since) this.#since = change.at;
    }
    if (this.#changes.size > maxChanges) {
      this.#changes.clear();
      this.#goThroughAll();
    }
    if (this.#changes.size > 0) this.wake();
  }

  wake(): void {
    // A target may tell of itself while it is still being opened.
    const target: AnyTarget<Unit> | undefined = this.target;
    this.#asked = true;
    if (this.#running || this.#stopped || !target?.ready) return;
    clearTimeout(this.#timer);
    this.#running = this.#loop().finally(() => {
      this.#running = undefined;
      // Asked after the loop's last look, and before it was known to have ended.
      if (this.#asked && this.#mayWrite()) this.wake();
    });
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.work.close(new Error(`${this.#options.name}: this control process no longer projects`));
    await this.target.close();
    await this.#running;
  }

  #mayWrite(): boolean {
    return !this.#stopped && this.#options.mayWrite();
  }

  #goThroughAll(): void {
    this.#urgent = true;
    this.#walkAt = 0;
    this.wake();
  }

  async #loop(): Promise<void> {
    // Changes of one transaction arrive together; those of a burst soon after each other.
    await Promise.resolve();
    while (this.#mayWrite() && this.target.ready) {
      this.#asked = false;
      try {
        const changed = await this.#changedPage();
        const walked = await this.#walkedPage();
        this.#record.databaseError = null;
        if (!changed && !walked) break;
      } catch (err) {
        if (err instanceof TargetLost || this.#stopped || !this.target.ready) return this.#wakeIn(retryMs);
        this.#record.databaseError = err instanceof Error ? err.message : String(err);
        this.#log.warn({ err }, `${this.#options.name}: a pass failed, will try again`);
        return this.#wakeIn(retryMs);
      }
    }
    this.#wakeIn(this.#untilNextMs());
  }

  #untilNextMs(): number {
    const now = performance.now();
    const walkMs = (this.#walk && !this.#urgent ? this.#walk.nextAt : this.#walkAt) - now;
    return Math.max(5, Math.min(walkMs, this.work.nextAttemptMs() - now));
  }

  #wakeIn(ms: number): void {
    if (this.#stopped) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.wake(), Math.min(ms, 60_000));
    this.#timer.unref();
  }

  // --- what changed --------------------------------------------------------------------------------------------------

  /** Answers whether there was anything to do. */
  async #changedPage(): Promise<boolean> {
    const started = new Date();
    await this.#resolve();
    const mended = (await this.target.mendTold?.()) ?? 0;
    if (mended > 0) this.#drifted([], mended);
    const taken = this.work.take(performance.now(), pageSize);
    if (taken.size === 0) return false;
    try {
      const outcomes = await bringPage(this.target, [...taken.keys()], () => this.#mayWrite());
      this.#settle(outcomes);
      this.#tell(started, outcomes, taken);
      this.#drifted(
        outcomes.filter(({ unit, changed }) => this.#disturbed.delete(unit) && changed).map(({ unit }) => unit),
        0,
      );
      return true;
    } catch (error) {
      this.work.putBack(taken);
      throw error;
    }
  }

  async #resolve(): Promise<void> {
    if (this.#changes.size === 0 && !this.#look) return;
    const [changes, since, look] = [this.#changes, this.#since, this.#look];
    this.#changes = new Map();
    this.#since = undefined;
    this.#look = false;
    try {
      const units = [...(await this.target.touched([...changes.values()]))];
      for (const unit of units) {
        this.work.add(unit, { since, later: units.length > pageSize });
        this.#walk?.excuse(unit);
        this.#disturbed.delete(unit);
      }
    } catch (error) {
      // Those that came meanwhile are newer.
      this.#changes = new Map([...changes, ...this.#changes]);
      this.#since = since ?? this.#since;
      this.#look ||= look;
      throw error;
    }
  }

  // --- everything ----------------------------------------------------------------------------------------------------

  async #walkedPage(): Promise<boolean> {
    const started = performance.now();
    if (this.#urgent || (!this.#walk && this.#walkAt <= started)) await this.#begin();
    const walk = this.#walk;
    if (!walk || walk.nextAt > started) return false;
    try {
      const page = await walk.next();
      if (page === undefined) return this.#finish(walk);
      const outcomes = await bringPage(this.target, page, () => this.#mayWrite());
      this.#settle(outcomes);
      const mended = (await this.target.mend?.(page)) ?? 0;
      walk.record(outcomes, { mended, tookMs: performance.now() - started });
    } catch (error) {
      // It is cut off: from the beginning again, as it was meant.
      this.#walk = undefined;
      this.#urgent ||= walk.urgent;
      this.#walkAt = 0;
      throw error;
    }
    return true;
  }

  async #begin(): Promise<void> {
    await this.#walk?.stop();
    this.#walk = new Walk(this.target.everything(), { urgent: this.#urgent });
    this.#urgent = false;
  }

  #finish(walk: Walk<Unit>): true {
    this.#walk = undefined;
    this.#walkAt = performance.now() + this.#options.fullPassMs;
    const pass = walk.status();
    [this.#record.lastPass, this.#record.lastFullPass] = [pass, pass];
    if (pass.changed > 0 || pass.failed > 0) this.#log.info(pass, `${this.#options.name}: everything was compared`);
    this.#drifted(walk.drift.units, walk.drift.mended);
    return true;
  }

  #drifted(units: readonly Unit[], mended: number): void {
    if (units.length + mended === 0) return;
    this.#record.drift += units.length + mended;
    const some = units.slice(0, 20);
    this.#log.warn({ units: units.length, some, mended }, `${this.#options.name}: drift was repaired`);
  }

  // --- outcomes ------------------------------------------------------------------------------------------------------

  #settle(outcomes: readonly Outcome<Unit>[]): void {
    for (const { unit, error } of outcomes) {
      if (error === undefined) this.work.succeeded(unit);
      else this.#failed(unit, error);
    }
  }

  #failed(unit: Unit, err: unknown): void {
    const { attempts, nextAttemptAt } = this.work.failed(unit, err, performance.now());
    // What it waits for goes first; it then has its turn by its own pause.
    if (isWaiting(err)) this.work.add(err.unit as Unit);
    const level = isWaiting(err) && attempts < 3 ? 'debug' : 'warn';
    const fields = { err, unit, attempts, nextAttemptAt };
    this.#log[level](fields, `${this.#options.name}: a unit failed, will try again`);
  }

  #tell(started: Date, outcomes: readonly Outcome<Unit>[], taken: ReadonlyMap<Unit, Date | undefined>): void {
    const now = Date.now();
    const changed = outcomes.filter((outcome) => outcome.changed).length;
    const failed = outcomes.filter(({ error }) => error !== undefined).length;
    const [ms, units] = [now - started.getTime(), outcomes.length];
    this.#record.lastPass = { kind: 'changes', at: started, ms, units, changed, failed };
    const first = Math.min(...[...taken.values()].flatMap((since) => since?.getTime() ?? []));
    if (Number.isFinite(first)) this.#record.lagMs = Math.max(0, now - first);
    if (changed > 0 || failed > 0) this.#log.info(this.#record.lastPass, `${this.#options.name}: pass`);
  }
}

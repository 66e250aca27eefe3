/**
 * Keeps a target equal to the truth: `target = f(truth)`, by content. A change in the log names units; their whole truth is
 * read, compared with what is there, and what differs is written. Everything is gone through when the target becomes
 * ready, and again every while; that is the same code, so a target that was emptied is filled by the normal path.
 *
 * Owns the loop and the leadership: one control process of several projects. Knows no target; see target.ts.
 */
import type { Logger } from 'pino';
import type { ChangeFeed } from '../change-log/changes.ts';
import type { ProjectionStatus } from './status.ts';
import type { AnyTarget, TargetEvents } from './target.ts';
import { type PassRecord, Term } from './term.ts';

/** One of several processes leads. */
export interface Leader {
  readonly held: boolean;
  start(): void;
  stop(): Promise<void>;
}

export interface ProjectionOptions<Unit extends string> {
  /** In log lines and errors. */
  name: string;
  log: Logger;
  feed: Pick<ChangeFeed, 'subscribe'>;
  leadership: (events: { onGain: () => void; onLose: () => void }) => Leader;
  /** Called when this process begins to lead; the target is closed when it ends. */
  open: (events: TargetEvents<Unit>) => AnyTarget<Unit>;
  /** From the end of a walk through everything to the next one. */
  fullPassMs?: number;
}

export class Projection<Unit extends string> {
  readonly #options: ProjectionOptions<Unit>;
  readonly #leader: Leader;
  readonly #record: PassRecord = {
    databaseError: null,
    lastPass: null,
    lastFullPass: null,
    lagMs: null,
    drift: 0,
  };
  #term: Term<Unit> | undefined;
  #unsubscribe: () => void = () => {};
  #closing: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(options: ProjectionOptions<Unit>) {
    this.#options = options;
    this.#leader = options.leadership({ onGain: () => this.#gain(), onLose: () => this.#lose() });
  }

  start(): void {
    this.#leader.start();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#leader.stop();
    this.#lose();
    await this.#closing;
  }

  status(): ProjectionStatus {
    const [work, target] = [this.#term?.work, this.#term?.target];
    return {
      role: this.#leader.held ? 'leader' : 'standby',
      connected: target?.ready === true,
      connectionError: target?.trouble ?? null,
      pending: this.#term?.pending ?? 0,
      failures: work?.failures ?? [],
      kept: target?.kept ?? 0,
      ...this.#record,
    };
  }

  /**
   * Resolves when the present truth of the units is in the target. Rejects at the deadline, and where this process is not
   * the one that projects.
   */
  async reached(units: readonly Unit[], options: { timeoutMs: number }): Promise<void> {
    const term = this.#term;
    if (!term) throw new Error(`${this.#options.name}: this control process does not project: another one leads`);
    const done = term.work.done(units, AbortSignal.timeout(options.timeoutMs));
    term.wake();
    await done;
  }

  #gain(): void {
    if (this.#stopped || this.#term) return;
    const { name, log, feed, open, fullPassMs = 60_000 } = this.#options;
    log.info(`${name}: this process projects`);
    const term = new Term<Unit>({
      ...{ name, log, record: this.#record, open, fullPassMs },
      mayWrite: () => this.#leader.held,
    });
    this.#term = term;
    this.#unsubscribe = feed.subscribe((changes) => term.notice(changes));
  }

  #lose(): void {
    const term = this.#term;
    if (!term) return;
    this.#options.log.info(`${this.#options.name}: this process no longer projects`);
    this.#unsubscribe();
    this.#term = undefined;
    this.#closing = Promise.all([this.#closing, term.stop()]).then(() => {});
  }
}

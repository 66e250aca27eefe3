/**
 * Gives history its life: one of the control processes (a lease) makes the parts of the change log, operations and decisions that
 * will be needed, drops those that are past the settings, and forgets who is gone. The normal path is the repair path: each look
 * compares what is with what shall be. If the process dies, the next holder's look does the rest; every step is a transaction, fenced.
 */
import { sql } from 'kysely';
import type { Logger } from 'pino';
import { newId } from '../../../contract/ids.ts';
import { cloudActor, type Database, type Tx } from '../database/database.ts';
import { fence, Leadership } from '../leadership/index.ts';
import type { ResourceDescriptor } from '../resource.ts';
import { forget, goneOnes } from './forget.ts';
import {
  dayMs,
  dropPart,
  emptyDefault,
  type HistoryTable,
  historyTables,
  makePart,
  partsOf,
  partsToMake,
} from './parts.ts';

export interface Retention {
  /** Days that the change log keeps: as long a watcher may be away, and deleted servers are listed. */
  changeLogDays: number;
  /** Days that operations and decisions are kept. */
  operationDays: number;
}

export interface HistoryKeeperOptions {
  database: Database;
  log: Logger;
  /** Say what is about a user. */
  resources: readonly ResourceDescriptor[];
  retention: Retention;
  /** The name under which it leads, see kit/leadership; absent: one of its own. */
  holder?: string;
  /** For tests. */
  everyMs?: number;
}

const role = 'history';
/** Rows in one transaction: it must be short, since the log's readers wait for it. */
const batch = 5000;

export class HistoryKeeper {
  readonly #options: HistoryKeeperOptions;
  readonly #leadership: Leadership;
  /** Of the lease, once it was held; tests look without one. */
  #epoch: number | undefined;
  #timer: NodeJS.Timeout | undefined;
  #working: Promise<void> = Promise.resolve();

  constructor(options: HistoryKeeperOptions) {
    this.#options = options;
    this.#leadership = new Leadership({
      database: options.database,
      role,
      holder: options.holder ?? newId(),
      onGain: (epoch) => {
        this.#epoch = epoch;
        this.#begin();
      },
      onLose: () => clearTimeout(this.#timer),
    });
  }

  start(): void {
    this.#leadership.start();
  }

  async stop(): Promise<void> {
    await this.#leadership.stop();
    await this.#working;
  }

  #begin(): void {
    this.#working = this.look().then(
      () => {},
      (err) => this.#options.log.warn({ err }, 'history: a look failed, will be tried again'),
    );
    void this.#working.then(() => {
      if (!this.#leadership.held) return;
      this.#timer = setTimeout(() => this.#begin(), this.#options.everyMs ?? 600_000).unref();
    });
  }

  /** One look at everything. Safe to repeat. `at` is for tests. */
  async look(at?: Date): Promise<void> {
    const now = at ?? (await this.#databaseTime());
    for (const table of historyTables) {
      const keepDays =
        table.name === 'change' ? this.#options.retention.changeLogDays : this.#options.retention.operationDays;
      await this.#makeAhead(table, now, keepDays);
      await this.#dropOld(table, new Date(now.getTime() - keepDays * dayMs));
    }
    await this.#forget(now);
  }

  /** What rows are dated by: this machine's clock may be months ahead, and history dropped by it is gone. */
  async #databaseTime(): Promise<Date> {
    const { rows } = await sql<{ now: Date }>`select clock_timestamp() as now`.execute(this.#options.database.query);
    return rows[0]!.now;
  }

  async #makeAhead(table: HistoryTable, now: Date, keepDays: number): Promise<void> {
    for (const part of partsToMake(table, await partsOf(this.#options.database.query, table), now, keepDays)) {
      await this.#transaction((tx) => makePart(tx, table, part));
      this.#options.log.info({ part: part.name }, 'history: a part was made');
    }
  }

  async #dropOld(table: HistoryTable, until: Date): Promise<void> {
    for (const part of await partsOf(this.#options.database.query, table)) {
      if (part.to > until) continue;
      const dropped = await this.#transaction((tx) => dropPart(tx, table, part));
      if (dropped) this.#options.log.info({ part: part.name }, 'history: a part was dropped');
    }
    while ((await this.#transaction((tx) => emptyDefault(tx, table, until, batch))) === batch);
  }

  async #forget(now: Date): Promise<void> {
    const { resources } = this.#options;
    for (;;) {
      const gone = await this.#transaction((tx) => goneOnes(tx, now, 100));
      for (const one of gone) {
        while (!(await this.#transaction((tx) => forget(tx, one, { resources, limit: batch }))));
        this.#options.log.info(one, 'history: what was deleted is forgotten');
      }
      if (gone.length < 100) return;
    }
  }

  #transaction<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
    const epoch = this.#epoch;
    return this.#options.database.transaction(cloudActor, async (tx) => {
      if (epoch !== undefined) await fence(tx, { role, epoch });
      return work(tx);
    });
  }
}

/**
 * The durable queue of work (graphile-worker). A job is a key, "look at this resource", written in the transaction that
 * made it necessary; it carries no facts. Several wishes to look at one resource are one job. A job that throws runs
 * again with exponential back-off; a job of a process that died is taken over.
 */
import { type Runner, run } from 'graphile-worker';
import { sql } from 'kysely';
import type { Logger } from 'pino';
import type { Database, Queryable } from './database.ts';
import { quietLogger } from './worker-logger.ts';

/** Brings one resource a step nearer to its desired state. Takes nothing but the id: reads the whole state itself. */
export type Reconcile = (id: string) => Promise<void>;

/**
 * Asks that task `task` look at resource `id`, at once or not before `at`. In a transaction, the wish is part of it.
 * A later call for the same resource replaces the time of an earlier one that has not begun.
 */
export async function enqueue(db: Queryable, task: string, id: string, options: { at?: Date } = {}): Promise<void> {
  await sql`select graphile_worker.add_job(${task}::text, json_build_object('id', ${id}::text),
    run_at := ${options.at ?? null}::timestamptz, job_key := ${`${task}:${id}`}::text, max_attempts := 25)`.execute(db);
}

export class WorkQueue {
  readonly #database: Database;
  readonly #log: Logger;
  #runner: Runner | undefined;

  constructor(options: { database: Database; log: Logger }) {
    this.#database = options.database;
    this.#log = options.log;
  }

  /** Starts to work. Fails if the database can't be reached. */
  async start(tasks: Readonly<Record<string, Reconcile>>, options: { concurrency?: number } = {}): Promise<void> {
    this.#runner = await run({
      pgPool: this.#database.pool,
      concurrency: options.concurrency ?? 8,
      pollInterval: 2000,
      noHandleSignals: true,
      taskList: Object.fromEntries(
        Object.entries(tasks).map(([name, reconcile]) => [
          name,
          async (payload: unknown) => {
            const { id } = payload as { id: string };
            try {
              await reconcile(id);
            } catch (error) {
              this.#log.warn({ task: name, id, err: error }, 'reconcile failed, will be tried again');
              throw error;
            }
          },
        ]),
      ),
      logger: quietLogger(this.#log),
    });
  }

  /** Lets running jobs end (bounded by graphile-worker's own time-out), then stops. */
  async stop(): Promise<void> {
    await this.#runner?.stop().catch(() => {});
  }
}

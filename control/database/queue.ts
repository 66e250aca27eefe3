/**
 * The durable queue of work (graphile-worker). A job is a key, "look at this resource", written in the transaction that
 * made it necessary; it carries no facts. Several wishes to look at one resource are one job. A job that throws runs
 * again with exponential back-off; a job of a process that died is taken over.
 */
import { EventEmitter } from 'node:events';
import { type Runner, run, type Task, type TaskList, type WorkerEvents } from 'graphile-worker';
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

/** After a lost database; it may be away for as long as it likes. */
const retryMs = 500;
/** Reconciles take seconds at most. One that is cut off with its process is free for others after this. */
const takeBackMs = 60_000;
const takeBackEveryMs = 15_000;

export class WorkQueue {
  readonly #database: Database;
  readonly #log: Logger;
  #runner: Runner | undefined;
  #stopped = false;
  #retryTimer: NodeJS.Timeout | undefined;
  #takeBackTimer: NodeJS.Timeout | undefined;
  /** The name under which the present runner locks its jobs. */
  #pool = '';

  constructor(options: { database: Database; log: Logger }) {
    this.#database = options.database;
    this.#log = options.log;
  }

  /** Starts to work, and again whenever the database was away. Fails if it can't be reached at the start. */
  async start(tasks: Readonly<Record<string, Reconcile>>, options: { concurrency?: number } = {}): Promise<void> {
    const taskList = Object.fromEntries(Object.entries(tasks).map(([name, task]) => [name, this.#task(name, task)]));
    await this.#run(taskList, options.concurrency ?? 8);
    await this.#takeBack();
    this.#takeBackTimer = setInterval(() => void this.#takeBack(), takeBackEveryMs).unref();
  }

  /** Lets running jobs end (bounded by graphile-worker's own time-out), then stops. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#retryTimer);
    clearInterval(this.#takeBackTimer);
    await this.#runner?.stop().catch(() => {});
  }

  async #run(taskList: TaskList, concurrency: number): Promise<void> {
    const events: WorkerEvents = new EventEmitter();
    events.on('pool:create', ({ workerPool }) => {
      this.#pool = workerPool.id;
    });
    const runner = await run({
      events,
      pgPool: this.#database.pool,
      concurrency,
      pollInterval: 2000,
      noHandleSignals: true,
      taskList,
      logger: quietLogger(this.#log),
      // Unbatched, graphile-worker 0.18 does not wait for the statement that ends a job: without a database its failure
      // would be an unhandled rejection, the end of this process. Batched, it ends the runner, and we start another.
      // With a local queue one of the workers asks for jobs, for all; without it each asks for itself, every two seconds,
      // and an idle cloud keeps connections (PostgreSQL processes) for them.
      preset: { worker: { completeJobBatchDelay: 0, failJobBatchDelay: 0, localQueue: { size: concurrency } } },
    });
    if (this.#stopped) return void runner.stop().catch(() => {});
    this.#runner = runner;
    const again = (error?: unknown) => {
      if (this.#stopped) return;
      this.#log.warn({ err: error }, 'work queue: lost the database, will try again');
      this.#retry(taskList, concurrency);
    };
    runner.promise.then(again, again);
  }

  #retry(taskList: TaskList, concurrency: number): void {
    clearTimeout(this.#retryTimer);
    const dead = this.#pool;
    this.#retryTimer = setTimeout(() => {
      this.#run(taskList, concurrency).then(
        () => this.#takeBack(dead),
        () => this.#stopped || this.#retry(taskList, concurrency),
      );
    }, retryMs);
  }

  #task(name: string, reconcile: Reconcile): Task {
    return async (payload) => {
      const { id } = payload as { id: string };
      try {
        await reconcile(id);
      } catch (error) {
        this.#log.warn({ task: name, id, err: error }, 'reconcile failed, will be tried again');
        throw error;
      }
    };
  }

  /** graphile-worker itself would leave a dead process's jobs locked for four hours. */
  async #takeBack(dead = ''): Promise<void> {
    try {
      await sql`update graphile_worker._private_jobs set locked_at = null, locked_by = null
        where locked_by = ${dead} or locked_at < now() - ${takeBackMs}::double precision * interval '1 millisecond'`.execute(
        this.#database.query,
      );
    } catch (error) {
      this.#log.warn({ err: error }, 'work queue: looking for lost jobs failed, will be tried again');
    }
  }
}

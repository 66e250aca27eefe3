/**
 * The durable queue of work (graphile-worker). A job is a key, "look at this resource", written in the transaction that
 * made it necessary; it carries no facts. Several wishes to look at one resource are one job. A job that throws runs
 * again with exponential back-off; a job of a process that died is taken over.
 */
import { randomUUID } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { type Runner, run, type Task, type TaskList, type WorkerEvents } from 'graphile-worker';
import { sql } from 'kysely';
import type { Logger } from 'pino';
import type { Database, Queryable, Tx } from '../database/database.ts';
import { PatientPool } from './patient-pool.ts';
import { quietLogger } from './worker-logger.ts';

/** Brings one resource a step nearer to its desired state. Takes nothing but the id: reads the whole state itself. */
export type Reconcile = (id: string) => Promise<void>;

/** When a wish is due: at a time that the database gave, or so long from now by its clock; a process's own may be far from it. Absent: at once. */
export interface Due {
  at?: Date;
  afterMs?: number;
}

const timeOf = ({ at, afterMs }: Due) =>
  afterMs === undefined
    ? sql`coalesce(${at ?? null}::timestamptz, now())`
    : sql`now() + ${afterMs}::double precision * interval '1 millisecond'`;

/**
 * Asks that task `task` look at resource `id`, at once or not before it is due. In a transaction, the wish is part of it. Of
 * several wishes for one resource the earliest counts; one that comes while its job runs is a job of its own.
 */
export async function enqueue(db: Queryable, task: string, id: string, due: Due = {}): Promise<void> {
  await sql`select enqueue(${task}, ${id}, ${timeOf(due)})`.execute(db);
}

/** The same of many resources. */
export async function enqueueAll(db: Queryable, task: string, ids: readonly string[], due: Due = {}): Promise<void> {
  await sql`select enqueue(${task}, id, ${timeOf(due)}) from unnest(${[...ids]}::text[]) id`.execute(db);
}

/** A wish to look at a resource not before `at`, by the database's clock. */
export interface LaterWish {
  id: string;
  at: Date;
  /** What was wished before has been done out of turn: a job that nobody has begun waits until then too. */
  served: boolean;
}

/** Wishes for later, and what they replace; part of the transaction that made the earlier look needless. */
export async function putOff(tx: Tx, task: string, wishes: readonly LaterWish[]): Promise<void> {
  await sql`
    with wish as materialized (
      select * from jsonb_to_recordset(${JSON.stringify(wishes)}::jsonb) as w(id text, at timestamptz, served boolean)),
    later as (
      update graphile_worker._private_jobs j set run_at = wish.at, attempts = 0, last_error = null, revision = revision + 1,
        updated_at = now()
      from wish where wish.served and j.key = ${task}::text || ':' || wish.id and j.locked_at is null
      returning wish.id)
    select enqueue(${task}, wish.id, wish.at) from wish where not exists (select from later where later.id = wish.id)`.execute(
    tx,
  );
}

/**
 * Reconciles take seconds at most. One that is cut off with its process is free for others after this; for the next process of the
 * same name at once, and for all as soon as the process is known to be silent ({@link WorkQueue.takeOver}).
 */
const takeBackMs = 60_000;
const takeBackEveryMs = 15_000;
const runAgainMs = 1000;
/** What runs at the end, or hangs on a database that is away, is not waited for longer. */
const stopMs = 5000;

export class WorkQueue {
  readonly #database: Database;
  readonly #log: Logger;
  readonly #pool: PatientPool;
  #runner: Runner | undefined;
  #takeBackTimer: NodeJS.Timeout | undefined;
  readonly #holder: string;
  /** The name under which the runner locks its jobs. */
  #name = '';
  #stopped = false;

  /** @param options.holder who this process is to those after it: one of its name begins only when it is dead (cli/process/lease-holder.ts) */
  constructor(options: { database: Database; log: Logger; holder?: string }) {
    this.#holder = options.holder ?? randomUUID();
    this.#database = options.database;
    this.#log = options.log;
    this.#pool = new PatientPool(this.#database.pool, {
      // Jobs whose hand-over or end was cut off with a connection are locked by us, and nobody works on them.
      returned: () => void this.#takeBack({ of: this.#name }),
      unended: (error) => this.#log.error({ err: error }, 'work queue: the end of a job could not be recorded'),
    });
  }

  /** Starts to work; goes on whenever the database was away. */
  async start(tasks: Readonly<Record<string, Reconcile>>, options: { concurrency?: number } = {}): Promise<void> {
    const taskList = Object.fromEntries(Object.entries(tasks).map(([name, task]) => [name, this.#task(name, task)]));
    const { concurrency = 8 } = options;
    // Before anything of ours is locked: what is so under this name is of a process that died.
    await this.#takeBack({ of: this.#holder });
    await this.#run({ taskList, concurrency });
    this.#takeBackTimer = setInterval(() => void this.#takeBack(), takeBackEveryMs).unref();
  }

  async #run(work: { taskList: TaskList; concurrency: number }): Promise<void> {
    const events: WorkerEvents = new EventEmitter();
    events.on('pool:create', ({ workerPool }) => {
      // Read whenever it takes or ends a job, and told only here (graphile-worker 0.18, main.js): no option gives it a name.
      workerPool.id = `${this.#holder} ${workerPool.id}`;
      this.#name = workerPool.id;
    });
    const runner = await run({
      ...work,
      events,
      pgPool: this.#pool.pool,
      // NOTIFY brings what is due now; polling is for what becomes due later. With a local queue one asks for all workers;
      // else each polls for itself, and an idle cloud keeps a handful of connections (PostgreSQL processes) for that.
      pollInterval: 2000,
      preset: { worker: { localQueue: { size: work.concurrency } } },
      noHandleSignals: true,
      logger: quietLogger(this.#log),
    });
    this.#runner = runner;
    // The end was asked for while this began.
    if (this.#stopped) return runner.stop();
    // graphile-worker stops for good when it fails too often to give back what its local queue holds.
    const again = (error?: unknown) => {
      if (this.#stopped || this.#runner !== runner) return;
      this.#log.error({ err: error }, 'work queue: the runner ended, another begins');
      void this.#takeBack({ of: this.#name });
      setTimeout(() => this.#stopped || this.#run(work).catch(again), runAgainMs).unref();
    };
    runner.promise.then(() => again(), again);
  }

  /** Lets running jobs end, then stops. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#takeBackTimer);
    const runner = this.#runner;
    const stopped = runner?.stop().then(
      () => true,
      () => true,
    );
    const late = new Promise<false>((resolve) => setTimeout(resolve, stopMs, false).unref());
    const inTime = await Promise.race([stopped ?? true, late]);
    this.#pool.close();
    // Without a database it would wait for ever, with timers that keep the process.
    if (!inTime) runner?.kill().catch(() => {});
  }

  /** Takes the jobs of another process that is silent: where it was only frozen, both may work at one. */
  takeOver(holder: string): Promise<void> {
    return this.#takeBack({ of: holder });
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

  /**
   * graphile-worker itself would leave a dead process's jobs locked for four hours. The wish becomes a new job: if the old
   * one is worked on after all, its end must not take away what was wished since. All are gone before the first is wished for anew: two may be of
   * one resource, and a wish writes to what is locked of it.
   */
  async #takeBack(dead: { of: string } = { of: '' }): Promise<void> {
    try {
      await sql`
        with dead as (
          delete from graphile_worker._private_jobs where split_part(locked_by, ' ', 1) = ${dead.of} or locked_by = ${dead.of}
            or locked_at < now() - ${takeBackMs}::double precision * interval '1 millisecond' returning task_id, payload),
        gone as (
          select json_agg(json_build_object('task', identifier, 'id', payload ->> 'id')) as jobs
          from dead join graphile_worker._private_tasks task on task.id = task_id)
        select enqueue(task, id, now())
        from (select distinct w.* from gone, json_to_recordset(gone.jobs) as w(task text, id text)) as wish`.execute(
        this.#database.query,
      );
    } catch (error) {
      this.#log.warn({ err: error }, 'work queue: looking for lost jobs failed, will be tried again');
    }
  }
}

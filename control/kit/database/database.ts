/**
 * The database: one pool, one way into a transaction.
 *
 * Owns connections. Never decides. If the process dies inside a transaction, PostgreSQL undoes it whole.
 */
import { Kysely, type KyselyProps, PostgresDialect, sql } from 'kysely';
import pg from 'pg';
import { CloudError } from '../../../contract/errors.ts';
import type { Secret } from '../../../contract/secret.ts';
import { guard, type SessionLimits, sessionLimits, urgentLimits } from './connection.ts';
import { Members, MemberWatch, poolConfig } from './members.ts';
import { isStalePlan, oneByOne, prepareStatements, StatementNames } from './prepared.ts';
import type { Schema } from './schema.ts';
import { sendTogether } from './together.ts';
import { isAftermath, TransactionConnection } from './transaction-connection.ts';
import { inTransaction } from './transaction-scope.ts';
import { useTypeParsers } from './type-parsers.ts';

// 64-bit integers are counts and sizes well below 2^53 here; xid8 stays text, see change-log/changes.ts.
useTypeParsers();

/** Anything that runs queries: the pool or a transaction. Stores take this. */
export type Queryable = Kysely<Schema>;

declare const transactional: unique symbol;
/** A running transaction. Functions that must write together with their caller's writes ask for this type. */
export type Tx = Kysely<Schema> & { readonly [transactional]: true };

/** Who does it and at whose request; recorded in every change of the transaction. */
export interface Actor {
  /** The user; null when the cloud itself acts. */
  actorId: string | null;
  requestId: string | null;
}

export const cloudActor: Actor = { actorId: null, requestId: null };

const plain = /^[0-9A-Za-z-]{1,80}$/;
/** Not by set_config: a select is planned and run. What is not set is none, as after each transaction that set it. */
const settingOf = (name: 'actor' | 'request', text: string | null): string => {
  if (text === null) return '';
  if (!plain.test(text)) throw new CloudError('invalid', 'actor_malformed', {});
  return `; set local bothy.${name} = '${text}'`;
};

/** What belongs behind a transaction's beginning that decides about these projects: in one order. */
function holding(projects: readonly string[]): string {
  if (projects.length === 0) return '';
  const sorted = projects.toSorted();
  const locks = sorted.map((id) => `; select pg_advisory_xact_lock(hashtextextended('reachability ${id}', 0))`);
  return `; set local bothy.deciding = '${sorted.join(' ')}'${locks.join('')}`;
}

/** What a transaction answers, see {@link withCommit}. */
class Last<T> {
  readonly answer: Promise<T>;

  constructor(answer: Promise<T>) {
    this.answer = answer;
  }
}

/**
 * A transaction's last statements, on which nothing depends that it still decides: they travel with the commit instead of a round trip
 * before it. Where one fails the commit does, with its error. Not for what may refuse by what it reads, and not where an error is
 * translated within the transaction: both would come too late.
 */
export function withCommit<T>(answer: Promise<T>): Last<T> {
  answer.catch(() => {});
  return new Last(answer);
}

/** The SQLSTATE, one of our own, where something must be decided before a commit; see {@link Database.decideBeforeCommit}. */
const undecided = 'BY001';

/** Of whose network it is to be decided, where an error says so. */
const undecidedProject = (error: unknown): string | undefined =>
  sqlState(error) === undecided ? (error as pg.DatabaseError).detail : undefined;

/** Deadlock and serialization failure: the transaction did nothing and may be run again. */
export const isRetriable = (error: unknown): boolean => ['40001', '40P01'].includes(sqlState(error) ?? '');

/** A row that was read, and is gone by the time that another refers to it: who looks once more is told that. */
const isLateReference = (error: unknown): boolean => sqlState(error) === '23503' && !projectNotFound(error);

export interface DatabaseOptions {
  /** A PostgreSQL connection URL; of several members (members.ts) the one that takes writes is used. */
  url: Secret;
  /** How often several are looked at; for tests. */
  lookMs?: number;
  maxConnections?: number;
  /** Idle connections close after this, so that an idle cloud is small. */
  idleMs?: number;
  applicationName?: string;
  /** For tests. */
  limits?: SessionLimits;
}

export class Database {
  readonly pool: pg.Pool;
  /** For single statements outside a transaction. */
  readonly query: Queryable;
  /** For the few statements that must not wait behind others, such as the renewal of a lease: short, on a connection of their own. */
  readonly urgent: Queryable;
  /**
   * For the change feed and what follows it, whose statements have one good plan each: PostgreSQL reckons that one for the very values reads less, and would
   * plan at each call for many times as long as it reads. On two connections, so that their plans are made and at hand.
   */
  readonly plannedOnce: Queryable;
  readonly #steadyPool: pg.Pool;
  #decide: ((tx: Tx) => Promise<void>) | undefined;
  /** What a transaction's Kysely shares with `query`. */
  readonly #watch: MemberWatch | undefined;
  readonly #parts: Pick<KyselyProps, 'config' | 'dialect' | 'driver'>;

  constructor(options: DatabaseOptions) {
    const members = Members.of(options.url);
    this.#watch = members && new MemberWatch(members, options);
    this.pool = makePool(options, options.limits ?? sessionLimits, { pipeline: true, members });
    const dialect = new PostgresDialect({ pool: oneByOne(this.pool) });
    this.query = new Kysely<Schema>({ dialect });
    this.#parts = { config: { dialect }, dialect, driver: dialect.createDriver() };
    const urgent = { ...options, maxConnections: 1, applicationName: `${options.applicationName ?? 'bothy'}: leases` };
    const urgentPool = makePool(urgent, urgentLimits, { pipeline: false, members });
    const steady = {
      ...options,
      maxConnections: 2,
      applicationName: `${options.applicationName ?? 'bothy'}: changes`,
      plannedOnce: true,
    };
    this.#steadyPool = makePool(steady, options.limits ?? sessionLimits, { pipeline: true, members });
    for (const pool of [this.pool, urgentPool, this.#steadyPool]) this.#watch?.follow(pool);
    this.urgent = new Kysely<Schema>({ dialect: new PostgresDialect({ pool: oneByOne(urgentPool) }) });
    this.plannedOnce = new Kysely<Schema>({ dialect: new PostgresDialect({ pool: oneByOne(this.#steadyPool) }) });
  }

  /**
   * What must be decided in the very transaction that changes what it is about, and only by code: a trigger refuses the change with
   * {@link undecided}, and the work is run again, whole, with `decide` behind it and the project that it is about held from the beginning, so that
   * of many one goes after the other. Whoever changes nothing of the kind pays nothing.
   */
  decideBeforeCommit(decide: (tx: Tx) => Promise<void>): void {
    this.#decide = decide;
  }

  /**
   * Runs `work` in one transaction (READ COMMITTED) and again, whole, after a deadlock, a serialization failure or a stale plan, and once
   * after a reference to a row that is gone; `work` must therefore have no effect outside the database, and asks no host (transaction-scope.ts).
   * @throws CloudError `unavailable` when the database can't be reached; `not_found` when a row's project is not there
   */
  async transaction<T>(actor: Actor, work: (tx: Tx) => Promise<T | Last<T>>): Promise<T> {
    const begin = `begin${settingOf('actor', actor.actorId)}${settingOf('request', actor.requestId)}`;
    const deciding = new Set<string>();
    let again = false;
    for (let attempt = 1; ; attempt++) {
      try {
        const decide = deciding.size > 0 ? this.#decide : undefined;
        return await inTransaction(() => this.#transaction(begin + holding([...deciding]), work, decide));
      } catch (error) {
        const project = undecidedProject(error);
        if (this.#decide && project !== undefined && !deciding.has(project)) {
          deciding.add(project);
          continue;
        }
        if (attempt < 5 && (isRetriable(error) || isStalePlan(error))) continue;
        if (!again && isLateReference(error)) {
          again = true;
          continue;
        }
        throw projectNotFound(error) ?? error;
      }
    }
  }

  async #transaction<T>(
    begin: string,
    work: (tx: Tx) => Promise<T | Last<T>>,
    decide: ((tx: Tx) => Promise<void>) | undefined,
  ): Promise<T> {
    const client = await this.pool.connect();
    const connection = new TransactionConnection(client);
    let broken = false;
    let unbegun: unknown;
    try {
      // Not awaited: it travels with the first statement.
      const begun = client.query(begin);
      begun.catch((error: unknown) => {
        unbegun = error;
      });
      const tx = this.#on(connection);
      const result = await work(tx);
      if (decide) {
        if (result instanceof Last) await result.answer;
        await decide(tx);
      }
      connection.close();
      const [{ command }] = await Promise.all([client.query('commit'), begun]);
      // That is PostgreSQL's answer where a statement had failed, and whoever asked had made nothing of it.
      if (command !== 'COMMIT') {
        await connection.answered();
        throw connection.failure ?? new Error(`the transaction ended with ${command}`);
      }
      return result instanceof Last ? await result.answer : result;
    } catch (error) {
      connection.close();
      await client.query('rollback').catch(() => {
        broken = true;
      });
      // Whatever the work made of it: of a wait for what it begins by holding that was too long, that nothing else can be asked.
      throw unbegun ?? (sqlState(connection.failure) === undecided || isAftermath(error) ? connection.failure : error);
    } finally {
      client.release(broken);
    }
  }

  /**
   * Reads that belong together: asked for at once (`Promise.all`) they share a connection and a round trip. Each is a statement of its
   * own and sees what is committed when it begins. Run again, whole, after a stale plan; so for reads alone.
   * @param options.plannedOnce as {@link plannedOnce}
   */
  async together<T>(work: (db: Queryable) => Promise<T>, { plannedOnce = false } = {}): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      const client = await (plannedOnce ? this.#steadyPool : this.pool).connect();
      const connection = new TransactionConnection(client);
      try {
        return await work(this.#on(connection));
      } catch (error) {
        if (attempt > 1 || !isStalePlan(error)) throw error;
      } finally {
        connection.close();
        await connection.answered();
        client.release();
      }
    }
  }

  #on(connection: TransactionConnection): Tx {
    const executor = this.query.getExecutor().withConnectionProvider({
      provideConnection: (consumer) => consumer(connection),
    });
    return new Kysely<Schema>({ ...this.#parts, executor }) as Tx;
  }

  /** True when a statement comes back. */
  async reachable(): Promise<boolean> {
    return sql`select 1`.execute(this.query).then(
      () => true,
      () => false,
    );
  }

  /** Called when connections to a member of the database were ended because another takes the writes by now (members.ts). */
  onMoved(listener: () => void): void {
    this.#watch?.onMoved(listener);
  }

  async close(): Promise<void> {
    this.#watch?.close();
    await Promise.all([this.query.destroy(), this.urgent.destroy(), this.plannedOnce.destroy()]);
  }
}

function makePool(
  options: DatabaseOptions & { plannedOnce?: boolean },
  limits: SessionLimits,
  { pipeline, members }: { pipeline: boolean; members: Members | undefined },
): pg.Pool {
  const { url, maxConnections: max = 10, idleMs: idleTimeoutMillis = 10_000, applicationName = 'bothy' } = options;
  const pool = new pg.Pool({
    ...poolConfig({ url, applicationName, limits, plannedOnce: options.plannedOnce ?? false }, members),
    max,
    idleTimeoutMillis,
    pipeline,
  } as pg.PoolConfig);
  // An idle connection that the server closes (a restart) is no error of anyone's: the pool has dropped it already.
  pool.on('error', () => {});
  const names = new StatementNames();
  pool.on('connect', (client) => {
    client.on('error', () => {});
    guard(client, limits);
    sendTogether(client as unknown as pg.Client);
    prepareStatements(client as unknown as pg.Client, names);
  });
  return pool;
}

/** The SQLSTATE of a database error (https://www.postgresql.org/docs/15/errcodes-appendix.html), if it is one. */
export function sqlState(error: unknown): string | undefined {
  return error instanceof pg.DatabaseError ? error.code : undefined;
}

/** The name of the violated constraint, where the error is a violated constraint (class 23). */
export function violatedConstraint(error: unknown): string | undefined {
  return error instanceof pg.DatabaseError && error.code?.startsWith('23') ? (error.constraint ?? '') : undefined;
}

/** What was made belongs to a project that has been deleted since its maker was let in, or never was: its reference tells. */
function projectNotFound(error: unknown): CloudError | undefined {
  if (!/_(project|parent)_id_fkey$/.test(violatedConstraint(error) ?? '')) return undefined;
  // Seen from the other side, a deletion, the same constraint speaks of (id).
  const [, id] =
    /\((?:target_)?(?:project|parent)_id\)=\(([0-9a-f-]+)\)/.exec((error as pg.DatabaseError).detail ?? '') ?? [];
  if (id === undefined) return undefined;
  return new CloudError('not_found', 'project_not_found', { id }, { cause: error });
}

/** Ended by the session's limits: a statement, the wait for a lock, a transaction that this process left alone for too long. */
const tooSlow = new Set(['57014', '55P03', '25P03']);

/** What the system says where nobody is reached: refused, cut, without a route, or a name that nobody knows now. */
const unreached = new Set([
  ...['ECONNREFUSED', 'ENOENT', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ECONNABORTED'],
  ...['EHOSTUNREACH', 'ENETUNREACH', 'EHOSTDOWN', 'ENETDOWN', 'EADDRNOTAVAIL', 'EAI_AGAIN', 'ENOTFOUND'],
]);

/**
 * True when the error says that the database can't serve now: connection refused or lost, shutting down, starting up, turned
 * read-only by a failover, out of connections, memory or disk, or too slow for the session's limits.
 */
export function isDatabaseUnavailable(error: unknown): boolean {
  const code = sqlState(error);
  // A session that it ends for a trouble of its own: of a full disk PostgreSQL says "could not write init file" to who comes (XX000).
  if (code?.startsWith('XX') && ['FATAL', 'PANIC'].includes((error as pg.DatabaseError).severity ?? '')) return true;
  if (code !== undefined) return /^(57P|08|53)/.test(code) || tooSlow.has(code) || code === '25006' || code === '58030';
  const system = (error as NodeJS.ErrnoException | undefined)?.code;
  if (system !== undefined && unreached.has(system)) return true;
  // What pg says of a connection that was lost, before and after it has noticed.
  return (
    error instanceof Error &&
    /Connection terminated|is not queryable|timeout exceeded when trying to connect|timeout expired/.test(error.message)
  );
}

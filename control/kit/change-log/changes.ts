/**
 * The change log's reader: the only source of events in the cloud.
 *
 * Rows are written by triggers in the transaction that makes the change. A reader that follows `sequence` alone would
 * lose rows: a transaction may take sequence 7 and commit after the one that took 8. So rows are ordered by
 * (transaction_id, sequence), and a reader stops below pg_snapshot_xmin: no transaction below that can still commit.
 * A position once passed never gains a row.
 *
 * The log has a life: its parts go with time (control/kit/history), and after a dump is restored its transaction ids are moved below
 * those of the new cluster (control/kit/database/rebase-changes.ts). Who comes back with a position from before hears `expired`.
 *
 * ChangeFeed tails the log once per process and hands the rows, in order, to all who subscribed. NOTIFY only wakes
 * it; a timer covers lost wakes. It keeps its position over lost connections. If the process dies nothing is lost: what
 * a subscriber must not miss it reads anew from the tables when it starts.
 */

import { sql } from 'kysely';
import type pg from 'pg';
import type { Logger } from 'pino';
import { CloudError, isCloudError } from '../../../contract/errors.ts';
import type { Secret } from '../../../contract/secret.ts';
import type { Database, Queryable } from '../database/database.ts';
import { currentIncarnation, renewIncarnation, settleIncarnation } from '../database/incarnation.ts';
import { connect } from '../database/members.ts';
import type { Change } from './change.ts';
import { expired, formatPosition, isBefore, type Position, parsePosition, shortOf } from './position.ts';
import { SeenChanges } from './seen.ts';

export { type Change, formatPosition, isBefore, type Position, parsePosition };

/** The position behind everything that is final now: later reads from here miss nothing that isn't visible yet. */
export async function currentPosition(db: Queryable): Promise<Position> {
  const { rows } = await sql<{ incarnation: string; xmin: string; now: Date }>`select ${incarnation} as incarnation,
    pg_snapshot_xmin(pg_current_snapshot())::text as xmin, clock_timestamp() as now`.execute(db);
  const { incarnation: of, xmin, now } = rows[0]!;
  return { incarnation: of, transactionId: BigInt(xmin), sequence: 0, since: dayBefore(now) };
}

/** Before all that the log still has. */
export async function firstPosition(db: Queryable): Promise<Position> {
  const { rows } = await sql<{ incarnation: string; xid: string; sequence: number }>`
    select ${incarnation} as incarnation, transaction_id::text as xid, sequence from change_floor`.execute(db);
  return { incarnation: rows[0]!.incarnation, transactionId: BigInt(rows[0]!.xid), sequence: rows[0]!.sequence };
}

/** Enough of it that nobody meets it twice, and short, since tokens are long already. */
const incarnation = sql<string>`coalesce((select left(replace(incarnation::text, '-', ''), 12) from cloud), '0')`;

/** No transaction is open for a day: what one that is not final yet has written is younger than this. */
const dayBefore = (time: Date): Date => new Date(time.getTime() - 24 * 3600 * 1000);

export interface ReadOptions {
  after: Position;
  limit: number;
  /** Only changes that this project's members may see; undefined: all. */
  projectId?: string;
  resourceTypes?: readonly string[];
}

export interface Page {
  changes: Change[];
  /** Where the next read starts. Moves past what was filtered out. */
  position: Position;
  /** True when the limit cut the page, or rows above the horizon wait for an older transaction to end. */
  more: boolean;
  /** Of the write-ahead log that it was read beside: another one since a standby was promoted. */
  timeline: string;
}

interface Row extends Omit<Change, 'position'> {
  sequence: number;
  transaction_id: string;
}

interface Horizon {
  incarnation: string;
  final_below: string;
  floor_transaction: string;
  floor_sequence: number;
  now: Date;
  pending: boolean;
  timeline: string;
}

/**
 * One page of final changes after a position, oldest first.
 * @throws CloudError `expired` when changes behind the position are gone, or it is of another incarnation of the database
 */
export async function readChanges(db: Queryable, options: ReadOptions): Promise<Page> {
  const { after, limit } = options;
  const project = options.projectId === undefined ? sql`` : sql`and project_id = ${options.projectId}::uuid`;
  const types = options.resourceTypes ? sql`and resource_type = any(${[...options.resourceTypes]}::text[])` : sql``;
  const since = sql`at >= coalesce(${after.since ?? null}::timestamptz, '-infinity')`;
  // One statement, so that rows and horizon come from one snapshot. Whether rows wait is asked of the last row: for an EXISTS that
  // is false, as a rule, the planner reads the whole log.
  const { rows } = await sql<Horizon & { row: Row | null }>`
    with horizon as materialized (
      select pg_snapshot_xmin(pg_current_snapshot()) as final_below, ${incarnation} as incarnation,
        transaction_id::text as floor_transaction, sequence as floor_sequence, clock_timestamp() as now,
        left(pg_walfile_name(pg_current_wal_lsn()), 8) as timeline
      from change_floor)
    select final_below::text, timeline, incarnation, floor_transaction, floor_sequence, now, page.row,
      coalesce((select transaction_id from change where ${since}
        order by transaction_id desc, sequence desc limit 1) >= final_below, false) as pending
    from horizon left join lateral (
      select to_jsonb(change) as row from change
      where (transaction_id, sequence) > (${after.transactionId.toString()}::xid8, ${after.sequence})
        and transaction_id < final_below and ${since} ${project} ${types}
      order by transaction_id, sequence limit ${limit}
    ) page on true`.execute(db);
  const horizon = rows[0]!;
  const end = endOf(horizon);
  checkUsable(after, horizon, end);
  const changes = rows.flatMap(({ row }) => (row ? [toChange(row, horizon.incarnation)] : []));
  const full = changes.length === limit;
  const last = changes.at(-1);
  // What comes behind the last row began after that one's transaction, and is not a day older.
  const lastPosition = last ? { ...last.position, since: dayBefore(last.at) } : after;
  const position = full || !isBefore(lastPosition, end) ? lastPosition : end;
  return { changes, position, more: full || horizon.pending, timeline: horizon.timeline };
}

const endOf = ({ incarnation: of, final_below, now }: Horizon): Position => ({
  incarnation: of,
  transactionId: BigInt(final_below),
  sequence: 0,
  since: dayBefore(now),
});

function checkUsable(after: Position, horizon: Horizon, end: Position): void {
  if (after.incarnation !== horizon.incarnation) throw expired('another_database', end);
  const { floor_transaction, floor_sequence: sequence } = horizon;
  if (isBefore(after, { incarnation: '', transactionId: BigInt(floor_transaction), sequence })) {
    throw expired('older_than_kept', end);
  }
  if (after.transactionId > end.transactionId) throw expired('in_the_future', end);
}

function toChange(row: Row, of: string): Change {
  const { sequence, transaction_id, ...rest } = row;
  const position = { incarnation: of, transactionId: BigInt(transaction_id), sequence };
  return { ...rest, at: new Date(rest.at), position };
}

/** What the log has between two places. */
export interface Stretch {
  after: Position;
  end: Position;
}

/** @param stretch all that is in it is in `changes` */
export type ChangeListener = (changes: readonly Change[], stretch: Stretch) => void;

const pageSize = 500;
const timerMs = 1000;
/** While an older transaction holds the horizon back, no NOTIFY will come when it rolls back: look again soon. */
const pendingMs = 5;
const pulseMs = 10_000;
const fromEnd = 'goes on from the present end';

export class ChangeFeed {
  readonly #database: Database;
  readonly #url: Secret;
  readonly #log: Logger;
  readonly #listeners = new Set<ChangeListener>();
  readonly #turns = new Set<() => void>();
  readonly #seen = new SeenChanges();
  #timeline: string | undefined;
  #position: Position | undefined;
  #listenClient: pg.Client | undefined;
  #timer: NodeJS.Timeout | undefined;
  #reading = false;
  #again = false;
  #stopped = false;

  constructor(options: { database: Database; url: Secret; log: Logger }) {
    this.#database = options.database;
    this.#url = options.url;
    this.#log = options.log;
  }

  /** Starts at the present end of the log. Subscribers read their state after this and miss nothing. */
  async start(): Promise<void> {
    this.#position = await currentPosition(this.#database.query);
    // It may be to a member of the database that takes no writes any more.
    this.#database.onMoved(() => void this.#listenClient?.end());
    await this.#listen();
    this.wake();
  }

  /** True while NOTIFY reaches this process. When false, changes still come, up to a second late. */
  get listening(): boolean {
    return this.#listenClient !== undefined;
  }

  /** All before this has been handed to the subscribers. */
  get position(): Position {
    if (!this.#position) throw new CloudError('unavailable', 'change_feed_not_started', {});
    return this.#position;
  }

  /** The listener gets rows in order, never concurrently; it must not block (start work, don't await it). */
  subscribe(listener: ChangeListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Called when what the log has from now on is another history than what was handed out: what follows from that is to be looked at anew. */
  onTurn(listener: () => void): () => void {
    this.#turns.add(listener);
    return () => this.#turns.delete(listener);
  }

  /** Look now: a change was just committed by this process, or NOTIFY said so. */
  wake(): void {
    this.#again = true;
    if (!this.#reading && !this.#stopped) void this.#drain();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#listeners.clear();
    this.#turns.clear();
    await this.#listenClient?.end().catch(() => {});
  }

  async #drain(): Promise<void> {
    this.#reading = true;
    clearTimeout(this.#timer);
    let next = timerMs;
    try {
      while (this.#again && !this.#stopped) {
        this.#again = false;
        const after = this.#position!;
        const page = await this.#read();
        this.#position = page.position;
        if (page.changes.length > 0) this.#publish(page.changes, { after, end: page.position });
        if (page.changes.length === pageSize) this.#again = true;
        else next = page.more ? pendingMs : timerMs;
      }
      if (!this.#listenClient && !this.#stopped) await this.#listen();
    } catch (error) {
      this.#log.warn({ err: error }, 'change feed: reading failed, will try again');
    } finally {
      this.#reading = false;
      if (!this.#stopped) {
        this.#timer = setTimeout(() => this.wake(), next);
        this.#timer.unref();
      }
    }
    if (this.#again && !this.#stopped) void this.#drain();
  }

  async #read(): Promise<Page> {
    try {
      const page = await readChanges(this.#database.plannedOnce, { after: this.#position!, limit: pageSize });
      if (page.timeline === this.#timeline) return page;
      // A standby was promoted, or this is the first look.
      if (!(await this.#seen.stands(this.#database.query))) return await this.#turn();
      this.#timeline = page.timeline;
      return page;
    } catch (error) {
      if (!isCloudError(error, 'expired')) throw error;
      return this.#jump(error);
    }
  }

  /** The database has not made what came last: a standby was promoted that had not got it. Another history begins. */
  async #turn(): Promise<Page> {
    const { id } = await currentIncarnation(this.#database.query);
    if (shortOf(id) === this.#position!.incarnation) {
      const reason = 'the database went back: a replica took over that had not got all';
      await renewIncarnation(this.#database, id, reason);
      this.#log.warn({ reason }, 'a new incarnation of the database begins');
    }
    return this.#goOn('what came last the database has not made');
  }

  /** A new incarnation of this database, or another database behind the same address, or this process slept for days. */
  async #jump(cause: CloudError): Promise<Page> {
    await settleIncarnation(this.#database).catch(() => {});
    if (!(await this.#seen.stands(this.#database.query))) return this.#turn();
    const [was, end] = [this.#position!, await currentPosition(this.#database.query)];
    const goesOn = was.incarnation !== end.incarnation && isBefore(was, end);
    if (was.incarnation !== end.incarnation) this.#turned();
    if (!goesOn) this.#log.error({ err: cause }, `change feed: what came last can not be read; ${fromEnd}`);
    return this.#empty(goesOn ? { ...was, incarnation: end.incarnation } : end);
  }

  /** From what both histories have; where nothing is known of that, subscribers find what they miss when they look at everything, as they do by timers. */
  async #goOn(why: string): Promise<Page> {
    const [common, end] = [await this.#seen.common(this.#database.query), await currentPosition(this.#database.query)];
    this.#timeline = undefined;
    this.#turned();
    this.#log.warn({ common }, `change feed: ${why}; goes on from what it has, or from the present end`);
    return this.#empty(common && isBefore(common, end) ? { ...common, incarnation: end.incarnation } : end);
  }

  #empty(position: Position): Page {
    return { changes: [], position, more: true, timeline: this.#timeline ?? '' };
  }

  #turned(): void {
    for (const listener of this.#turns) {
      try {
        listener();
      } catch (error) {
        this.#log.error({ err: error }, 'change feed: a subscriber failed');
      }
    }
  }

  #publish(changes: readonly Change[], stretch: Stretch): void {
    this.#seen.add(changes);
    for (const listener of this.#listeners) {
      try {
        listener(changes, stretch);
      } catch (error) {
        this.#log.error({ err: error }, 'change feed: a subscriber failed');
      }
    }
  }

  async #listen(): Promise<void> {
    const client = await connect({ url: this.#url, applicationName: 'bothy change feed' });
    const lost = () => {
      if (this.#listenClient === client) this.#listenClient = undefined;
    };
    client.on('error', lost);
    client.on('end', lost);
    client.on('notification', () => this.wake());
    await client.query('listen bothy_change');
    this.#listenClient = client;
    // Silence is all that it hears, as a rule: whether there is still somebody comes out by asking.
    const pulse = setInterval(() => client.query('select').catch(() => {}), pulseMs).unref();
    client.once('end', () => clearInterval(pulse));
  }
}

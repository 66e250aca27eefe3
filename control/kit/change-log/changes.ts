/**
 * The change log's reader: the only source of events in the cloud.
 *
 * Rows are written by triggers in the transaction that makes the change. A reader that follows `sequence` alone would
 * lose rows: a transaction may take sequence 7 and commit after the one that took 8. So rows are ordered by
 * (transaction_id, sequence), and a reader stops below pg_snapshot_xmin: no transaction below that can still commit.
 * A position once passed never gains a row.
 *
 * ChangeFeed tails the log once per process and hands the rows, in order, to all who subscribed. NOTIFY only wakes
 * it; a timer covers lost wakes. It keeps its position over lost connections. If the process dies nothing is lost: what
 * a subscriber must not miss it reads anew from the tables when it starts.
 */

import type { Selectable } from 'kysely';
import { sql } from 'kysely';
import type pg from 'pg';
import type { Logger } from 'pino';
import { CloudError } from '../../../contract/errors.ts';
import type { Secret } from '../../../contract/secret.ts';
import { connect } from '../database/connection.ts';
import type { Database, Queryable } from '../database/database.ts';
import type { ChangeTable } from '../database/schema.ts';

/** In its body is the row after the change; before it, for 'deleted'. Column names as in SQL. */
export interface Change extends Omit<Selectable<ChangeTable>, 'sequence' | 'transaction_id'> {
  position: Position;
}

/** A place in the log; all before and at it has been seen. As text (`formatPosition`) it is the resume token. */
export interface Position {
  transactionId: bigint;
  sequence: number;
}

export const formatPosition = (position: Position): string => `${position.transactionId}.${position.sequence}`;

/** @throws CloudError `invalid` */
export function parsePosition(text: string): Position {
  const match = /^(\d{1,20})\.(\d{1,15})$/.exec(text);
  if (!match) throw new CloudError('invalid', 'the resume token is malformed; take one from an earlier answer');
  return { transactionId: BigInt(match[1]!), sequence: Number(match[2]) };
}

/** The position behind everything that is final now: later reads from here miss nothing that isn't visible yet. */
export async function currentPosition(db: Queryable): Promise<Position> {
  const { rows } = await sql<{ xmin: string }>`select pg_snapshot_xmin(pg_current_snapshot())::text as xmin`.execute(
    db,
  );
  return { transactionId: BigInt(rows[0]!.xmin), sequence: 0 };
}

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
}

interface Row extends Omit<Change, 'position'> {
  sequence: number;
  transaction_id: string;
}

/** One page of final changes after a position, oldest first. */
export async function readChanges(db: Queryable, options: ReadOptions): Promise<Page> {
  const { after, limit } = options;
  const project = options.projectId === undefined ? sql`` : sql`and project_id = ${options.projectId}::uuid`;
  const types = options.resourceTypes ? sql`and resource_type = any(${[...options.resourceTypes]}::text[])` : sql``;
  // One statement, so that rows and horizon come from one snapshot.
  const { rows } = await sql<{ final_below: string; pending: boolean; row: Row | null }>`
    with horizon as materialized (select pg_snapshot_xmin(pg_current_snapshot()) as final_below)
    select final_below::text, exists (select from change where transaction_id >= final_below) as pending, page.row
    from horizon left join lateral (
      select to_jsonb(change) as row from change
      where (transaction_id, sequence) > (${after.transactionId.toString()}::xid8, ${after.sequence})
        and transaction_id < final_below ${project} ${types}
      order by transaction_id, sequence limit ${limit}
    ) page on true`.execute(db);
  const changes = rows.flatMap(({ row }) => (row ? [toChange(row)] : []));
  const full = changes.length === limit;
  const horizon: Position = { transactionId: BigInt(rows[0]!.final_below), sequence: 0 };
  const last = changes.at(-1)?.position ?? after;
  const position = full ? last : isBefore(last, horizon) ? horizon : last;
  return { changes, position, more: full || rows[0]!.pending };
}

const isBefore = (a: Position, b: Position): boolean =>
  a.transactionId < b.transactionId || (a.transactionId === b.transactionId && a.sequence < b.sequence);

function toChange(row: Row): Change {
  const { sequence, transaction_id, ...rest } = row;
  return { ...rest, at: new Date(rest.at), position: { transactionId: BigInt(transaction_id), sequence } };
}

export type ChangeListener = (changes: readonly Change[]) => void;

const pageSize = 500;
const timerMs = 1000;
/** While an older transaction holds the horizon back, no NOTIFY will come when it rolls back: look again soon. */
const pendingMs = 5;

export class ChangeFeed {
  readonly #database: Database;
  readonly #url: Secret;
  readonly #log: Logger;
  readonly #listeners = new Set<ChangeListener>();
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
    await this.#listen();
    this.wake();
  }

  /** True while NOTIFY reaches this process. When false, changes still come, up to a second late. */
  get listening(): boolean {
    return this.#listenClient !== undefined;
  }

  /** All before this has been handed to the subscribers. */
  get position(): Position {
    if (!this.#position) throw new CloudError('unavailable', 'the change feed has not started');
    return this.#position;
  }

  /** The listener gets rows in order, never concurrently; it must not block (start work, don't await it). */
  subscribe(listener: ChangeListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
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
    await this.#listenClient?.end().catch(() => {});
  }

  async #drain(): Promise<void> {
    this.#reading = true;
    clearTimeout(this.#timer);
    let next = timerMs;
    try {
      while (this.#again && !this.#stopped) {
        this.#again = false;
        const page = await readChanges(this.#database.query, { after: this.#position!, limit: pageSize });
        this.#position = page.position;
        if (page.changes.length > 0) this.#publish(page.changes);
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

  #publish(changes: readonly Change[]): void {
    for (const listener of this.#listeners) {
      try {
        listener(changes);
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
  }
}

/**
 * A lasting connection to one OVSDB database: opens a session, reads the schema, fills the copy, and when the session
 * ends starts over, with back-off. Owns the session and the copy (`replica`). It never repeats a transaction: after a
 * lost connection the outcome is unknown and only the caller, looking at the complete copy again, can tell.
 */
import { setImmediate as others } from 'node:timers/promises';
import { OvsdbError } from './errors.ts';
import { type Conditions, type Monitored, Replica, type TableUpdates2 } from './replica.ts';
import { columnOf, type DatabaseSchema, parseSchema, type RawSchema, tableOf } from './schema.ts';
import { Session } from './session.ts';
import type { TlsFiles } from './target.ts';
import { checkResults, type Operation, type OperationResult, Transaction } from './transaction.ts';
import { fromWire, type Value } from './value.ts';

export interface ClientOptions {
  /** unix:PATH, tcp:HOST:PORT, ssl:HOST:PORT; several (a cluster) are tried in turn. */
  target: string | readonly string[];
  database: string;
  /** What to copy; by default nothing. */
  monitor?: Monitored;
  /** Which rows of it; absent: all. */
  conditions?: Conditions;
  /** Columns that are not copied, as they are large, and whose changes are told all the same. */
  watch?: { columns: Readonly<Record<string, readonly string[]>>; changed: (changes: readonly ColumnChange[]) => void };
  /** A function is asked for each connection. */
  tls?: TlsFiles | (() => TlsFiles);
  connectTimeoutMs?: number;
  probeMs?: number;
  backoff?: { firstMs: number; maxMs: number };
  /** Told of each session that began, and each failure to have one. */
  onState?: (state: ClientState) => void;
}

/** Of a row that was there and stays. */
export interface ColumnChange {
  table: string;
  uuid: string;
  column: string;
  /** Of a set what it gained or lost, without a word which of the two; of one value the new one. */
  difference: Value;
}

export type ClientState =
  | { connected: true; target: string }
  | { connected: false; error: OvsdbError; retryMs: number };

const rowsAtOnce = 200;

export class OvsdbClient {
  readonly replica: Replica;
  readonly #options: ClientOptions;
  readonly #targets: readonly string[];
  readonly #backoff: { firstMs: number; maxMs: number };
  #session: Session | undefined;
  #schema: DatabaseSchema | undefined;
  #attempt = 0;
  #failures = 0;
  #running = false;
  #retry: NodeJS.Timeout | undefined;
  #opening: Promise<void> = Promise.resolve();

  constructor(options: ClientOptions) {
    this.#options = options;
    this.#targets = typeof options.target === 'string' ? [options.target] : options.target;
    this.#backoff = options.backoff ?? { firstMs: 50, maxMs: 5000 };
    this.replica = new Replica(options.monitor ?? {}, options.conditions);
  }

  /** Begins to connect and keeps at it until `stop`. Never throws: see `ready` and `onState`. */
  start(): this {
    if (!this.#running) {
      this.#running = true;
      this.#opening = this.#open();
    }
    return this;
  }

  async stop(): Promise<void> {
    this.#running = false;
    clearTimeout(this.#retry);
    this.#session?.close();
    await this.#opening;
    this.replica.reset();
  }

  /** Resolves once there is a session with a complete copy. */
  ready(options: { timeoutMs: number; signal?: AbortSignal } = { timeoutMs: 30_000 }): Promise<void> {
    const what = `a complete copy of ${this.#options.database} from ${this.#targets.join(',')}`;
    return this.replica.until(what, () => this.#session !== undefined, options);
  }

  get connected(): boolean {
    return this.#session !== undefined && !this.#session.closed;
  }

  /** The server's schema; known from the first session on. */
  get schema(): DatabaseSchema {
    if (!this.#schema) throw new OvsdbError('connection', `OVSDB ${this.#options.database}: not connected yet`);
    return this.#schema;
  }

  /** @param prefix see Transaction */
  transaction(prefix?: string): Transaction {
    return new Transaction(this.schema, prefix);
  }

  /** One atomic transaction: all of it happened, or TransactionError, or (kinds connection, timeout) nobody knows. */
  async transact(
    work: Transaction | readonly Operation[],
    options: { timeoutMs?: number } = {},
  ): Promise<OperationResult[]> {
    const operations = work instanceof Transaction ? work.operations : work;
    const session = this.#session;
    if (!session) throw new OvsdbError('connection', `OVSDB ${this.#options.database}: not connected`);
    const answer = await session.call('transact', [this.#options.database, ...operations], {
      timeoutMs: options.timeoutMs ?? 30_000,
    });
    return checkResults(operations, answer);
  }

  async #open(): Promise<void> {
    const target = this.#targets[this.#attempt++ % this.#targets.length]!;
    const { database, tls, connectTimeoutMs, probeMs } = this.#options;
    let opened: Session | undefined;
    try {
      const early: TableUpdates2[] = [];
      let loaded = false;
      const session = await Session.open({
        target,
        ...(tls ? { tls: typeof tls === 'function' ? tls() : tls } : {}),
        ...(connectTimeoutMs === undefined ? {} : { connectTimeoutMs }),
        ...(probeMs === undefined ? {} : { probeMs }),
        onNotification: (method, params) => {
          if (method !== 'update2') return;
          const updates = params[1] as TableUpdates2;
          if (params[0] !== database) return this.#tell(updates);
          // Throws on nonsense; the session then ends itself.
          if (loaded) this.replica.update(updates);
          else early.push(updates);
        },
        onClose: (error) => {
          if (loaded) this.#lost(error);
        },
      });
      opened = session;
      if (!this.#running) throw new OvsdbError('connection', 'OVSDB client was stopped');
      this.#session = session;
      this.#schema = parseSchema((await session.call('get_schema', [database])) as RawSchema);
      // Before the copy: what comes between the two is told, and too early to be of use.
      await this.#watch(session);
      const requests = this.replica.requests(this.#schema);
      const snapshot = (await session.call('monitor_cond', [database, database, requests])) as TableUpdates2;
      await this.#load(session, snapshot, target);
      // What came meanwhile, before anybody reads: the copy is complete only with it.
      for (const updates of early) this.replica.update(updates);
      loaded = true;
      this.#failures = 0;
      this.#options.onState?.({ connected: true, target });
      this.replica.finish();
    } catch (cause) {
      const error = cause instanceof OvsdbError ? cause : new OvsdbError('protocol', 'OVSDB client failed', { cause });
      opened?.close();
      this.#lost(error);
    }
  }

  async #watch(session: Session): Promise<void> {
    const { watch, database } = this.#options;
    if (!watch) return;
    const select = { initial: false, insert: false, delete: false, modify: true };
    const requests = Object.entries(watch.columns).map(([table, columns]) => [table, [{ columns, select }]]);
    await session.call('monitor_cond', [database, `${database} watch`, Object.fromEntries(requests)]);
  }

  #tell(updates: TableUpdates2): void {
    const told = Object.entries(updates).flatMap(([name, rows]) => {
      const table = tableOf(this.schema, name);
      return Object.entries(rows).flatMap(([uuid, { modify }]) =>
        Object.entries(modify ?? {}).map(([column, wire]) => {
          return { table: name, uuid, column, difference: fromWire(columnOf(table, column), wire) };
        }),
      );
    });
    if (told.length > 0 && this.replica.complete) this.#options.watch?.changed(told);
  }

  /** A hundred thousand rows would stop everything else in the process for a second: others have their turn between. */
  async #load(session: Session, snapshot: TableUpdates2, target: string): Promise<void> {
    const here = () => {
      if (session.closed) throw new OvsdbError('connection', `OVSDB connection to ${target} was lost`);
    };
    here();
    this.replica.begin();
    for (const [table, rows] of Object.entries(snapshot)) {
      const uuids = Object.keys(rows);
      for (let at = 0; at < uuids.length; at += rowsAtOnce) {
        this.replica.take(
          table,
          Object.fromEntries(uuids.slice(at, at + rowsAtOnce).map((uuid) => [uuid, rows[uuid]!])),
        );
        await others();
        here();
      }
    }
  }

  #lost(error: OvsdbError | undefined): void {
    this.#session = undefined;
    this.replica.reset();
    if (!this.#running) return;
    clearTimeout(this.#retry);
    // Full jitter, so that a thousand hosts do not return in step; the first attempt is quick.
    const ceiling = Math.min(this.#backoff.maxMs, this.#backoff.firstMs * 2 ** Math.min(this.#failures++, 16));
    const retryMs = Math.round(ceiling / 2 + (Math.random() * ceiling) / 2);
    const reason = error ?? new OvsdbError('connection', 'OVSDB session was closed');
    this.#options.onState?.({ connected: false, error: reason, retryMs });
    this.#retry = setTimeout(() => {
      this.#opening = this.#open();
    }, retryMs);
  }
}

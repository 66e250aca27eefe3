/**
 * A copy of chosen tables, fed by monitor_cond. It may be read only while it is complete: from the first full snapshot
 * of a session until that session ends. Reading it at any other time throws, so nobody takes "not loaded yet" for
 * "does not exist". Changes are announced once a whole update is in; they say where to look, not what to do.
 */
import { OvsdbError } from './errors.ts';
import { type ColumnType, columnOf, type DatabaseSchema, tableOf } from './schema.ts';
import { applyDifference, defaultValue, fromWire, type Row, type Value, type Wire } from './value.ts';

/** Table → the columns to copy, or all of them. */
export type Monitored = Readonly<Record<string, 'all' | readonly string[]>>;

/** Table → conditions of RFC 7047, 5.1; a row of it is copied where any of them holds. */
export type Conditions = Readonly<Record<string, readonly unknown[]>>;

export interface RowChange {
  table: string;
  uuid: string;
  before: Row | undefined;
  after: Row | undefined;
}

export interface ReplicaListener {
  /** The first snapshot of a session is in; before this call nothing could be read. */
  complete?(): void;
  changed?(changes: readonly RowChange[]): void;
  /** The session ended; the copy is gone until `complete` is called again. */
  lost?(): void;
}

type Update2 = { initial?: WireRow; insert?: WireRow; modify?: WireRow; delete?: unknown };
type WireRow = Record<string, Wire>;
export type TableUpdates2 = Record<string, Record<string, Update2>>;

/** Computes the keys under which a row is found: none, one or several. */
export type KeysOf = (row: Row) => string | readonly string[] | undefined;

/** Rows found by keys that are computed from them, kept up to date with the copy. */
export class RowIndex {
  readonly #keysOf: KeysOf;
  /** Most keys have one row, which then stands here itself: a map for each would be half the memory of the copy. */
  readonly #rows = new Map<string, Row | Map<string, Row>>();
  constructor(keysOf: KeysOf) {
    this.#keysOf = keysOf;
  }
  get(key: string): Row[] {
    const found = this.#rows.get(key);
    if (found === undefined) return [];
    return found instanceof Map ? [...found.values()] : [found];
  }
  size(key: string): number {
    const found = this.#rows.get(key);
    if (found === undefined) return 0;
    return found instanceof Map ? found.size : 1;
  }
  keys(): Iterable<string> {
    return this.#rows.keys();
  }
  /** For the Replica only. */
  replace(before: Row | undefined, after: Row | undefined): void {
    for (const key of this.#keys(before)) {
      const rows = this.#rows.get(key);
      if (rows instanceof Map) {
        rows.delete(before!._uuid);
        if (rows.size === 0) this.#rows.delete(key);
      } else if (rows?._uuid === before!._uuid) this.#rows.delete(key);
    }
    for (const key of this.#keys(after)) {
      const rows = this.#rows.get(key);
      if (rows instanceof Map) rows.set(after!._uuid, after!);
      else if (rows === undefined || rows._uuid === after!._uuid) this.#rows.set(key, after!);
      else this.#rows.set(key, new Map([rows, after!].map((row) => [row._uuid, row])));
    }
  }
  clear(): void {
    this.#rows.clear();
  }
  #keys(row: Row | undefined): readonly string[] {
    const keys = row && this.#keysOf(row);
    return keys === undefined ? [] : typeof keys === 'string' ? [keys] : keys;
  }
}

export class Replica {
  readonly monitored: Monitored;
  readonly #conditions: Conditions;
  readonly #listeners = new Set<ReplicaListener>();
  readonly #indexes: { table: string; index: RowIndex }[] = [];
  readonly #tables = new Map<string, Map<string, Row>>();
  #schema: DatabaseSchema | undefined;
  readonly #defaults = new WeakMap<ColumnType, Value>();
  #complete = false;

  constructor(monitored: Monitored, conditions: Conditions = {}) {
    this.monitored = monitored;
    this.#conditions = conditions;
    for (const table of Object.keys(monitored)) this.#tables.set(table, new Map());
  }

  get complete(): boolean {
    return this.#complete;
  }

  /** Throws while the copy is not complete. */
  rows(table: string): ReadonlyMap<string, Row> {
    if (!this.#complete) throw new OvsdbError('incomplete', `the copy of ${table} is not complete`);
    return this.#table(table);
  }

  row(table: string, uuid: string): Row | undefined {
    return this.rows(table).get(uuid);
  }

  find(table: string, predicate: (row: Row) => boolean): Row | undefined {
    for (const row of this.rows(table).values()) if (predicate(row)) return row;
    return undefined;
  }

  /** Make indexes before the client starts. Read one only while the copy is complete. */
  index(table: string, keysOf: KeysOf): RowIndex {
    const index = new RowIndex(keysOf);
    for (const row of this.#table(table).values()) index.replace(undefined, row);
    this.#indexes.push({ table, index });
    return index;
  }

  /** Answers a function that ends the subscription. */
  listen(listener: ReplicaListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Waits until the condition holds on the complete copy; it is asked after each change. A condition that is not met
   * by the deadline rejects with kind 'timeout'. While the connection is lost it just waits.
   */
  until(what: string, condition: () => boolean, options: { timeoutMs: number; signal?: AbortSignal }): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = (settle: () => void) => {
        clearTimeout(timer);
        stop();
        options.signal?.removeEventListener('abort', aborted);
        settle();
      };
      const check = () => {
        try {
          if (this.#complete && condition()) end(resolve);
        } catch (error) {
          end(() => reject(error));
        }
      };
      const aborted = () => end(() => reject(options.signal?.reason));
      const late = () => end(() => reject(new OvsdbError('timeout', `OVSDB: not in ${options.timeoutMs} ms: ${what}`)));
      const timer = setTimeout(late, options.timeoutMs);
      const stop = this.listen({ complete: check, changed: check });
      options.signal?.addEventListener('abort', aborted);
      if (options.signal?.aborted) aborted();
      else check();
    });
  }

  // --- fed by the client ---------------------------------------------------------------------------------------------

  /** The request for monitor_cond; throws when the server's schema lacks what we want to copy. */
  requests(schema: DatabaseSchema): Record<string, { columns: string[]; where?: readonly unknown[] }[]> {
    this.#schema = schema;
    return Object.fromEntries(
      Object.entries(this.monitored).map(([name, wanted]) => {
        const table = tableOf(schema, name);
        const columns = wanted === 'all' ? [...table.columns.keys()] : [...wanted];
        for (const column of columns) columnOf(table, column);
        const where = this.#conditions[name];
        return [name, [{ columns, ...(where && { where }) }]];
      }),
    );
  }

  load(snapshot: TableUpdates2): void {
    this.begin();
    this.#apply(snapshot);
    this.finish();
  }

  /** A snapshot in parts, so that a large one leaves room for others: `begin`, any number of `take`, `finish`. */
  begin(): void {
    this.#clear();
  }
  take(table: string, rows: TableUpdates2[string]): void {
    this.#apply({ [table]: rows });
  }
  finish(): void {
    this.#complete = true;
    this.#announce((listener) => listener.complete?.());
  }

  update(updates: TableUpdates2): void {
    const changes = this.#apply(updates);
    if (changes.length > 0 && this.#complete) this.#announce((listener) => listener.changed?.(changes));
  }

  reset(): void {
    const was = this.#complete;
    this.#complete = false;
    this.#clear();
    if (was) this.#announce((listener) => listener.lost?.());
  }

  #apply(updates: TableUpdates2): RowChange[] {
    const changes: RowChange[] = [];
    for (const [table, rows] of Object.entries(updates)) {
      const copy = this.#table(table);
      for (const [uuid, update] of Object.entries(rows)) {
        const before = copy.get(uuid);
        const after = this.#rowAfter(table, uuid, before, update);
        if (after) copy.set(uuid, after);
        else copy.delete(uuid);
        for (const entry of this.#indexes) if (entry.table === table) entry.index.replace(before, after);
        changes.push({ table, uuid, before, after });
      }
    }
    return changes;
  }

  #rowAfter(name: string, uuid: string, before: Row | undefined, update: Update2): Row | undefined {
    if ('delete' in update) return undefined;
    const table = tableOf(this.#schema!, name);
    const whole = update.initial ?? update.insert;
    const row: Record<string, Value> = { _uuid: uuid };
    if (whole) {
      // Columns that hold their default are not sent.
      const wanted = this.monitored[name]!;
      for (const column of wanted === 'all' ? table.columns.keys() : wanted) {
        const type = columnOf(table, column);
        row[column] = Object.hasOwn(whole, column) ? fromWire(type, whole[column]) : this.#default(type);
      }
      return row as Row;
    }
    if (!before) throw new OvsdbError('protocol', `OVSDB changed row ${uuid} of ${name}, which it never sent`);
    Object.assign(row, before);
    for (const [column, wire] of Object.entries(update.modify ?? {})) {
      const type = columnOf(table, column);
      row[column] = applyDifference(type, before[column]!, fromWire(type, wire));
    }
    return row as Row;
  }

  /** One empty set or map for all rows that have none. */
  #default(type: ColumnType): Value {
    const known = this.#defaults.get(type);
    if (known !== undefined) return known;
    const value = defaultValue(type);
    if (value !== null && typeof value === 'object') Object.freeze(value);
    this.#defaults.set(type, value);
    return value;
  }

  #table(name: string): Map<string, Row> {
    const table = this.#tables.get(name);
    if (!table) throw new OvsdbError('protocol', `table ${name} is not copied`);
    return table;
  }

  #clear(): void {
    for (const table of this.#tables.values()) table.clear();
    for (const { index } of this.#indexes) index.clear();
  }

  #announce(tell: (listener: ReplicaListener) => void): void {
    for (const listener of [...this.#listeners]) {
      try {
        tell(listener);
      } catch (error) {
        // A listener's defect must not look like a broken connection.
        process.nextTick(() => {
          throw error;
        });
      }
    }
  }
}

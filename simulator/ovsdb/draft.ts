/** What a transaction has changed so far, over rows that stay untouched until the commit. */
import { randomUUID } from 'node:crypto';
import type { Row } from '../../protocols/ovsdb/value.ts';

export type Tables = ReadonlyMap<string, ReadonlyMap<string, Row>>;

export class Draft {
  readonly #base: Tables;
  readonly #touched = new Map<string, Map<string, Row | undefined>>();

  constructor(base: Tables) {
    this.#base = base;
  }

  get(table: string, uuid: string): Row | undefined {
    const touched = this.#touched.get(table);
    return touched?.has(uuid) ? touched.get(uuid) : this.#base.get(table)!.get(uuid);
  }

  before(table: string, uuid: string): Row | undefined {
    return this.#base.get(table)!.get(uuid);
  }

  *rows(table: string): Iterable<Row> {
    const touched = this.#touched.get(table);
    for (const row of this.#base.get(table)!.values()) if (!touched?.has(row._uuid)) yield row;
    for (const row of touched?.values() ?? []) if (row) yield row;
  }

  put(table: string, row: Row): void {
    this.#of(table).set(row._uuid, { ...row, _version: randomUUID() });
  }

  remove(table: string, uuid: string): void {
    this.#of(table).set(uuid, undefined);
  }

  /** Rows touched so far. A row may be named again after it was changed again; look it up by `get`. */
  *touched(): Iterable<{ table: string; uuid: string; before: Row | undefined; after: Row | undefined }> {
    for (const [table, rows] of this.#touched) {
      for (const [uuid, after] of rows) yield { table, uuid, before: this.before(table, uuid), after };
    }
  }

  #of(table: string): Map<string, Row | undefined> {
    let rows = this.#touched.get(table);
    if (!rows) {
      rows = new Map();
      this.#touched.set(table, rows);
    }
    return rows;
  }
}

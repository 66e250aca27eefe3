/** monitor_cond: which rows and columns a session watches, and the update2 it is sent (ovsdb-server(7), 4.1.12). */
import type { TableSchema } from '../../protocols/ovsdb/schema.ts';
import { defaultValue, difference, type Row, sameValue } from '../../protocols/ovsdb/value.ts';
import { emit, Refusal } from './atom.ts';
import { columnIn, parseWhere } from './condition.ts';
import type { Change, FakeDatabase } from './database.ts';

interface Watch {
  table: TableSchema;
  columns: string[];
  select: { initial: boolean; insert: boolean; delete: boolean; modify: boolean };
  test: (row: Row) => boolean;
}

type Updates = Record<string, Record<string, unknown>>;

export class Monitor {
  readonly #database: FakeDatabase;
  readonly #watches: Watch[] = [];

  constructor(database: FakeDatabase, requests: unknown) {
    this.#database = database;
    for (const [name, given] of Object.entries((requests ?? {}) as Record<string, unknown>)) {
      const table = database.schema.tables.get(name);
      if (!table) throw new Refusal('syntax error', `no table named ${name}`);
      for (const request of Array.isArray(given) ? given : [given]) this.#watches.push(watch(table, request));
    }
  }

  snapshot(): Updates {
    const updates: Updates = {};
    for (const { table, columns, select, test } of this.#watches) {
      if (!select.initial) continue;
      for (const row of this.#database.rows(table.name).values()) {
        if (test(row)) merge(updates, table.name, row._uuid, 'initial', whole(table, row, columns));
      }
    }
    return updates;
  }

  /** Undefined when nothing of it is watched. */
  updates(changes: readonly Change[]): Updates | undefined {
    const updates: Updates = {};
    for (const change of changes) {
      for (const each of this.#watches) if (each.table.name === change.table) this.#add(updates, each, change);
    }
    return Object.keys(updates).length > 0 ? updates : undefined;
  }

  #add(updates: Updates, { table, columns, select, test }: Watch, { uuid, before, after }: Change): void {
    const was = before !== undefined && test(before);
    const is = after !== undefined && test(after);
    if (was && is) {
      if (!select.modify) return;
      const modified: Record<string, unknown> = {};
      for (const column of columns) {
        if (sameValue(before[column]!, after[column]!)) continue;
        const type = columnIn(table, column);
        modified[column] = emit(type, difference(type, before[column]!, after[column]!));
      }
      if (Object.keys(modified).length > 0) merge(updates, table.name, uuid, 'modify', modified);
    } else if (is && select.insert) merge(updates, table.name, uuid, 'insert', whole(table, after, columns));
    else if (was && select.delete) merge(updates, table.name, uuid, 'delete', null);
  }
}

function watch(table: TableSchema, request: unknown): Watch {
  const { columns, where, select } = (request ?? {}) as { columns?: string[]; where?: unknown; select?: object };
  for (const column of columns ?? []) columnIn(table, column);
  const conditions = Array.isArray(where) ? where : [];
  const tests = conditions.map((clause) => parseWhere(table, [clause], refuseName).test);
  return {
    table,
    columns: columns ?? ['_version', ...table.columns.keys()],
    select: { initial: true, insert: true, delete: true, modify: true, ...select },
    // Unlike in a transaction, the clauses of a monitor are alternatives.
    test: (row) => tests.length === 0 || tests.some((test) => test(row)),
  };
}

const refuseName = () => {
  throw new Refusal('syntax error', 'named-uuid in a monitor');
};

function whole(table: TableSchema, row: Row, columns: readonly string[]): Record<string, unknown> {
  const wire: Record<string, unknown> = {};
  for (const column of columns) {
    const type = columnIn(table, column);
    if (!sameValue(row[column]!, defaultValue(type))) wire[column] = emit(type, row[column]!);
  }
  return wire;
}

function merge(updates: Updates, table: string, uuid: string, kind: string, row: Record<string, unknown> | null): void {
  updates[table] ??= {};
  const sent = (updates[table][uuid] as Record<string, object> | undefined)?.[kind];
  updates[table][uuid] = { [kind]: row === null ? null : { ...sent, ...row } };
}

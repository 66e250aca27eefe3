/** The operations of RFC 7047, section 5.2, on a draft. What a commit checks is in commit.ts. */
import { randomUUID } from 'node:crypto';
import type { ColumnType, DatabaseSchema, TableSchema } from '../../protocols/ovsdb/schema.ts';
import { type Atom, canonical, defaultValue, type Row, sameValue, type Value } from '../../protocols/ovsdb/value.ts';
import { checkCount, checkLimits, emitRow, Refusal, type Resolve, valueFrom } from './atom.ts';
import { columnIn, parseWhere } from './condition.ts';
import type { Draft } from './draft.ts';

export type WireOperation = Record<string, unknown>;

export class Execution {
  readonly #schema: DatabaseSchema;
  readonly #draft: Draft;
  readonly #names = new Map<string, string>();
  readonly #inserted = new Set<string>();
  /** The longest that a failed `wait` may still be repeated. */
  waitMs = 0;

  constructor(schema: DatabaseSchema, draft: Draft) {
    this.#schema = schema;
    this.#draft = draft;
  }

  run(operation: WireOperation): unknown {
    switch (operation.op) {
      case 'insert':
        return this.#insert(operation);
      case 'select':
        return this.#select(operation);
      case 'update':
        return this.#update(operation);
      case 'mutate':
        return this.#mutate(operation);
      case 'delete':
        return this.#delete(operation);
      case 'wait':
        return this.#wait(operation);
      case 'comment':
      case 'commit':
        return {};
      case 'abort':
        throw new Refusal('aborted', 'aborted by request');
      default:
        throw new Refusal('syntax error', `No operation ${String(operation.op)}`);
    }
  }

  readonly #resolve: Resolve = (name) => {
    const uuid = this.#names.get(name) ?? randomUUID();
    this.#names.set(name, uuid);
    return uuid;
  };

  #table(operation: WireOperation): TableSchema {
    const table = this.#schema.tables.get(String(operation.table));
    if (!table) throw new Refusal('syntax error', `No table named ${String(operation.table)}.`);
    return table;
  }

  #values(table: TableSchema, wire: unknown): [string, Value][] {
    if (wire === null || typeof wire !== 'object') throw new Refusal('syntax error', '"row" is no object');
    return Object.entries(wire).map(([name, value]) => {
      if (name === '_uuid' || name === '_version') {
        throw new Refusal('constraint violation', `Column ${name} may not be written.`);
      }
      return [name, valueFrom(columnIn(table, name), value, this.#resolve)];
    });
  }

  #matching(table: TableSchema, operation: WireOperation): Row[] {
    const where = parseWhere(table, operation.where, this.#resolve);
    if (where.uuid !== undefined) {
      const row = this.#draft.get(table.name, where.uuid);
      return row && where.test(row) ? [row] : [];
    }
    return [...this.#draft.rows(table.name)].filter(where.test);
  }

  #insert(operation: WireOperation): unknown {
    const table = this.#table(operation);
    const name = operation['uuid-name'];
    let uuid = typeof operation.uuid === 'string' ? operation.uuid : randomUUID();
    if (typeof name === 'string') {
      if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) throw new Refusal('syntax error', 'uuid-name is no <id>');
      if (this.#inserted.has(name)) {
        throw new Refusal('duplicate uuid-name', `"${name}" was used by an earlier insert`);
      }
      uuid = this.#resolve(name);
      this.#inserted.add(name);
    }
    const row: Record<string, Value> = { _uuid: uuid };
    for (const [column, type] of table.columns) row[column] = defaultValue(type);
    for (const [column, value] of this.#values(table, operation.row ?? {})) row[column] = value;
    // Also columns that were not given must hold what their type allows: an enumeration has no default.
    for (const [column, type] of table.columns) checkLimits(type, row[column]!);
    this.#draft.put(table.name, row as Row);
    return { uuid: ['uuid', uuid] };
  }

  #select(operation: WireOperation): unknown {
    const table = this.#table(operation);
    const all = ['_uuid', '_version', ...table.columns.keys()];
    const columns = Array.isArray(operation.columns) ? (operation.columns as string[]) : all;
    for (const column of columns) columnIn(table, column);
    return { rows: this.#matching(table, operation).map((row) => emitRow(table, row, columns)) };
  }

  #update(operation: WireOperation): unknown {
    const table = this.#table(operation);
    const values = this.#values(table, operation.row);
    for (const [column] of values) refuseImmutable(table, column);
    const rows = this.#matching(table, operation);
    for (const row of rows) {
      const changed = values.filter(([column, value]) => !sameValue(row[column]!, value));
      if (changed.length > 0) this.#draft.put(table.name, { ...row, ...Object.fromEntries(changed) } as Row);
    }
    return { count: rows.length };
  }

  #mutate(operation: WireOperation): unknown {
    const table = this.#table(operation);
    if (!Array.isArray(operation.mutations)) throw new Refusal('syntax error', '"mutations" is no array');
    const mutations = (operation.mutations as [string, string, unknown][]).map(([column, mutator, wire]) => {
      const type = columnIn(table, column);
      refuseImmutable(table, column);
      return { column, type, mutate: this.#mutation(type, mutator, wire) };
    });
    const rows = this.#matching(table, operation);
    for (const row of rows) {
      const next: Record<string, Value> = { ...row };
      for (const { column, type, mutate } of mutations) next[column] = checkCount(type, mutate(next[column]!));
      if (mutations.some(({ column }) => !sameValue(row[column]!, next[column]!))) {
        this.#draft.put(table.name, next as Row);
      }
    }
    return { count: rows.length };
  }

  #mutation(type: ColumnType, mutator: string, wire: unknown): (value: Value) => Value {
    if (mutator === 'insert' || mutator === 'delete') return this.#membership(type, mutator, wire);
    if (type.kind === 'map' || (type.key.type !== 'integer' && type.key.type !== 'real')) {
      throw new Refusal('syntax error', `mutator ${mutator} needs numbers`);
    }
    const operand = valueFrom({ ...type, kind: 'one', min: 1, max: 1, key: { type: type.key.type } }, wire, () => '');
    return (value) => {
      const change = (atom: Atom) => arithmetic(mutator, type, atom as number, operand as number);
      if (Array.isArray(value)) return canonical(type, value.map(change));
      return value === null ? null : change(value as Atom);
    };
  }

  #membership(type: ColumnType, mutator: 'insert' | 'delete', wire: unknown): (value: Value) => Value {
    if (type.kind === 'one') throw new Refusal('syntax error', `mutator ${mutator} needs a set or a map`);
    const keysOnly = type.kind === 'map' && !(Array.isArray(wire) && wire[0] === 'map');
    if (keysOnly && mutator === 'insert') throw new Refusal('syntax error', 'expected map');
    const any = { ...type, min: 0, max: Number.POSITIVE_INFINITY };
    const setType: ColumnType = { ...any, kind: 'set', value: undefined };
    if (type.kind === 'map') {
      const given = valueFrom(keysOnly ? setType : any, wire, this.#resolve);
      return (value) => {
        const pairs = new Map(Object.entries(value as Record<string, Atom>));
        if (keysOnly) for (const key of given as Atom[]) pairs.delete(String(key));
        else {
          for (const [key, atom] of Object.entries(given as Record<string, Atom>)) {
            // A pair whose key is already there is not replaced (RFC 7047, section 5.1).
            if (mutator === 'insert') pairs.set(key, pairs.get(key) ?? atom);
            else if (pairs.get(key) === atom) pairs.delete(key);
          }
        }
        return canonical(type, Object.fromEntries(pairs));
      };
    }
    const given = valueFrom(setType, wire, this.#resolve) as Atom[];
    return (value) => {
      const now = new Set(value === null ? [] : Array.isArray(value) ? (value as Atom[]) : [value as Atom]);
      for (const atom of given) mutator === 'insert' ? now.add(atom) : now.delete(atom);
      if (now.size > type.max) throw new Refusal('constraint violation', 'too many values');
      return canonical(type, type.kind === 'set' ? [...now] : ([...now][0] ?? null));
    };
  }

  #delete(operation: WireOperation): unknown {
    const table = this.#table(operation);
    const rows = this.#matching(table, operation);
    for (const row of rows) this.#draft.remove(table.name, row._uuid);
    return { count: rows.length };
  }

  #wait(operation: WireOperation): unknown {
    const table = this.#table(operation);
    const columns = (operation.columns as string[] | undefined) ?? [...table.columns.keys()];
    const types = columns.map((name) => [name, columnIn(table, name)] as const);
    const wanted = (operation.rows as Record<string, unknown>[]).map((wire) =>
      JSON.stringify(
        types.map(([name, type]) => (name in wire ? valueFrom(type, wire[name], this.#resolve) : defaultValue(type))),
      ),
    );
    const found = this.#matching(table, operation).map((row) => JSON.stringify(columns.map((name) => row[name])));
    const [a, b] = [new Set(wanted), new Set(found)];
    const equal = a.size === b.size && [...a].every((row) => b.has(row));
    if (equal === (operation.until === '==')) return {};
    this.waitMs = typeof operation.timeout === 'number' ? operation.timeout : Number.POSITIVE_INFINITY;
    throw new Refusal('timed out', '"where" clause test failed');
  }
}

function refuseImmutable(table: TableSchema, column: string): void {
  if (columnIn(table, column).mutable) return;
  throw new Refusal('constraint violation', `Cannot change immutable column ${column} in table ${table.name}.`);
}

function arithmetic(mutator: string, type: ColumnType, a: number, b: number): number {
  if ((mutator === '/=' || mutator === '%=') && b === 0) throw new Refusal('domain error', 'Division by zero.');
  const result = { '+=': a + b, '-=': a - b, '*=': a * b, '/=': a / b, '%=': a % b }[mutator];
  if (result === undefined) throw new Refusal('syntax error', `no mutator ${mutator}`);
  if (type.key.type === 'real') return result;
  const whole = Math.trunc(result);
  if (whole < (type.key.minInteger ?? -(2 ** 63)) || whole > (type.key.maxInteger ?? 2 ** 63)) {
    throw new Refusal('constraint violation', 'Result of the mutation is out of range.');
  }
  return whole;
}

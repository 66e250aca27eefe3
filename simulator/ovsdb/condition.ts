/** The "where" of RFC 7047, section 5.1. */
import { type ColumnType, type TableSchema, uuidColumn } from '../../protocols/ovsdb/schema.ts';
import { type Atom, type Row, sameValue, type Value } from '../../protocols/ovsdb/value.ts';
import { Refusal, type Resolve, valueFrom } from './atom.ts';

export interface Where {
  test: (row: Row) => boolean;
  /** The only row that can match, where the conditions name one. */
  uuid: string | undefined;
}

export function columnIn(table: TableSchema, name: unknown): ColumnType {
  if (name === '_uuid' || name === '_version') return uuidColumn;
  const type = typeof name === 'string' ? table.columns.get(name) : undefined;
  if (!type) throw new Refusal('unknown column', `No column ${String(name)} in table ${table.name}.`);
  return type;
}

export function parseWhere(table: TableSchema, wire: unknown, resolve: Resolve): Where {
  if (!Array.isArray(wire)) throw new Refusal('syntax error', '"where" is no array');
  const tests = wire.map((clause) => parseClause(table, clause, resolve));
  const named = tests.find((test) => test.uuid !== undefined);
  return { test: (row) => tests.every(({ test }) => test(row)), uuid: named?.uuid };
}

function parseClause(table: TableSchema, clause: unknown, resolve: Resolve): Where {
  if (typeof clause === 'boolean') return { test: () => clause, uuid: undefined };
  if (!Array.isArray(clause) || clause.length !== 3) throw new Refusal('syntax error', 'malformed condition');
  const [name, fn, wire] = clause as [string, string, unknown];
  const column = columnIn(table, name);
  // A condition may give a set or map of any size.
  const type = column.kind === 'set' || column.kind === 'map' ? { ...column, min: 0 } : column;
  const given = valueFrom(type, wire, resolve);
  const test = comparison(fn, column, given);
  return { test: (row) => test(row[name]!), uuid: name === '_uuid' && fn === '==' ? String(given) : undefined };
}

function comparison(fn: string, column: ColumnType, given: Value): (value: Value) => boolean {
  switch (fn) {
    case '==':
      return (value) => sameValue(value, given);
    case '!=':
      return (value) => !sameValue(value, given);
    case 'includes':
      return (value) => includes(value, given);
    case 'excludes':
      return (value) => !overlaps(value, given);
    case '<':
    case '<=':
    case '>':
    case '>=':
      return ordered(fn, column, given);
    default:
      throw new Refusal('syntax error', `no condition function ${fn}`);
  }
}

function ordered(fn: '<' | '<=' | '>' | '>=', column: ColumnType, given: Value): (value: Value) => boolean {
  if ((column.key.type !== 'integer' && column.key.type !== 'real') || column.max !== 1) {
    throw new Refusal('syntax error', `${fn} needs a number`);
  }
  return (value) => {
    if (value === null) return false;
    const [a, b] = [value as number, given as number];
    return fn === '<' ? a < b : fn === '<=' ? a <= b : fn === '>' ? a > b : a >= b;
  };
}

const members = (value: Value): readonly Atom[] =>
  value === null ? [] : Array.isArray(value) ? (value as Atom[]) : [value as Atom];

const isMap = (value: Value): value is Readonly<Record<string, Atom>> =>
  value !== null && typeof value === 'object' && !Array.isArray(value);

function includes(value: Value, given: Value): boolean {
  if (isMap(value) && isMap(given)) return Object.entries(given).every(([key, atom]) => value[key] === atom);
  return members(given).every((atom) => members(value).includes(atom));
}

function overlaps(value: Value, given: Value): boolean {
  if (isMap(value) && isMap(given)) return Object.entries(given).some(([key, atom]) => value[key] === atom);
  return members(given).some((atom) => members(value).includes(atom));
}

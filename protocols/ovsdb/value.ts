/**
 * Values between the wire's notation and plain JavaScript, driven by the column's type:
 *   one → atom; optional → atom or null; set → sorted array; map → record with sorted keys; uuid → its string.
 * Both directions are canonical (sorted), so equal contents are deeply equal and compare by `sameValue`.
 */
import { OvsdbError } from './errors.ts';
import type { ColumnType, RawBaseType, TableSchema } from './schema.ts';
import { columnOf } from './schema.ts';

export type Atom = string | number | boolean;
export type Value = Atom | null | readonly Atom[] | Readonly<Record<string, Atom>>;
/** A row as it is read. */
export type Row = Readonly<{ _uuid: string } & Record<string, Value>>;
/** Columns as they are written. References are UUIDs, or names given to rows inserted in the same transaction. */
export type Columns = Readonly<Record<string, Value | undefined>>;
export type Wire = unknown;

const uuidForm = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
export const isUuid = (text: string): boolean => uuidForm.test(text);

const order = (a: Atom, b: Atom): number => (a < b ? -1 : a > b ? 1 : 0);

// --- from the wire ---------------------------------------------------------------------------------------------------

function atomFrom(wire: Wire): Atom {
  if (Array.isArray(wire)) {
    const [tag, id] = wire as [unknown, unknown];
    if ((tag === 'uuid' || tag === 'named-uuid') && typeof id === 'string') return id;
  } else if (typeof wire === 'string' || typeof wire === 'number' || typeof wire === 'boolean') return wire;
  throw new OvsdbError('protocol', `OVSDB sent a malformed atom: ${JSON.stringify(wire)?.slice(0, 80)}`);
}

function elementsFrom(wire: Wire): Atom[] {
  if (Array.isArray(wire) && wire[0] === 'set' && Array.isArray(wire[1])) return wire[1].map(atomFrom).sort(order);
  return [atomFrom(wire)];
}

function pairsFrom(wire: Wire): [string, Atom][] {
  if (Array.isArray(wire) && wire[0] === 'map' && Array.isArray(wire[1])) {
    return wire[1].map((pair): [string, Atom] => [String(atomFrom(pair[0])), atomFrom(pair[1])]);
  }
  throw new OvsdbError('protocol', `OVSDB sent a malformed map: ${JSON.stringify(wire)?.slice(0, 80)}`);
}

export function fromWire(type: ColumnType, wire: Wire): Value {
  if (type.kind === 'map') return record(pairsFrom(wire));
  const elements = elementsFrom(wire);
  if (type.kind === 'set') return elements;
  if (type.kind === 'optional') return elements[0] ?? null;
  if (elements.length !== 1) throw new OvsdbError('protocol', 'OVSDB sent a set where one value belongs');
  return elements[0]!;
}

function record(pairs: [string, Atom][]): Record<string, Atom> {
  pairs.sort(([a], [b]) => order(a, b));
  // fromEntries defines, it does not assign: a key may be called __proto__.
  return Object.fromEntries(pairs);
}

// --- to the wire -----------------------------------------------------------------------------------------------------

function atomTo(base: RawBaseType, atom: Atom): Wire {
  if (base.type === 'uuid') return isUuid(String(atom)) ? ['uuid', atom] : ['named-uuid', atom];
  if (base.type === 'integer' || base.type === 'real') return Number(atom);
  // ovsdb-server refuses NUL and lone surrogates; neither can come out of PostgreSQL, a caller's mistake must not
  // end the session.
  if (base.type === 'string') return String(atom).toWellFormed().replaceAll('\0', '\ufffd');
  return atom;
}

export function toWire(type: ColumnType, value: Value): Wire {
  if (type.kind === 'map') {
    const pairs = Object.entries((value ?? {}) as Record<string, Atom>).sort(([a], [b]) => order(a, b));
    return ['map', pairs.map(([k, v]) => [atomTo(type.key, k), atomTo(type.value!, v)])];
  }
  if (value === null) return ['set', []];
  if (Array.isArray(value)) return ['set', [...(value as Atom[])].sort(order).map((atom) => atomTo(type.key, atom))];
  return atomTo(type.key, value as Atom);
}

/** Columns whose value is undefined are left out. */
export function rowToWire(table: TableSchema, columns: Columns): Record<string, Wire> {
  const row: Record<string, Wire> = {};
  for (const [name, value] of Object.entries(columns)) {
    if (value !== undefined) row[name] = toWire(columnOf(table, name), value);
  }
  return row;
}

// --- defaults, comparison, update2 differences -----------------------------------------------------------------------

const zero = { integer: 0, real: 0, boolean: false, string: '', uuid: '00000000-0000-0000-0000-000000000000' } as const;

export function defaultValue(type: ColumnType): Value {
  if (type.kind === 'map') return record([]);
  if (type.kind === 'set') return type.min === 0 ? [] : [zero[type.key.type]];
  return type.kind === 'optional' ? null : zero[type.key.type];
}

/** The form in which `fromWire` would give it: sorted, null for no value. */
export function canonical(type: ColumnType, value: Value): Value {
  if (type.kind === 'map') return record(Object.entries((value ?? {}) as Record<string, Atom>));
  const list = value === null ? [] : Array.isArray(value) ? [...(value as Atom[])] : [value as Atom];
  if (type.kind === 'set') return [...new Set(list)].sort(order);
  return list[0] ?? null;
}

/** Compares canonical values. */
export function sameValue(a: Value, b: Value): boolean {
  if (a === b) return true;
  if (a === null || b === null || typeof a !== 'object' || typeof b !== 'object') return false;
  // Sets have thousands of elements (the ports of a group), and are compared all the time.
  if (Array.isArray(a)) return Array.isArray(b) && a.length === b.length && a.every((atom, n) => atom === b[n]);
  const [left, right] = [Object.entries(a), Object.entries(b)];
  return left.length === right.length && left.every(([k, v], i) => k === right[i]![0] && v === right[i]![1]);
}

/**
 * What update2 sends for a changed column. Columns that hold at most one value come whole. Of sets come the elements
 * on either side only; of maps the pairs that are new or changed with their new value, removed ones with their old.
 */
export function difference(type: ColumnType, before: Value, after: Value): Value {
  if (type.max <= 1) return after;
  if (type.kind !== 'map') return symmetric(before as Atom[], after as Atom[]);
  const [old, now] = [before as Record<string, Atom>, after as Record<string, Atom>];
  const pairs = Object.entries(now).filter(([key, value]) => old[key] !== value);
  return record([...pairs, ...Object.entries(old).filter(([key]) => !Object.hasOwn(now, key))]);
}

/** The inverse of `difference`. */
export function applyDifference(type: ColumnType, before: Value, change: Value): Value {
  if (type.max <= 1) return change;
  if (type.kind !== 'map') return symmetric(before as Atom[], change as Atom[]);
  const result = new Map(Object.entries(before as Record<string, Atom>));
  for (const [key, value] of Object.entries(change as Record<string, Atom>)) {
    if (result.get(key) === value) result.delete(key);
    else result.set(key, value);
  }
  return record([...result]);
}

/** What only one of two sorted lists has, sorted. */
function symmetric(a: readonly Atom[], b: readonly Atom[]): Atom[] {
  const result: Atom[] = [];
  let [m, n] = [0, 0];
  while (m < a.length && n < b.length) {
    const which = order(a[m]!, b[n]!);
    if (which < 0) result.push(a[m++]!);
    else if (which > 0) result.push(b[n++]!);
    else [m, n] = [m + 1, n + 1];
  }
  for (; m < a.length; m++) result.push(a[m]!);
  for (; n < b.length; n++) result.push(b[n]!);
  return result;
}

// --- reading a column of a row ---------------------------------------------------------------------------------------

const wrong = (row: Row, column: string): never => {
  throw new OvsdbError('protocol', `column ${column} of row ${row._uuid} is not of the expected type`);
};
export const text = (row: Row, column: string): string => {
  const value = row[column];
  return typeof value === 'string' ? value : wrong(row, column);
};
export const integer = (row: Row, column: string): number => {
  const value = row[column];
  return typeof value === 'number' ? value : wrong(row, column);
};
export const list = (row: Row, column: string): readonly string[] => {
  const value = row[column];
  return Array.isArray(value) ? (value as string[]) : wrong(row, column);
};
export const map = (row: Row, column: string): Readonly<Record<string, string>> => {
  const value = row[column];
  return value !== null && typeof value === 'object' && !Array.isArray(value)
    ? (value as Record<string, string>)
    : wrong(row, column);
};

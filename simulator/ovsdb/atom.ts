/** Values as clients send them, checked: form and type ('syntax error'), limits of the column ('constraint violation'). */
import type { ColumnType, RawBaseType, TableSchema } from '../../protocols/ovsdb/schema.ts';
import { type Atom, canonical, isUuid, type Row, toWire, type Value } from '../../protocols/ovsdb/value.ts';

/** An answer to an operation, or to a commit, that refuses it. */
export class Refusal extends Error {
  readonly tag: string;
  constructor(tag: string, details: string) {
    super(details);
    this.tag = tag;
  }
}

/** Turns a name given in the same transaction into its UUID. */
export type Resolve = (name: string) => string;

const syntax = (details: string) => new Refusal('syntax error', details);

function atomFrom(base: RawBaseType, wire: unknown, resolve: Resolve): Atom {
  switch (base.type) {
    case 'integer':
      if (!Number.isInteger(wire)) throw syntax('expected integer');
      return limited(base, wire as number);
    case 'real':
      if (typeof wire !== 'number') throw syntax('expected number');
      return wire;
    case 'boolean':
      if (typeof wire !== 'boolean') throw syntax('expected boolean');
      return wire;
    case 'string':
      if (typeof wire !== 'string') throw syntax('expected string');
      return limited(base, wire);
    case 'uuid': {
      const [tag, id] = Array.isArray(wire) ? wire : [];
      if (tag === 'named-uuid' && typeof id === 'string') return resolve(id);
      if (tag === 'uuid' && typeof id === 'string' && isUuid(id)) return id;
      throw syntax('expected uuid');
    }
  }
}

function limited<T extends string | number>(base: RawBaseType, atom: T): T {
  const refuse = (why: string) => new Refusal('constraint violation', `${JSON.stringify(atom)} ${why}`);
  if (base.enum !== undefined) {
    const allowed = Array.isArray(base.enum) ? (base.enum[1] as unknown[]) : [base.enum];
    if (!allowed.includes(atom)) throw refuse('is not one of the allowed values');
  }
  if (typeof atom === 'number') {
    if (atom < (base.minInteger ?? Number.NEGATIVE_INFINITY)) throw refuse('is less than the minimum');
    if (atom > (base.maxInteger ?? Number.POSITIVE_INFINITY)) throw refuse('is more than the maximum');
  } else if ([...String(atom)].length > (base.maxLength ?? Number.POSITIVE_INFINITY)) throw refuse('is too long');
  return atom;
}

export function valueFrom(type: ColumnType, wire: unknown, resolve: Resolve): Value {
  const [tag, elements] = Array.isArray(wire) ? (wire as [unknown, unknown]) : [];
  if (type.kind === 'map') {
    if (tag !== 'map' || !Array.isArray(elements)) throw syntax('expected map');
    const pairs = elements.map((pair): [string, Atom] => {
      if (!Array.isArray(pair) || pair.length !== 2) throw syntax('expected pair');
      return [String(atomFrom(type.key, pair[0], resolve)), atomFrom(type.value!, pair[1], resolve)];
    });
    if (new Set(pairs.map(([key]) => key)).size < pairs.length) throw syntax('map contains duplicate key');
    return checkCount(type, canonical(type, Object.fromEntries(pairs)));
  }
  const isSet = tag === 'set' && Array.isArray(elements);
  const atoms = (isSet ? elements : [wire]).map((element) => atomFrom(type.key, element, resolve));
  if (new Set(atoms).size < atoms.length) throw syntax('set contains duplicate');
  if (atoms.length > type.max || atoms.length < type.min) {
    throw syntax(`${atoms.length} values where ${type.min} to ${type.max} belong`);
  }
  return canonical(type, type.kind === 'set' ? atoms : (atoms[0] ?? null));
}

export function checkLimits(type: ColumnType, value: Value): void {
  if (type.kind === 'one' && (typeof value === 'string' || typeof value === 'number')) limited(type.key, value);
}

export function countOf(value: Value): number {
  if (value === null) return 0;
  return typeof value === 'object' ? Object.keys(value).length : 1;
}

export function checkCount(type: ColumnType, value: Value): Value {
  const count = countOf(value);
  if (count >= type.min && count <= type.max) return value;
  throw new Refusal('constraint violation', `${count} values where ${type.min} to ${type.max} belong`);
}

/** As ovsdb-server writes it: a set of one element is written as the bare element. */
export function emit(type: ColumnType, value: Value): unknown {
  if (Array.isArray(value) && value.length === 1) return toWire({ ...type, kind: 'one' }, value[0] as Atom);
  return toWire(type, value);
}

export function emitRow(table: TableSchema, row: Row, columns: Iterable<string>): Record<string, unknown> {
  const wire: Record<string, unknown> = {};
  for (const column of columns) {
    if (column === '_uuid' || column === '_version') wire[column] = ['uuid', row[column]];
    else wire[column] = emit(table.columns.get(column)!, row[column]!);
  }
  return wire;
}

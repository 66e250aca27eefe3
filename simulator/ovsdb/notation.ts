/**
 * A compact way to write OVSDB schemas. A column is one line:
 *   string            exactly one atom (integer, real, boolean, string, uuid)
 *   string?           none or one          string*    a set
 *   string:string*    a map                integer 0..255?   with bounds (either may be left out)
 *   ->Table*          strong references    ~>Table?   weak references
 *   string{a,b}?      one of the named values   string <=63   of limited length
 * A trailing ! marks a column that may not change after insert.
 */
import type { RawBaseType, RawColumn, RawSchema, RawTable, RawType } from '../../protocols/ovsdb/schema.ts';

export interface TableNotation {
  columns: Record<string, string>;
  root?: boolean;
  maxRows?: number;
  unique?: string[][];
}

export function schema(name: string, version: string, tables: Record<string, TableNotation>): RawSchema {
  return { name, version, tables: Object.fromEntries(Object.entries(tables).map(([t, n]) => [t, table(n)])) };
}

function table(notation: TableNotation): RawTable {
  return {
    columns: Object.fromEntries(Object.entries(notation.columns).map(([c, text]) => [c, column(text)])),
    isRoot: notation.root === true,
    ...(notation.maxRows ? { maxRows: notation.maxRows } : {}),
    ...(notation.unique ? { indexes: notation.unique } : {}),
  };
}

function column(text: string): RawColumn {
  const immutable = text.endsWith('!');
  let rest = immutable ? text.slice(0, -1) : text;
  const count = /[?*+]$/.exec(rest)?.[0];
  if (count) rest = rest.slice(0, -1);
  const colon = rest.indexOf(':');
  const type: RawType = { key: base(colon < 0 ? rest : rest.slice(0, colon)) };
  if (colon >= 0) type.value = base(rest.slice(colon + 1));
  if (count) type.min = count === '+' ? 1 : 0;
  if (count === '*' || count === '+') type.max = 'unlimited';
  return { type, ...(immutable ? { mutable: false } : {}) };
}

function base(text: string): RawBaseType {
  if (text.startsWith('->')) return { type: 'uuid', refTable: text.slice(2), refType: 'strong' };
  if (text.startsWith('~>')) return { type: 'uuid', refTable: text.slice(2), refType: 'weak' };
  const parts = /^(integer|real|boolean|string|uuid)(?:\{(.*)\})?(?: (-?\d*)\.\.(-?\d*))?(?: <=(\d+))?$/.exec(text);
  if (!parts) throw new Error(`cannot read the column notation "${text}"`);
  const [, type, values, low, high, length] = parts;
  return {
    type: type as RawBaseType['type'],
    ...(values
      ? { enum: ['set', values.split(',').map((value) => (type === 'integer' ? Number(value) : value))] }
      : {}),
    ...(low ? { minInteger: Number(low) } : {}),
    ...(high ? { maxInteger: Number(high) } : {}),
    ...(length ? { maxLength: Number(length) } : {}),
  };
}

/** Database schemas as get_schema answers them (RFC 7047, section 3.2), and the same in a form that is easy to use. */
import { OvsdbError } from './errors.ts';

export type AtomicType = 'integer' | 'real' | 'boolean' | 'string' | 'uuid';

export interface RawBaseType {
  type: AtomicType;
  enum?: unknown;
  minInteger?: number;
  maxInteger?: number;
  minReal?: number;
  maxReal?: number;
  minLength?: number;
  maxLength?: number;
  refTable?: string;
  refType?: 'strong' | 'weak';
}

export interface RawType {
  key: AtomicType | RawBaseType;
  value?: AtomicType | RawBaseType;
  min?: number;
  max?: number | 'unlimited';
}

export interface RawColumn {
  type: AtomicType | RawType;
  ephemeral?: boolean;
  mutable?: boolean;
}

export interface RawTable {
  columns: Record<string, RawColumn>;
  maxRows?: number;
  isRoot?: boolean;
  indexes?: string[][];
}

export interface RawSchema {
  name: string;
  version: string;
  cksum?: string;
  tables: Record<string, RawTable>;
}

/** one: exactly one atom; optional: none or one (null or the atom); set: array; map: record. */
export type ColumnKind = 'one' | 'optional' | 'set' | 'map';

export interface ColumnType {
  kind: ColumnKind;
  key: RawBaseType;
  value: RawBaseType | undefined;
  min: number;
  max: number;
  mutable: boolean;
}

export interface TableSchema {
  name: string;
  isRoot: boolean;
  maxRows: number;
  indexes: string[][];
  columns: ReadonlyMap<string, ColumnType>;
}

export interface DatabaseSchema {
  name: string;
  version: string;
  tables: ReadonlyMap<string, TableSchema>;
}

export function parseSchema(raw: RawSchema): DatabaseSchema {
  // RFC 7047: a schema in which no table is marked as root is one in which all are.
  const allRoot = !Object.values(raw.tables).some((table) => table.isRoot);
  const tables = new Map<string, TableSchema>();
  for (const [name, table] of Object.entries(raw.tables)) {
    const columns = new Map(Object.entries(table.columns).map(([column, c]) => [column, parseColumn(c)]));
    tables.set(name, {
      name,
      isRoot: allRoot || table.isRoot === true,
      maxRows: table.maxRows ?? Number.POSITIVE_INFINITY,
      indexes: table.indexes ?? [],
      columns,
    });
  }
  return { name: raw.name, version: raw.version, tables };
}

function parseColumn(raw: RawColumn): ColumnType {
  const type: RawType = typeof raw.type === 'string' ? { key: raw.type } : raw.type;
  const min = type.min ?? 1;
  const max = type.max === 'unlimited' ? Number.POSITIVE_INFINITY : (type.max ?? 1);
  const value = type.value === undefined ? undefined : base(type.value);
  const kind = value ? 'map' : max > 1 ? 'set' : min === 0 ? 'optional' : 'one';
  return { kind, key: base(type.key), value, min, max, mutable: raw.mutable !== false };
}

const base = (type: AtomicType | RawBaseType): RawBaseType => (typeof type === 'string' ? { type } : type);

export const uuidColumn: ColumnType = {
  kind: 'one',
  key: { type: 'uuid' },
  value: undefined,
  min: 1,
  max: 1,
  mutable: false,
};

export function tableOf(schema: DatabaseSchema, name: string): TableSchema {
  const table = schema.tables.get(name);
  if (!table) throw new OvsdbError('protocol', `OVSDB ${schema.name} ${schema.version} has no table ${name}`);
  return table;
}

export function columnOf(table: TableSchema, name: string): ColumnType {
  const column = name === '_uuid' || name === '_version' ? uuidColumn : table.columns.get(name);
  if (!column) throw new OvsdbError('protocol', `OVSDB table ${table.name} has no column ${name}`);
  return column;
}

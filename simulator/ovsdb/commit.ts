/**
 * What ovsdb-server checks and does when a transaction commits, in its order: strong references must exist; rows of
 * non-root tables that nothing references are collected; weak references to rows that are gone vanish; then row counts
 * and unique indexes. Costs only what the transaction touches.
 */
import type { DatabaseSchema, RawBaseType, TableSchema } from '../../protocols/ovsdb/schema.ts';
import { type Atom, canonical, type Row, type Value } from '../../protocols/ovsdb/value.ts';
import { countOf, Refusal } from './atom.ts';
import type { Draft } from './draft.ts';

interface Reference {
  strong: boolean;
  table: string;
  uuid: string;
}

/** Those of `value` that `other` has not: of a set of a thousand ports one is news, as a rule. */
function* referencesIn(value: Value, base: RawBaseType, keys: boolean, other: Value | undefined): Iterable<Reference> {
  if (base.type !== 'uuid' || !base.refTable || value === null || value === other) return;
  const strong = base.refType !== 'weak';
  for (const uuid of only(atomsOf(value, keys), other == null ? [] : atomsOf(other, keys))) {
    yield { strong, table: base.refTable, uuid: String(uuid) };
  }
}

const atomsOf = (value: Exclude<Value, null>, keys: boolean): readonly Atom[] =>
  typeof value !== 'object'
    ? [value]
    : Array.isArray(value)
      ? (value as readonly Atom[])
      : keys
        ? Object.keys(value)
        : Object.values(value);

/** Atoms of the one list that the other has not; both may be sorted, as sets are, which makes it one walk. */
function* only(atoms: readonly Atom[], other: readonly Atom[]): Iterable<Atom> {
  let at = 0;
  for (const atom of atoms) {
    while (at < other.length && other[at]! < atom) at++;
    if (other[at] !== atom) yield atom;
  }
}

/** Of `other`, the same row at another time, what both have is left out. */
function* referencesOf(table: TableSchema, row: Row | undefined, other?: Row | undefined): Iterable<Reference> {
  if (!row) return;
  for (const [name, type] of table.columns) {
    yield* referencesIn(row[name]!, type.key, type.kind === 'map', other?.[name]);
    if (type.value) yield* referencesIn(row[name]!, type.value, false, undefined);
  }
}

interface Referrer {
  table: string;
  uuid: string;
  /** In how many places of the row. */
  times: number;
}

/** Counts and inverse references that live as long as the database. */
export class References {
  readonly #strong = new Map<string, number>();
  readonly #weak = new Map<string, Map<string, Referrer>>();

  strong(uuid: string): number {
    return this.#strong.get(uuid) ?? 0;
  }
  weak(uuid: string): Referrer[] {
    return [...(this.#weak.get(uuid)?.values() ?? [])];
  }
  replace(table: TableSchema, before: Row | undefined, after: Row | undefined): void {
    for (const reference of referencesOf(table, before, after)) this.#count(table, before!, reference, -1);
    for (const reference of referencesOf(table, after, before)) this.#count(table, after!, reference, 1);
  }

  #count(table: TableSchema, { _uuid: uuid }: Row, reference: Reference, step: number): void {
    if (reference.strong) {
      this.#strong.set(reference.uuid, this.strong(reference.uuid) + step);
      return;
    }
    const inverse = this.#weak.get(reference.uuid) ?? new Map<string, Referrer>();
    const times = (inverse.get(uuid)?.times ?? 0) + step;
    if (times > 0) inverse.set(uuid, { table: table.name, uuid, times });
    else inverse.delete(uuid);
    this.#weak.set(reference.uuid, inverse);
  }
}

export function prepare(schema: DatabaseSchema, draft: Draft, references: References): void {
  const delta = new Map<string, number>();
  const tableOfTarget = new Map<string, string>();
  const count = (uuid: string) => references.strong(uuid) + (delta.get(uuid) ?? 0);
  const adjust = (table: TableSchema, row: Row | undefined, step: number, other?: Row | undefined) => {
    for (const reference of referencesOf(table, row, other)) {
      if (!reference.strong) continue;
      delta.set(reference.uuid, (delta.get(reference.uuid) ?? 0) + step);
      tableOfTarget.set(reference.uuid, reference.table);
    }
  };
  for (const { table, uuid, before, after } of draft.touched()) {
    adjust(schema.tables.get(table)!, before, -1, after);
    adjust(schema.tables.get(table)!, after, 1, before);
    tableOfTarget.set(uuid, table);
  }
  checkStrong(draft, tableOfTarget, count);
  collect(schema, draft, tableOfTarget, count, adjust);
  dropWeak(schema, draft, references);
}

function checkStrong(draft: Draft, targets: ReadonlyMap<string, string>, count: (uuid: string) => number): void {
  for (const [uuid, table] of targets) {
    if (count(uuid) <= 0 || draft.get(table, uuid)) continue;
    const known = draft.before(table, uuid) ? `cannot delete ${table} row ${uuid} because of remaining references` : '';
    throw new Refusal('referential integrity violation', known || `reference to nonexistent row ${uuid} in ${table}`);
  }
}

function collect(
  schema: DatabaseSchema,
  draft: Draft,
  targets: Map<string, string>,
  count: (uuid: string) => number,
  adjust: (table: TableSchema, row: Row | undefined, step: number) => void,
): void {
  const queue = [...targets.keys()];
  for (let uuid = queue.pop(); uuid !== undefined; uuid = queue.pop()) {
    const table = schema.tables.get(targets.get(uuid)!)!;
    const row = table.isRoot ? undefined : draft.get(table.name, uuid);
    if (!row || count(uuid) > 0) continue;
    draft.remove(table.name, uuid);
    adjust(table, row, -1);
    for (const reference of referencesOf(table, row)) if (reference.strong) queue.push(reference.uuid);
  }
}

function dropWeak(schema: DatabaseSchema, draft: Draft, references: References): void {
  /** Rows that lost a target, `all` of whose references are looked at, and rows that may have been given one that is not there. */
  const suspects = new Map<string, { table: string; uuid: string; all: boolean }>();
  for (const { table, uuid, after } of draft.touched()) {
    if (after) suspects.set(uuid, { table, uuid, all: suspects.get(uuid)?.all ?? false });
    else for (const referrer of references.weak(uuid)) suspects.set(referrer.uuid, { ...referrer, all: true });
  }
  for (const { table: name, uuid, all } of suspects.values()) {
    const row = draft.get(name, uuid);
    if (!row) continue;
    const before = all ? undefined : draft.before(name, uuid);
    const changes = withoutGone(schema.tables.get(name)!, draft, row, before);
    if (Object.keys(changes).length > 0) draft.put(name, { ...row, ...changes } as Row);
  }
}

/** Columns of the row less the weak references whose targets are gone; what `before` had already is there. */
function withoutGone(table: TableSchema, draft: Draft, row: Row, before: Row | undefined): Record<string, Value> {
  const changes: Record<string, Value> = {};
  for (const [column, type] of table.columns) {
    const weak = type.key.refType === 'weak' ? type.key.refTable : undefined;
    const [value, old] = [row[column] ?? null, before?.[column] ?? null];
    if (!weak || type.kind === 'map' || value === null || value === old) continue;
    const there = (atom: Atom) => draft.get(weak, String(atom)) !== undefined;
    const atoms = atomsOf(value, false);
    if ([...only(atoms, old === null ? [] : atomsOf(old, false))].every(there)) continue;
    const left = atoms.filter(there);
    changes[column] = canonical(type, type.kind === 'set' ? left : (left[0] ?? null));
    if (countOf(changes[column]) < type.min) {
      throw new Refusal('constraint violation', `deletion of weak references leaves ${table.name}.${column} empty`);
    }
  }
  return changes;
}

/** Unique indexes of one database; key → UUID, for each index of each table. */
export class UniqueIndexes {
  readonly #keys = new Map<string, Map<string, string>>();

  check(schema: DatabaseSchema, draft: Draft): void {
    const claimed = new Map<string, string>();
    for (const { table, uuid, after } of draft.touched()) {
      if (!after) continue;
      for (const [place, key] of keysOf(schema.tables.get(table)!, after)) {
        const holder = this.#keys.get(place)?.get(key);
        const held = holder !== undefined && holder !== uuid && this.#holds(schema, draft, table, holder, place, key);
        const twice = claimed.has(`${place} ${key}`);
        claimed.set(`${place} ${key}`, uuid);
        if (!held && !twice) continue;
        throw new Refusal(
          'constraint violation',
          `Transaction causes multiple rows in "${table}" to have values ${key}`,
        );
      }
    }
  }

  #holds(schema: DatabaseSchema, draft: Draft, table: string, uuid: string, place: string, key: string): boolean {
    const row = draft.get(table, uuid);
    if (!row) return false;
    for (const [p, k] of keysOf(schema.tables.get(table)!, row)) if (p === place && k === key) return true;
    return false;
  }

  replace(table: TableSchema, before: Row | undefined, after: Row | undefined): void {
    if (before) {
      for (const [place, key] of keysOf(table, before)) {
        if (this.#keys.get(place)?.get(key) === before._uuid) this.#keys.get(place)!.delete(key);
      }
    }
    if (!after) return;
    for (const [place, key] of keysOf(table, after)) {
      const keys = this.#keys.get(place) ?? new Map<string, string>();
      this.#keys.set(place, keys.set(key, after._uuid));
    }
  }
}

function* keysOf(table: TableSchema, row: Row): Iterable<[place: string, key: string]> {
  for (const [number, columns] of table.indexes.entries()) {
    yield [`${table.name}/${number}`, JSON.stringify(columns.map((column) => row[column]))];
  }
}

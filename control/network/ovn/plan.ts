/**
 * Compares what a unit shall be with what it is, by content, and adds to a transaction what is missing, different or too
 * much. Equal content adds nothing. Pure but for the transaction that it fills.
 */
import {
  type Columns,
  canonical,
  columnOf,
  type DatabaseSchema,
  type Row,
  sameValue,
  type Transaction,
  tableOf,
} from '../../../protocols/ovsdb/index.ts';
import { WaitsForUnit } from '../../kit/projection/index.ts';
import { type Actual, type ActualRow, formatHolder, groupsOf, holderOf, rootTables, stamp } from './actual.ts';
import { type DesiredRow, type RowName, stamps } from './desired.ts';
import type { Unit } from './units.ts';

/** A row of another unit, to which this one refers, is not there yet: that unit must be projected first. */
const missing = (owner: Unit, name: RowName) =>
  new WaitsForUnit(name.owner, `${owner} waits for ${name.table} ${name.key} of ${name.owner}`);

const idOfRow = (table: string, key: string): string => `${table} ${key}`;

/**
 * What makes a present row the one that is wanted. The parent belongs to it: equal content under another parent is
 * another row, so a row that moves is made anew where it belongs and let go where it was.
 */
const identity = (table: string, key: string, holder: string | undefined): string =>
  [table, key, holder ?? ''].join(' ');
const wantedIdentity = ({ table, key, parent }: DesiredRow) => identity(table, key, parent && formatHolder(parent));
const presentIdentity = ({ table, key, row }: ActualRow) => identity(table, key, stamp(row, stamps.parent));

export interface Plan {
  /** Filled by it. */
  transaction: Transaction;
  schema: DatabaseSchema;
  actual: Actual;
  owner: Unit;
}

/** @throws WaitsForUnit */
export function planUnit(plan: Plan, desired: readonly DesiredRow[], present: readonly ActualRow[]): void {
  new UnitPlan(plan).run(desired, present);
}

class UnitPlan {
  readonly #transaction: Transaction;
  readonly #schema: DatabaseSchema;
  readonly #actual: Actual;
  readonly #owner: Unit;
  /** Rows of this unit after the transaction: UUID, or name of the insert. */
  readonly #place = new Map<string, string>();
  /** Names of the rows that the transaction inserts. */
  readonly #inserted = new Set<string>();
  /** References to add and to remove, gathered so that each holder is changed once. */
  readonly #held = new Map<
    string,
    { holder: string; table: string; column: string; add: string[]; remove: string[] }
  >();

  constructor({ transaction, schema, actual, owner }: Plan) {
    this.#transaction = transaction;
    this.#schema = schema;
    this.#actual = actual;
    this.#owner = owner;
  }

  run(desired: readonly DesiredRow[], there: readonly ActualRow[]): void {
    const present = new Map<string, ActualRow>();
    const surplus: ActualRow[] = [];
    for (const each of [...there].sort((a, b) => (a.row._uuid < b.row._uuid ? -1 : 1))) {
      const id = presentIdentity(each);
      if (present.has(id)) surplus.push(each);
      else present.set(id, each);
    }
    for (const row of desired) {
      const id = wantedIdentity(row);
      const before = present.get(id);
      // Its parent is made anew: what hangs on the old one goes with that.
      if (!before || this.#parentIsNew(row)) this.#insert(row);
      else {
        present.delete(id);
        this.#update(row, before.row);
      }
    }
    this.#remove([...present.values(), ...surplus]);
    for (const { holder, table, column, add, remove } of this.#held.values()) {
      if (remove.length > 0) this.#transaction.mutate(table, holder, [[column, 'delete', remove]]);
      if (add.length > 0) this.#transaction.mutate(table, holder, [[column, 'insert', add]]);
    }
  }

  #columns(row: DesiredRow): Columns {
    const references = Object.entries(row.references ?? {}).map(([column, name]) => [column, name && this.#find(name)]);
    const groups = row.groups?.map(({ name }) => name).sort();
    return {
      ...row.columns,
      ...Object.fromEntries(references),
      external_ids: {
        ...row.labels,
        [stamps.owner]: this.#owner,
        [stamps.key]: row.key,
        ...(row.parent ? { [stamps.parent]: formatHolder(row.parent) } : {}),
        ...(groups?.length ? { [stamps.groups]: groups.join(' ') } : {}),
      },
    };
  }

  #parentIsNew({ parent }: DesiredRow): boolean {
    return parent !== undefined && parent.owner === this.#owner && this.#inserted.has(this.#find(parent));
  }

  #insert(row: DesiredRow): void {
    const columns = this.#columns(row);
    const transaction = this.#transaction;
    this.#refuseSecond(row);
    const place = transaction.insert(row.table, columns);
    this.#inserted.add(place);
    this.#place.set(idOfRow(row.table, row.key), place);
    if (row.parent) this.#hold(row.parent.table, row.parent.column, this.#find(row.parent)).add.push(place);
    this.#join(place, [], row.groups ?? []);
    if (row.table === 'Port_Group') this.#rejoin(place, String(row.columns.name));
  }

  /**
   * Should our copy be behind, the server refuses rather than take a second switch or router: ports would hang on either.
   * The condition makes it read the whole table, so it stands only where no unique name does the same; a second child
   * is surplus, and goes as soon as it is seen.
   */
  #refuseSecond({ table, key }: DesiredRow): void {
    if (!rootTables.has(table) || table === 'Port_Group') return;
    const mine = { [stamps.owner]: this.#owner, [stamps.key]: key };
    this.#transaction.wait(table, [['external_ids', 'includes', mine]], '==', [], ['external_ids']);
  }

  #update(row: DesiredRow, before: Row): void {
    this.#place.set(idOfRow(row.table, row.key), before._uuid);
    const table = tableOf(this.#schema, row.table);
    const changed = Object.entries(this.#columns(row)).filter(([column, value]) => {
      return value !== undefined && !sameValue(canonical(columnOf(table, column), value), before[column]!);
    });
    if (changed.length === 0) return;
    this.#transaction.update(row.table, before._uuid, Object.fromEntries(changed));
    this.#join(before._uuid, groupsOf(before), row.groups ?? []);
  }

  /** Membership in port groups follows the stamp, in the same transaction. */
  #join(port: string, before: readonly string[], groups: NonNullable<DesiredRow['groups']>): void {
    const now = new Set(groups.map(({ name }) => name));
    for (const name of before) {
      const left = now.has(name) ? undefined : this.#actual.group(name);
      if (left) this.#transaction.mutate('Port_Group', left._uuid, [['ports', 'delete', [port]]]);
    }
    for (const group of groups) {
      if (before.includes(group.name)) continue;
      const joined = this.#actual.find(group);
      if (!joined) throw missing(this.#owner, group);
      this.#transaction.mutate('Port_Group', joined._uuid, [['ports', 'insert', [port]]]);
    }
  }

  /** A group that was lost and is made anew gets the ports back that are stamped with it. */
  #rejoin(group: string, name: string): void {
    const ports = this.#actual.portsInGroup(name).map((row) => row._uuid);
    if (ports.length > 0) this.#transaction.mutate('Port_Group', group, [['ports', 'insert', ports]]);
  }

  #remove(rows: readonly ActualRow[]): void {
    const going = new Set(rows.map(({ row }) => row._uuid));
    for (const { table, row } of rows) {
      if (rootTables.has(table)) {
        this.#transaction.delete(table, row._uuid);
        continue;
      }
      const holder = holderOf(row);
      for (const parent of holder ? this.#actual.findAll(holder) : []) {
        if (!going.has(parent._uuid)) this.#hold(holder!.table, holder!.column, parent._uuid).remove.push(row._uuid);
      }
    }
  }

  #hold(table: string, column: string, holder: string) {
    const id = `${holder} ${column}`;
    const held = this.#held.get(id) ?? { holder, table, column, add: [], remove: [] };
    this.#held.set(id, held);
    return held;
  }

  #find(name: RowName): string {
    const here = name.owner === this.#owner ? this.#place.get(idOfRow(name.table, name.key)) : undefined;
    const place = here ?? this.#actual.find(name)?._uuid;
    if (!place) throw missing(this.#owner, name);
    return place;
  }
}

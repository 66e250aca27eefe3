/**
 * What others do to the columns that hold rows, which are not in the copy (actual.ts): the server tells what each gained or lost. What is
 * ours among that is asked for and put right at once; what was not told of, as no connection was there, the walk finds (mend.ts).
 */
import {
  type ColumnChange,
  canonical,
  columnOf,
  isUuid,
  list,
  type Row,
  type Transaction,
  tableOf,
} from '../../../protocols/ovsdb/index.ts';
import { type Actual, groupsOf, holderOf, ownerOf } from './actual.ts';
import { type Northbound, write } from './northbound.ts';
import type { Unit } from './units.ts';

/** The columns that hold rows, and whose. */
const held: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  Port_Group: { ports: 'Logical_Switch_Port', acls: 'ACL' },
  Logical_Switch: { ports: 'Logical_Switch_Port', acls: 'ACL', qos_rules: 'QoS', load_balancer: 'Load_Balancer' },
  Logical_Router: {
    ...{
      ports: 'Logical_Router_Port',
      static_routes: 'Logical_Router_Static_Route',
      policies: 'Logical_Router_Policy',
    },
    ...{ nat: 'NAT', load_balancer: 'Load_Balancer' },
  },
  Logical_Router_Port: { gateway_chassis: 'Gateway_Chassis' },
};

/** To be watched, see OvsdbClient. */
export const holdingColumns: Readonly<Record<string, readonly string[]>> = Object.fromEntries(
  Object.entries(held).map(([table, columns]) => [table, Object.keys(columns)]),
);

interface Meddled {
  table: string;
  uuid: string;
  column: string;
  children: Set<string>;
}

export class Astray {
  readonly #actual: Actual;
  readonly #meddled = new Map<string, Meddled>();

  constructor(actual: Actual) {
    this.#actual = actual;
  }

  /**
   * @param isLeft whether what belongs to this unit is no business of the watch: it is being written by ourselves, or kept
   * @returns whether there is something to ask for
   */
  note(client: Northbound, changes: readonly ColumnChange[], isLeft: (unit: Unit) => boolean): boolean {
    for (const { table, uuid, column, difference } of changes) {
      const owner = this.#ownerOf(client, table, uuid);
      if (owner === undefined || isLeft(owner)) continue;
      const children = (Array.isArray(difference) ? difference : [difference]).map(String).filter((child) => {
        const unit = isUuid(child) ? this.#ownerOf(client, held[table]![column]!, child) : undefined;
        return unit !== undefined && !isLeft(unit);
      });
      if (children.length === 0) continue;
      const id = `${uuid} ${column}`;
      const meddled = this.#meddled.get(id) ?? { table, uuid, column, children: new Set() };
      for (const child of children) meddled.children.add(child);
      this.#meddled.set(id, meddled);
    }
    return this.#meddled.size > 0;
  }

  /** Answers how much was put right. What it was at when it throws, the next walk finds. */
  async mend(client: Northbound): Promise<number> {
    const taken = [...this.#meddled.values()];
    if (taken.length === 0) return 0;
    this.#meddled.clear();
    const ask = client.transaction();
    const asked = taken.map(({ table, uuid, column }) => ask.select(table, uuid, ['_uuid', column]));
    const results = await write(client, ask);
    const transaction = client.transaction();
    let mended = 0;
    for (const [index, meddled] of taken.entries()) {
      const [now] = ask.rowsOf(asked[index]!, results);
      if (now) mended += this.#putRight(client, transaction, meddled, now);
    }
    if (!transaction.empty) await write(client, transaction);
    return mended;
  }

  #putRight(
    client: Northbound,
    transaction: Transaction,
    { table, uuid, column, children }: Meddled,
    now: Row,
  ): number {
    const type = columnOf(tableOf(client.schema, table), column);
    const present = new Set(list({ _uuid: uuid, [column]: canonical(type, now[column]!) }, column));
    const wanted = [...children].filter((child) => this.#belongs(client, { table, uuid, column }, child));
    const missing = wanted.filter((child) => !present.has(child));
    const strange = [...children].filter((child) => !wanted.includes(child) && present.has(child));
    if (missing.length > 0) transaction.mutate(table, uuid, [[column, 'insert', missing]]);
    if (strange.length > 0) transaction.mutate(table, uuid, [[column, 'delete', strange]]);
    return missing.length + strange.length;
  }

  /** By the child's own stamps; of one that is gone nothing is wanted. */
  #belongs(client: Northbound, { table, uuid, column }: Omit<Meddled, 'children'>, child: string): boolean {
    const row = client.replica.row(held[table]![column]!, child);
    if (!row) return false;
    if (table === 'Port_Group' && column === 'ports') {
      return groupsOf(row).includes(String(client.replica.row(table, uuid)?.name));
    }
    const holder = holderOf(row);
    return holder?.table === table && holder.column === column && this.#actual.find(holder)?._uuid === uuid;
  }

  #ownerOf(client: Northbound, table: string, uuid: string): Unit | undefined {
    const row = client.replica.row(table, uuid);
    return row && ownerOf(row);
  }
}

/**
 * What no comparison of rows shows, because the copy leaves out the columns that hold others (see actual.ts): that a child
 * hangs on the parent that its stamp names, and that the members of port groups are the ports stamped so. Asked of the
 * server for a page of units at a time, in conditions that it answers with yes or no; only what differs is read.
 */
import type { Condition, Row, Transaction } from '../../../protocols/ovsdb/index.ts';
import { type Actual, groupsOf, holderOf, ownerOf } from './actual.ts';
import { type Northbound, write } from './northbound.ts';
import type { Unit } from './units.ts';

/** Groups above this are asked by pages of ports instead of as a whole. */
export const largeGroup = 200;

interface Question {
  table: string;
  /** Must find exactly this row. */
  uuid: string;
  condition: Condition;
  /** Puts it right; answers how much. */
  mend: (transaction: Transaction) => Promise<number>;
}

/** Answers how much was put right. */
export async function mendPage(client: Northbound, actual: Actual, units: readonly Unit[]): Promise<number> {
  const rows = units.flatMap((name) => actual.rowsOf(name));
  const ports = rows.filter(({ table }) => table === 'Logical_Switch_Port').map(({ row }) => row);
  const groups = rows.filter(({ table }) => table === 'Port_Group').map(({ row }) => row);
  const questions = [
    ...heldRows(
      client,
      actual,
      rows.map(({ row }) => row),
    ),
    ...groups.flatMap((group) => wholeGroup(client, actual, group)),
    ...(ports.length > 0 ? actual.largeGroups().flatMap((group) => partOfGroup(group, ports)) : []),
  ];
  if (questions.length === 0) return 0;
  const ask = client.transaction();
  const asked = questions.map(({ table, uuid, condition }) =>
    ask.select(table, [['_uuid', '==', uuid], condition], ['_uuid']),
  );
  const results = await write(client, ask);
  const mend = client.transaction();
  let mended = 0;
  for (const [index, question] of questions.entries()) {
    if (ask.rowsOf(asked[index]!, results).length === 0) mended += await question.mend(mend);
  }
  if (!mend.empty) await write(client, mend);
  return mended;
}

function heldRows(client: Northbound, actual: Actual, rows: readonly Row[]): Question[] {
  const byHolder = new Map<string, { table: string; column: string; uuid: string; children: string[] }>();
  for (const row of rows) {
    const holder = holderOf(row);
    const parent = holder && actual.find(holder);
    if (!parent) continue;
    const id = `${parent._uuid} ${holder.column}`;
    const held = byHolder.get(id) ?? { table: holder.table, column: holder.column, uuid: parent._uuid, children: [] };
    held.children.push(row._uuid);
    byHolder.set(id, held);
  }
  return [...byHolder.values()].map(({ table, column, uuid, children }) => ({
    ...{ table, uuid, condition: [column, 'includes', children] },
    mend: async (transaction) => {
      // Somebody hung them elsewhere. Who holds them is searched for, which is slow, and hardly ever.
      const ask = client.transaction();
      const asked = children.map((child) => ask.select(table, [[column, 'includes', [child]]], ['_uuid']));
      const results = await write(client, ask);
      const astray = children.filter((child, index) => {
        const holders = ask.rowsOf(asked[index]!, results).map(({ _uuid }) => _uuid);
        for (const wrong of holders)
          if (wrong !== uuid) transaction.mutate(table, wrong, [[column, 'delete', [child]]]);
        return !holders.includes(uuid);
      });
      if (astray.length > 0) transaction.mutate(table, uuid, [[column, 'insert', astray]]);
      return astray.length;
    },
  }));
}

/** A group of some hundred: its members are these and no other. */
function wholeGroup(client: Northbound, actual: Actual, group: Row): Question[] {
  const [name, uuid] = [String(group.name), group._uuid];
  if (actual.groupSize(name) > largeGroup) return [];
  const wanted = actual.portsInGroup(name).map((row) => row._uuid);
  const mend = async (transaction: Transaction) => {
    const ask = client.transaction();
    const select = ask.select('Port_Group', uuid, ['_uuid', 'ports']);
    const present = new Set((ask.rowsOf(select, await write(client, ask))[0]?.ports ?? []) as string[]);
    const ports = client.replica.rows('Logical_Switch_Port');
    const missing = wanted.filter((port) => !present.has(port));
    // A member that is not ours is its maker's business.
    const strange = [...present].filter((port) => {
      const row = ports.get(port);
      return row && ownerOf(row) && !groupsOf(row).includes(name);
    });
    if (missing.length > 0) transaction.mutate('Port_Group', uuid, [['ports', 'insert', missing]]);
    if (strange.length > 0) transaction.mutate('Port_Group', uuid, [['ports', 'delete', strange]]);
    return missing.length + strange.length;
  };
  return [{ table: 'Port_Group', uuid, condition: ['ports', '==', wanted], mend }];
}

/** A group of any size: of these ports, those that are stamped are in it, and the others are not. */
function partOfGroup(group: Row, ports: readonly Row[]): Question[] {
  const [name, uuid] = [String(group.name), group._uuid];
  const inside = ports.filter((row) => groupsOf(row).includes(name)).map((row) => row._uuid);
  const outside = ports.filter((row) => !groupsOf(row).includes(name)).map((row) => row._uuid);
  const question = (condition: Condition, mutator: 'insert' | 'delete', list: string[]): Question[] =>
    list.length === 0
      ? []
      : [
          {
            ...{ table: 'Port_Group', uuid, condition },
            mend: async (transaction) => {
              transaction.mutate('Port_Group', uuid, [['ports', mutator, list]]);
              return list.length;
            },
          },
        ];
  return [
    ...question(['ports', 'includes', inside], 'insert', inside),
    ...question(['ports', 'excludes', outside], 'delete', outside),
  ];
}

/**
 * One pass: brings units to what the model says, phase by phase, each unit in a transaction of its own. Used for a few
 * changed units and for all of them; there is no other code that writes.
 */
import { setImmediate as yieldToOthers } from 'node:timers/promises';
import {
  type OperationResult,
  type OvsdbClient,
  OvsdbError,
  type Transaction,
} from '../../../protocols/ovsdb/index.ts';
import { type Actual, groupsOf, ownerOf } from './actual.ts';
import { desiredRows } from './intent/index.ts';
import type { IndexedModel } from './model.ts';
import { type Changes, MissingRow, planUnit } from './plan.ts';
import { kindOf, phases, type Unit } from './units.ts';

/** Transactions on their way at the same time. */
const inFlight = 32;
const copyTimeoutMs = 10_000;

export interface UnitOutcome {
  unit: Unit;
  changes: Changes | undefined;
  error: unknown;
}

/** What a pass needs of a connection. */
export type Northbound = Pick<OvsdbClient, 'schema' | 'replica' | 'transaction'> & {
  transact(transaction: Transaction): Promise<OperationResult[]>;
};

export interface Projection {
  client: Northbound;
  actual: Actual;
  /** Asked before each write: the lease may have run out since. */
  mayWrite: () => boolean;
}

/** This process does not project any more; the pass ends, and the next holder looks at everything. */
export class LeaseLost extends Error {
  override readonly name = 'LeaseLost';
}

async function write({ client, mayWrite }: Projection, transaction: Transaction): Promise<readonly OperationResult[]> {
  if (!mayWrite()) throw new LeaseLost('the lease of the projection has run out');
  return client.transact(transaction);
}

/**
 * Throws only when the connection or the lease is lost; what fails for one unit is in its outcome. `busy` is told which units are
 * being written, so that their own changes are not taken for somebody else's.
 */
export async function runPass(
  projection: Projection,
  model: IndexedModel,
  units: ReadonlySet<Unit>,
  busy: Set<Unit>,
): Promise<UnitOutcome[]> {
  const outcomes: UnitOutcome[] = [];
  const byKind = Map.groupBy(units, kindOf);
  for (const kind of phases) {
    const names = byKind.get(kind) ?? [];
    for (let at = 0; at < names.length; at += inFlight) {
      const part = names.slice(at, at + inFlight);
      outcomes.push(...(await Promise.all(part.map((name) => projectUnit(projection, model, name, busy)))));
      await yieldToOthers();
    }
  }
  return outcomes;
}

async function projectUnit(
  projection: Projection,
  model: IndexedModel,
  name: Unit,
  busy: Set<Unit>,
): Promise<UnitOutcome> {
  const { client, actual } = projection;
  busy.add(name);
  try {
    const transaction = client.transaction();
    const changes = planUnit(transaction, client.schema, actual, name, desiredRows(model, name));
    if (transaction.empty) return { unit: name, changes: undefined, error: undefined };
    transaction.comment(`bothy: ${name}`);
    const results = await write(projection, transaction);
    await seen(client, transaction, results);
    return { unit: name, changes, error: undefined };
  } catch (error) {
    if (error instanceof LeaseLost) throw error;
    if (error instanceof OvsdbError && (error.kind === 'connection' || error.kind === 'incomplete')) throw error;
    return { unit: name, changes: undefined, error };
  } finally {
    busy.delete(name);
  }
}

/** Waits until the copy has the new rows: the next plan must not miss them. The server sends them before its answer. */
async function seen(client: Northbound, transaction: Transaction, results: readonly OperationResult[]): Promise<void> {
  const inserted = transaction.operations.flatMap((operation, index) => {
    const uuid = results[index]?.uuid?.[1];
    return uuid ? [{ table: operation.table!, uuid }] : [];
  });
  const all = () => inserted.every(({ table, uuid }) => client.replica.row(table, uuid) !== undefined);
  if (!all()) await client.replica.until('our own rows', all, { timeoutMs: copyTimeoutMs });
}

/**
 * Compares the members of our port groups with the stamps on the ports, and mends. Members are not in the copy (see
 * actual.ts), so this reads them; only full passes call it. Answers the ports that were put right.
 */
export async function mendGroups(projection: Projection): Promise<number> {
  const { client, actual } = projection;
  const ask = client.transaction();
  const select = ask.select('Port_Group', [], ['_uuid', 'name', 'ports']);
  const groups = ask.rowsOf(select, await client.transact(ask));
  const mend = client.transaction();
  let mended = 0;
  const ports = client.replica.rows('Logical_Switch_Port');
  for (const { _uuid, name, ports: members } of groups) {
    const group = client.replica.row('Port_Group', _uuid);
    if (!group || !ownerOf(group)) continue;
    const present = new Set(members as string[]);
    const wanted = new Set(actual.portsInGroup(String(name)).map((row) => row._uuid));
    const missing = [...wanted].filter((uuid) => !present.has(uuid));
    const strange = [...present].filter((uuid) => {
      const row = ports.get(uuid);
      return row && ownerOf(row) && !groupsOf(row).includes(String(name));
    });
    if (missing.length > 0) mend.mutate('Port_Group', _uuid, [['ports', 'insert', missing]]);
    if (strange.length > 0) mend.mutate('Port_Group', _uuid, [['ports', 'delete', strange]]);
    mended += missing.length + strange.length;
  }
  if (!mend.empty) await write(projection, mend);
  return mended;
}

/** The global row, where even that was removed: northd and nb_cfg live on it. */
export async function ensureGlobal(projection: Projection): Promise<void> {
  const { client } = projection;
  if (client.replica.rows('NB_Global').size > 0) return;
  const transaction = client.transaction();
  transaction.wait('NB_Global', [], '==', [], ['name']);
  transaction.insert('NB_Global', {});
  // ovn-northd makes the row too; whoever comes second is refused, and that is well.
  await write(projection, transaction).catch((error) => {
    if (!(error instanceof OvsdbError) || error.kind !== 'transaction') throw error;
  });
}

export const isWaiting = (error: unknown): error is MissingRow => error instanceof MissingRow;

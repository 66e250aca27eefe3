/** One transaction to the northbound database, and the certainty that our copy has what it made. */
import {
  type Operation,
  type OperationResult,
  type OvsdbClient,
  OvsdbError,
  type Transaction,
} from '../../../protocols/ovsdb/index.ts';
import { TargetLost } from '../../kit/projection/index.ts';
import { stamp } from './actual.ts';
import { stamps } from './desired.ts';

/** What the projection needs of a connection. */
export type Northbound = Pick<OvsdbClient, 'schema' | 'replica' | 'transaction'> & {
  transact(work: Transaction | readonly Operation[]): Promise<OperationResult[]>;
};

const copyTimeoutMs = 10_000;

/** @throws TargetLost, or why the server refused */
export async function write(client: Northbound, transaction: Transaction): Promise<OperationResult[]> {
  try {
    const results = await client.transact(transaction);
    await seen(client, transaction, results);
    return results;
  } catch (error) {
    if (error instanceof OvsdbError && (error.kind === 'connection' || error.kind === 'incomplete')) {
      throw new TargetLost(error.message, { cause: error });
    }
    throw error;
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

/** The incarnation of the database that the rows follow; undefined where nobody has said. */
export function followedIncarnation(client: Northbound): string | undefined {
  for (const row of client.replica.rows('NB_Global').values()) return stamp(row, stamps.incarnation);
  return undefined;
}

export async function followIncarnation(client: Northbound, incarnation: string): Promise<void> {
  const transaction = client.transaction();
  transaction.mutate('NB_Global', [], [['external_ids', 'delete', [stamps.incarnation]]]);
  transaction.mutate('NB_Global', [], [['external_ids', 'insert', { [stamps.incarnation]: incarnation }]]);
  await write(client, transaction);
}

/** The global row, where even that was removed: northd and nb_cfg live on it. */
export async function ensureGlobal(client: Northbound): Promise<void> {
  if (client.replica.rows('NB_Global').size > 0) return;
  const transaction = client.transaction();
  transaction.wait('NB_Global', [], '==', [], ['name']);
  transaction.insert('NB_Global', {});
  // ovn-northd makes the row too; whoever comes second is refused, and that is well.
  await write(client, transaction).catch((error) => {
    if (!(error instanceof OvsdbError) || error.kind !== 'transaction') throw error;
  });
}

/**
 * "Do all hypervisors have it?" OVN answers by counters: a transaction raises NB_Global.nb_cfg, ovn-northd copies the
 * number to the southbound database once it has translated everything before it (sb_cfg), each ovn-controller confirms
 * it once its flows are in, and hv_cfg is the least of the confirmed. A dead chassis holds hv_cfg back, so every wait
 * has a deadline.
 */
import type { OvsdbClient } from './client.ts';
import type { OperationResult, Transaction } from './transaction.ts';
import { integer } from './value.ts';

export const barrierColumns = ['nb_cfg', 'sb_cfg', 'hv_cfg'] as const;

/** Adds "raise nb_cfg" to the transaction; the answer reads the number it became from the results. */
export function raiseConfig(transaction: Transaction): (results: readonly OperationResult[]) => number {
  transaction.mutate('NB_Global', [], [['nb_cfg', '+=', 1]]);
  const select = transaction.select('NB_Global', [], ['nb_cfg']);
  return (results) => {
    const row = transaction.rowsOf(select, results)[0];
    return row ? integer(row, 'nb_cfg') : 0;
  };
}

/** Waits until ovn-northd (`sb`) or all hypervisors (`hv`) have what was committed with this number. */
export function configReached(
  client: Pick<OvsdbClient, 'replica'>,
  number: number,
  options: { timeoutMs: number; signal?: AbortSignal; level?: 'sb' | 'hv' },
): Promise<void> {
  const column = options.level === 'sb' ? 'sb_cfg' : 'hv_cfg';
  const reached = () => {
    for (const row of client.replica.rows('NB_Global').values()) if (integer(row, column) >= number) return true;
    return false;
  };
  return client.replica.until(`${column} >= ${number}`, reached, options);
}

/**
 * What all chassis keep to: keys of ours in NB_Global.options, which northd hands on to them. Other keys are northd's own, or somebody's
 * hand, and stay.
 *
 * A gateway moves when its chassis is no longer heard by BFD: after `bfd-mult` × the longer of the two intervals. OVN's own values say that
 * in five seconds; an answer within three leaves the survivor time to claim the port and to announce it. Shorter would move gateways of hosts
 * that are only busy: on the userspace datapath BFD waits its turn behind the packets.
 */
import { map, type Row } from '../../../protocols/ovsdb/index.ts';
import { type Northbound, write } from './northbound.ts';

/** Intervals in milliseconds; ovn-nb(5), "Options for configuring BFD". */
export const globalOptions: Readonly<Record<string, string>> = {
  'bfd-min-rx': '300',
  'bfd-min-tx': '300',
  'bfd-mult': '5',
};

/** Whether the global row says what it shall. */
export const hasGlobalOptions = (row: Row): boolean =>
  Object.entries(globalOptions).every(([key, value]) => map(row, 'options')[key] === value);

/** Where the global row says something else, ours are set anew. The row must be there. */
export async function ensureGlobalOptions(client: Northbound): Promise<void> {
  if ([...client.replica.rows('NB_Global').values()].every(hasGlobalOptions)) return;
  const transaction = client.transaction();
  transaction.mutate('NB_Global', [], [['options', 'delete', Object.keys(globalOptions)]]);
  transaction.mutate('NB_Global', [], [['options', 'insert', globalOptions]]);
  await write(client, transaction);
}

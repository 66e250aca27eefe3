/**
 * What a restored dump brings of the change log has the transaction ids of another cluster. Those above this cluster's own could be read by
 * nobody until it has come so far, and would then stand among the new ones. Here they are moved right below: everything that was
 * restored is final, in its old order. Runs within the transaction that begins the new incarnation, so it happens once.
 */
import { sql } from 'kysely';
import type { Tx } from './database.ts';

export async function rebaseChanges(tx: Tx): Promise<void> {
  // However many there are: control has not begun to serve.
  await sql`set local statement_timeout = 0`.execute(tx);
  const below = sql`(select (pg_snapshot_xmin(pg_current_snapshot())::text::bigint - 1)::text::xid8)`;
  await sql`update change set transaction_id = ${below} where transaction_id > ${below}`.execute(tx);
  await sql`update change_floor set transaction_id = ${below} where transaction_id > ${below}`.execute(tx);
}

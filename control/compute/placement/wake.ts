/** Hosts in standby that are needed shall be awake: said in the transaction that found out; who brings it about is `../consolidation/standby.ts`. SQL, nothing else. */
import { sql } from 'kysely';
import type { Tx } from '../../kit/database/database.ts';
import { isOneOf } from '../../kit/database/one-of.ts';

/** Safe to repeat. */
export async function wakeHosts(tx: Tx, hostIds: readonly string[], reason: string): Promise<void> {
  if (hostIds.length === 0) return;
  await sql`update host_standby set desired = 'awake', wake_reason = ${reason}, next_at = now(), updated_at = now(),
      changed_in = pg_current_xact_id()
    where ${isOneOf(sql`host_id`, hostIds)} and desired = 'standby'`.execute(tx);
}

/** Decisions of placement one after another. */
import { sql } from 'kysely';
import type { Tx } from '../../kit/database/database.ts';

/** Any constant that no other advisory lock uses: 'place' in ASCII. */
const placementLock = 0x70_6c_61_63;

/** Decisions of placement are made one after another: what one took, the next one sees. Ends with the transaction. */
export async function lockPlacement(tx: Tx): Promise<void> {
  await sql`select pg_advisory_xact_lock(${placementLock})`.execute(tx);
}

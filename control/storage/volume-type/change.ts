/** What every change of a type begins with. */
import { sql } from 'kysely';
import { parseId } from '../../../contract/ids.ts';
import type { Queryable, Tx } from '../../kit/database/database.ts';
import { notFound } from '../../kit/refusal.ts';
import type { VolumeTypeRow } from './listing.ts';

/**
 * Locks the type's row: against other changes, and against volumes of it that are being made (their foreign key shares the lock).
 * @throws CloudError `not_found`
 */
export async function lockType(tx: Tx, id: string): Promise<VolumeTypeRow> {
  const { rows } = await sql<VolumeTypeRow>`select * from volume_type where id = ${parseId(id) ?? null}::uuid
    for update`.execute(tx);
  if (!rows[0]) throw notFound('volume_type', id);
  return rows[0];
}

/** For changes of what belongs to a type: the change log tells of the type. */
export async function touchType(tx: Tx, id: string): Promise<void> {
  await sql`update volume_type set generation = generation + 1, updated_at = now() where id = ${id}`.execute(tx);
}

/** Whether a volume has the type, or is on its way to it (../volume/move.ts). */
export async function isUsed(db: Queryable, id: string): Promise<boolean> {
  const { rows } = await sql`select from volume
    where volume_type_id = ${id} or desired_task ->> 'type_id' = ${id} limit 1`.execute(db);
  return rows.length > 0;
}

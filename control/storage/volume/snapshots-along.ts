/** A volume that has changed hosts has its snapshots there, too. */
import { sql } from 'kysely';
import type { Tx } from '../../kit/database/database.ts';
import { isOneOf } from '../../kit/database/one-of.ts';

/** @param copies what each layer of its chain is there */
export async function takeSnapshotsAlong(
  tx: Tx,
  volumeId: string,
  copies: Readonly<Record<string, string>>,
): Promise<void> {
  await sql`update volume_snapshot set layer_id = (${JSON.stringify(copies)}::jsonb ->> layer_id::text)::uuid, updated_at = now()
    where volume_id = ${volumeId} and ${isOneOf(sql`layer_id`, Object.keys(copies))}`.execute(tx);
}

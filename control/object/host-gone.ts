/** What a host had of objects, when it leaves the cloud. */
import { sql } from 'kysely';
import type { Tx } from '../kit/database/database.ts';

/**
 * Its disks are the cloud's no more. Whoever is writing to one finds their intent closed, and writes elsewhere; of what nobody made visible nothing is waited for.
 *
 * @returns false where bytes of an object are on one of them: then nothing may be kept of this, for a copy elsewhere may be older or none
 */
export async function forgetHostDisks(tx: Tx, hostId: string): Promise<boolean> {
  // From here on nobody announces that he writes there: an announcement refers to the disk's row.
  const { rows } = await sql<{
    id: string;
  }>`select id from object_disk where host_id = ${hostId} order by id for update`.execute(tx);
  if (rows.length === 0) return true;
  const disks = rows.map(({ id }) => id);
  // Waits for who makes something visible just now, and lets nobody begin with it.
  await sql`with closed as (update object_intent set state = 'closed' where state = 'open'
      and id in (select intent_id from object_intent_disk where disk_id = any(${disks}::uuid[])) returning id)
    update object_intent_disk set look_at = now() where intent_id in (select id from closed)`.execute(tx);
  const kept = await sql`select from object_intent_disk d where d.disk_id = any(${disks}::uuid[])
    and exists (select from object_blob b where b.intent_id = d.intent_id and b.disk_id = d.disk_id) limit 1`.execute(
    tx,
  );
  if (kept.rows.length > 0) return false;
  await sql`delete from object_intent_disk where disk_id = any(${disks}::uuid[])`.execute(tx);
  await sql`delete from object_disk where id = any(${disks}::uuid[])`.execute(tx);
  return true;
}

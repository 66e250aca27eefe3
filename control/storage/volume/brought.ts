/** The attachment of a volume that is on its way to its server's host (bring.ts): what the server says to it, and what becomes of it. SQL, and one rule. */
import { sql } from 'kysely';
import type { Tx } from '../../kit/database/database.ts';
import { tellServers } from '../attachment/index.ts';
import { findVolume } from './store.ts';
import type { ListedVolume } from './volume.ts';

/** The volume's row, and that of the server which it is brought to before that: what comes of it changes both. */
export async function lockWithServer(tx: Tx, id: string): Promise<ListedVolume | undefined> {
  const [, { rows }] = await Promise.all([
    sql`select from server where id = (select server_id from volume_attachment
      where volume_id = ${id} and target_host_id is not null) for no key update`.execute(tx),
    sql`select from volume where id = ${id} for update`.execute(tx),
  ]);
  return rows.length === 0 ? undefined : findVolume(tx, 'all', id);
}

/** Nothing: it may go on, and end when it is there; `wait`: its machine does not take it now. Else why nothing comes of it. */
export async function lookAtServer(tx: Tx, volumeId: string): Promise<'wait' | { off: string } | undefined> {
  const { rows } = await sql<{ wanted: boolean; there: boolean; takes: boolean }>`
    select a.desired_presence = 'present' and s.desired_presence = 'present' as wanted,
      s.host_id is null or s.host_id = a.target_host_id as there,
      s.desired_rescue is null and s.desired_power <> 'suspended' as takes
    from volume_attachment a join server s on s.id = a.server_id
    where a.volume_id = ${volumeId} and a.target_host_id is not null`.execute(tx);
  const [row] = rows;
  if (!row?.wanted) return { off: 'its server does not want it any more' };
  if (!row.there) return { off: 'its server is on another host now' };
  return row.takes ? undefined : 'wait';
}

/** It is where its server is: that one's host plugs it. One that is shelved has it at once. */
export async function giveBrought(tx: Tx, volumeId: string): Promise<void> {
  await sql`update volume_attachment a set target_host_id = null, updated_at = now(),
      attached_at = case when s.host_id is null then now() end
    from server s where s.id = a.server_id and a.volume_id = ${volumeId} and a.target_host_id is not null`.execute(tx);
  await tellServers(tx, [volumeId]);
}

/** Nobody has it, or waits for it. Of one that goes with its server, which goes, that stays written until then (server-volume/detach.ts). */
export async function dropBrought(tx: Tx, volumeId: string): Promise<void> {
  await sql`delete from volume_attachment a where a.volume_id = ${volumeId} and a.target_host_id is not null
    and not (a.delete_on_termination and exists (select from server s where s.id = a.server_id and s.desired_presence = 'absent'))`.execute(
    tx,
  );
}

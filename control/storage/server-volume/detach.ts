/**
 * A server shall have a volume no more. Where a guest may have it open the row stays until its host has said that it has not
 * (attachment/observed.ts); a server without a host is done with it at once.
 */
import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import type { Tx } from '../../kit/database/database.ts';
import { wakeOf } from '../attachment/index.ts';
import { callOffBring } from '../volume/bring.ts';
import { removeWithServer } from '../volume/remove.ts';
import type { VolumeServer } from './attach.ts';

interface Attached {
  id: string;
  boot_index: number | null;
  desired_presence: 'present' | 'absent';
  target_host_id: string | null;
}

/**
 * In the transaction that locked the server's row; it raises its generation by one, unless it is done: no host had heard of a volume that was still on its way.
 * @returns undefined where it is on its way out already
 * @throws CloudError `not_found`, `invalid` for the volume that it boots from
 */
export async function detachVolume(
  tx: Tx,
  server: Pick<VolumeServer, 'id' | 'host_id' | 'generation'>,
  volumeId: string,
): Promise<'asked' | 'done' | undefined> {
  const attached = await requireAttachment(tx, server.id, volumeId);
  if (attached.boot_index === 0) throw new CloudError('invalid', 'root_volume_stays', { id: volumeId });
  if (attached.target_host_id !== null) {
    await callOffBring(tx, volumeId, 'it was detached before it was there');
    return 'done';
  }
  if (server.host_id === null) await freeVolumes(tx, [attached.id]);
  else if (attached.desired_presence === 'absent') return undefined;
  else {
    await sql`update volume_attachment set desired_presence = 'absent', generation = generation + 1,
      server_generation = ${server.generation + 1}, updated_at = now() where id = ${attached.id}`.execute(tx);
  }
  return 'asked';
}

/** What of an attachment may change while it lasts. @throws CloudError `not_found` */
export async function keepOnTermination(
  tx: Tx,
  serverId: string,
  { volumeId, deleteOnTermination }: { volumeId: string; deleteOnTermination: boolean },
): Promise<void> {
  const { id } = await requireAttachment(tx, serverId, volumeId);
  await sql`update volume_attachment set delete_on_termination = ${deleteOnTermination}, updated_at = now()
    where id = ${id}`.execute(tx);
}

async function requireAttachment(tx: Tx, serverId: string, volumeId: string): Promise<Attached> {
  const { rows } = await sql<Attached>`select id, boot_index, desired_presence, target_host_id from volume_attachment
    where server_id = ${serverId} and volume_id = ${volumeId}::uuid for update`.execute(tx);
  if (!rows[0]) throw new CloudError('not_found', 'volume_not_attached', { server: serverId, volume: volumeId });
  return rows[0];
}

/** Nobody has these any more. */
async function freeVolumes(tx: Tx, attachmentIds: readonly string[]): Promise<void> {
  await sql`with gone as (delete from volume_attachment where id = any(${[...attachmentIds]}::uuid[]) returning volume_id)
    ${wakeOf(sql`gone`)}`.execute(tx);
}

/**
 * The server goes for good, and nobody has its volumes any more. Those that were to go with it become absent, as do those that were to
 * be made for it and never had a place; one of which there are snapshots stays, as Cinder would have it.
 */
export async function releaseServerVolumes(tx: Tx, serverId: string): Promise<void> {
  const { rows } = await sql<{ id: string; goes: boolean }>`
    with gone as (delete from volume_attachment where server_id = ${serverId} returning volume_id, delete_on_termination)
    select v.id, (gone.delete_on_termination or v.layer_id is null)
      and not exists (select from volume_snapshot n where n.volume_id = v.id) as goes
    from gone join volume v on v.id = gone.volume_id order by v.id`.execute(tx);
  if (rows.length === 0) return;
  await sql`with gone as (select unnest(${rows.map(({ id }) => id)}::uuid[]) as volume_id) ${wakeOf(sql`gone`)}`.execute(
    tx,
  );
  await removeWithServer(
    tx,
    rows.flatMap(({ id, goes }) => (goes ? id : [])),
  );
}

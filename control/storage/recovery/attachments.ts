/** Who has which volume, as the document of a server that is taken up says. In the caller's transaction; safe to repeat. */
import { sql } from 'kysely';
import type { DesiredVolume } from '../../../contract/host/index.ts';
import type { Tx } from '../../kit/database/database.ts';
import { isOneOf } from '../../kit/database/one-of.ts';

/**
 * Before the server's own rows: a server that would be without one of its volumes is not taken up, for its host would take it from its guest.
 * @returns why not, in words; null: nothing is in the way
 */
export async function missingVolume(
  tx: Tx,
  serverId: string,
  volumes: readonly DesiredVolume[],
): Promise<string | null> {
  if (volumes.length === 0) return null;
  const ids = volumes.map(({ id }) => id);
  const { rows } = await sql<{ id: string; elsewhere: boolean; coming: boolean }>`
    select v.id, a.target_host_id is not null as coming, coalesce(a.server_id <> ${serverId}, a.id is not null) as elsewhere
    from volume v left join volume_attachment a on a.volume_id = v.id
    where ${isOneOf(sql`v.id`, ids)} and v.desired_presence = 'present' and v.layer_id is not null order by v.id for update of v`.execute(
    tx,
  );
  const missing = ids.find((id) => !rows.some((row) => row.id === id));
  if (missing) return `volume ${missing}, which it has, is not taken up`;
  const taken = rows.find(({ elsewhere }) => elsewhere);
  if (taken) return `volume ${taken.id}, which it has, is attached elsewhere by now: detach it there`;
  const coming = rows.find((row) => row.coming);
  return coming ? `volume ${coming.id}, which it has, is still on its way to it in this database` : null;
}

/** @param server its row is there, with this generation */
export async function recoverAttachments(
  tx: Tx,
  server: { id: string; generation: number; guest: boolean },
  volumes: readonly DesiredVolume[],
): Promise<void> {
  const ids = volumes.map(({ id }) => id);
  // Detached since the database was copied.
  await sql`update volume_attachment set desired_presence = 'absent', slot = null, server_generation = ${server.generation}, generation = generation + 1,
      updated_at = now() where server_id = ${server.id} and not ${isOneOf(sql`volume_id`, ids)}`.execute(tx);
  for (const volume of volumes) {
    const { slot, device, bootIndex, tag } = volume;
    const mode = volume.readOnly ? 'ro' : 'rw';
    await sql`insert into volume_attachment as a (id, project_id, volume_id, server_id, mode, slot, device, boot_index, tag, server_generation,
        observed_state, observed_layer_id, observed_size_bytes, attached_at)
      select case when exists (select from volume_attachment where id = ${volume.attachmentId}) then gen_random_uuid()
          else ${volume.attachmentId}::uuid end, v.project_id, v.id, ${server.id}, ${mode}, ${slot}, ${device}, ${bootIndex}, ${tag},
        ${server.generation}, case when ${server.guest}::boolean then 'attached' end, case when ${server.guest}::boolean then ${volume.layerId}::uuid end,
        case when ${server.guest}::boolean then ${volume.sizeBytes}::bigint end, now()
      from volume v where v.id = ${volume.id}
      on conflict (volume_id) do update set desired_presence = 'present', mode = excluded.mode, slot = excluded.slot, device = excluded.device,
        boot_index = excluded.boot_index, tag = excluded.tag, server_generation = excluded.server_generation, updated_at = now()
        where a.server_id = excluded.server_id`.execute(tx);
  }
}

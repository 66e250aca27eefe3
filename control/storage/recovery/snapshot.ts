/** The row of a snapshot that is taken up with the layer that it is. In the caller's transaction; safe to repeat. */
import { sql } from 'kysely';
import type { LayerRecord } from '../../../contract/host/index.ts';
import type { QuarantinedLayerRow } from '../../host/index.ts';
import { recoverProject } from '../../identity/recovered-project.ts';
import type { Tx } from '../../kit/database/database.ts';
import { gibOf } from '../volume/index.ts';

export interface RecoveredSnapshot {
  outcome: 'remake' | 'wait' | 'leave';
  reason?: string;
}

export async function recoverSnapshot(
  tx: Tx,
  { layer_id, document }: QuarantinedLayerRow,
  { id, volumeId, projectId, userId, name }: NonNullable<LayerRecord['snapshots']>[number],
): Promise<RecoveredSnapshot> {
  const { rows } = await sql`select from volume where id = ${volumeId} for update`.execute(tx);
  if (rows.length === 0)
    return { outcome: 'leave', reason: `nothing is left of volume ${volumeId}, of which it was made` };
  await recoverProject(tx, projectId);
  const { numAffectedRows } =
    await sql`insert into volume_snapshot (id, project_id, user_id, volume_id, layer_id, name, size_gib, ready_at)
    values (${id}, ${projectId}, ${userId}, ${volumeId}, ${layer_id}, ${name}, ${gibOf(document.sizeBytes)}, now())
    on conflict (id) do nothing`.execute(tx);
  return { outcome: numAffectedRows === 1n ? 'remake' : 'wait' };
}

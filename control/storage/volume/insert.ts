/** The row of a new volume and its operation. SQL, nothing else. */
import { sql } from 'kysely';
import { newOrderedId } from '../../../contract/ids.ts';
import type { Actor, Tx } from '../../kit/database/database.ts';
import { json } from '../../kit/database/schema.ts';
import type { VolumeRow } from './volume.ts';

type NewVolume = Pick<
  VolumeRow,
  | ('id' | 'project_id' | 'user_id' | 'name' | 'description' | 'size_gib' | 'volume_type_id' | 'availability_zone')
  | ('metadata' | 'host_id' | 'pool_id' | 'layer_id' | 'bootable' | 'image_metadata' | 'source_volume_id')
  | ('cache_pool_id' | 'cache_bytes' | 'cache_policy' | 'desired_task')
  | ('source_image_id' | 'source_snapshot_id' | 'group_id' | 'fault')
>;

/** The volume and its operation. It needs no job: its host's word brings one, and where none comes the sweep does. */
export async function insertVolume(
  tx: Tx,
  actor: Actor,
  row: NewVolume,
  { deadlineMs }: { deadlineMs: number },
): Promise<VolumeRow> {
  const { fault, host_id: host } = row;
  const deadline = sql`now() + ${deadlineMs}::double precision * interval '1 millisecond'`;
  const { rows } = await sql<VolumeRow>`with begun as (
      insert into operation (id, project_id, resource_type, resource_id, verb, generation, state, finished_at, owner, waiting_for,
        deadline, error_code, error_message, actor_id, request_id)
      values (${newOrderedId()}, ${row.project_id}, 'volume', ${row.id}, 'create', 1, ${fault ? 'failed' : 'running'},
        case when ${fault !== null}::boolean then now() end, ${host === null ? 'control' : `host ${host}`},
        ${fault ? null : 'the host to make the volume'}, ${deadline}, ${fault ? 'no_capacity' : null},
        ${fault?.message ?? null}, ${actor.actorId}, ${actor.requestId}))
    insert into volume (id, project_id, user_id, name, description, size_gib, volume_type_id, availability_zone, metadata, host_id,
      pool_id, layer_id, cache_pool_id, cache_bytes, cache_policy, bootable, image_metadata, source_volume_id, source_image_id, source_snapshot_id, group_id, fault,
      desired_task)
    values (${row.id}, ${row.project_id}, ${row.user_id}, ${row.name}, ${row.description}, ${row.size_gib}, ${row.volume_type_id},
      ${row.availability_zone}, ${json(row.metadata)}, ${host}, ${row.pool_id}, ${row.layer_id}, ${row.cache_pool_id}, ${row.cache_bytes}, ${row.cache_policy}, ${row.bootable},
      ${row.image_metadata && json(row.image_metadata)}, ${row.source_volume_id}, ${row.source_image_id},
      ${row.source_snapshot_id}, ${row.group_id}, ${fault && json(fault)},
      ${row.desired_task && json(row.desired_task)})
    returning *`.execute(tx);
  return rows[0]!;
}

/** The volume's SQL: rows in and out, no decisions. Listing has its own page (list.ts). */
import { sql } from 'kysely';
import { parseId } from '../../../contract/ids.ts';
import { type Caller, isAdmin, requireProject } from '../../kit/caller.ts';
import type { Queryable, Tx } from '../../kit/database/database.ts';
import { isOneOf } from '../../kit/database/one-of.ts';
import { json } from '../../kit/database/schema.ts';
import { notFound } from '../../kit/refusal.ts';
import { contentIsCompleteSql } from './states-sql.ts';
import type { StorageFault, VolumeTask } from './tables.ts';
import type { ListedVolume } from './volume.ts';

/** Whose: a project's, or (administrators) all. */
export type Reach = { projectId: string } | 'all';

export const reachOf = (caller: Caller): Reach =>
  isAdmin(caller) ? 'all' : { projectId: requireProject(caller, 'see volumes') };

export const reachCondition = (reach: Reach) =>
  reach === 'all' ? sql`true` : sql`v.project_id = ${reach.projectId}::uuid`;

export const volumeFrom = sql`volume v join volume_type t on t.id = v.volume_type_id
  left join volume_layer l on l.id = v.layer_id left join volume_attachment a on a.volume_id = v.id
  left join host h on h.id = v.host_id left join storage_pool p on p.id = v.pool_id`;

/** On its way to another encryption its content is as it was until all of it is there (move.ts). */
const keyIdSql = sql`case when v.desired_task ? 'former_key_id' then (v.desired_task ->> 'former_key_id')::uuid else l.key_id end`;

/** Cinder's replication_status; null: its type asks for no replica. What is late is what `bothy doctor` says (../replication/late.ts). */
const replicationStatusSql = sql`(select case when r.layer_id is null and r.failed_over_at is not null then 'failed-over'
    when r.late_since is not null or r.fault ->> 'code' in ('replica_lost', 'out_of_sync') then 'error'
    when r.layer_id is null or (r.synchronous and r.copy_state is distinct from 'in_sync' and exists (select from volume_attachment w where w.volume_id = v.id and w.observed_state is not null)) then 'enabling' else 'enabled' end
  from volume_replica r where r.volume_id = v.id)`;

export const volumeColumns = sql`v.*, ${replicationStatusSql} as replication_status, t.name as type_name, h.name as host_name, h.availability_zone as host_zone,
  p.name as pool_name, coalesce(l.size_bytes, 0) as layer_bytes, ${keyIdSql} as key_id,
  case when a.id is not null then jsonb_build_object('id', a.id, 'server_id', a.server_id, 'desired_presence', a.desired_presence,
    'connector', a.connector, 'completed_at', a.completed_at, 'attached_at', case when a.server_id is null then a.completed_at else a.attached_at end,
    'instance_id', coalesce(a.server_id, a.named_server_id), 'device', a.device, 'mode', a.mode, 'observed_size_bytes', a.observed_size_bytes) end
    as attachment`;

/** @throws CloudError `not_found`, also for what is out of reach */
export async function findVolume(db: Queryable, reach: Reach, id: string): Promise<ListedVolume> {
  const known = parseId(id);
  const { rows } = known
    ? await sql<ListedVolume>`select ${volumeColumns} from ${volumeFrom}
        where v.id = ${known} and ${reachCondition(reach)}`.execute(db)
    : { rows: [] };
  if (!rows[0]) throw notFound('volume', id);
  return rows[0];
}

/**
 * Locks the row, then reads it with what is beside it: whoever changes an attachment or a task of the volume holds the same lock.
 * @throws CloudError `not_found`, also for what is out of reach
 */
export async function lockVolume(tx: Tx, reach: Reach, id: string): Promise<ListedVolume> {
  const known = parseId(id);
  if (!known) throw notFound('volume', id);
  const [, volume] = await Promise.all([
    sql`select from volume where id = ${known} for update`.execute(tx),
    findVolume(tx, reach, known),
  ]);
  return volume;
}

/**
 * All that these servers have. Whoever changes a server and its volumes takes locks in one order, in which nobody waits for who waits for them: the server's row,
 * the rows of volumes by their ids, quotas, the lock of placements, that of pools, layers.
 */
export async function lockVolumesOf(tx: Tx, serverIds: readonly string[]): Promise<void> {
  if (serverIds.length === 0) return;
  await sql`select from volume where id in (select volume_id from volume_attachment where ${isOneOf(sql`server_id`, serverIds)})
    order by id for update`.execute(tx);
}

/** For whoever writes down that it was so once. */
export async function isContentComplete(db: Queryable, id: string): Promise<boolean> {
  const { rows } = await sql`select from volume v join volume_layer l on l.id = v.layer_id
    where v.id = ${id} and ${contentIsCompleteSql}`.execute(db);
  return rows.length > 0;
}

/** What of the row changes with a new generation; absent: as it is. */
export interface VolumeChange {
  task?: VolumeTask | null;
  fault?: StorageFault | null;
  sizeGib?: number;
  layerId?: string;
  typeId?: string;
  poolId?: string;
  hostId?: string;
  moveOutcome?: 'success' | 'error' | null;
  bootable?: boolean;
  readOnly?: boolean;
  imageMetadata?: Record<string, string> | null;
}

/** @returns the new generation */
export async function changeVolume(tx: Tx, id: string, change: VolumeChange): Promise<number> {
  const { task, fault, sizeGib, layerId, typeId, poolId, hostId, moveOutcome, bootable, readOnly, imageMetadata } =
    change;
  const { generation } = await tx
    .updateTable('volume')
    .set({
      ...(task !== undefined && { desired_task: task && json(task) }),
      ...(fault !== undefined && { fault: fault && json(fault) }),
      ...(sizeGib !== undefined && { size_gib: sizeGib }),
      // Another top comes only after the first: from now on the new one's state says nothing of that.
      ...(layerId !== undefined && { layer_id: layerId, launched_at: sql<Date>`coalesce(launched_at, now())` }),
      ...(typeId !== undefined && { volume_type_id: typeId }),
      ...(poolId !== undefined && { pool_id: poolId }),
      ...(hostId !== undefined && { host_id: hostId }),
      ...(moveOutcome !== undefined && { move_outcome: moveOutcome }),
      ...(bootable !== undefined && { bootable }),
      ...(readOnly !== undefined && { read_only: readOnly, read_only_said: true }),
      ...(imageMetadata !== undefined && { image_metadata: imageMetadata && json(imageMetadata) }),
      generation: sql`generation + 1`,
      updated_at: sql`now()`,
    })
    .where('id', '=', id)
    .returning('generation')
    .executeTakeFirstOrThrow();
  return generation;
}

/** What people write on it: no new generation, no host has to hear of it. */
export async function noteVolume(
  tx: Tx,
  id: string,
  notes: {
    name?: string;
    description?: string | null;
    metadata?: Record<string, string>;
    image_metadata?: Record<string, string>;
  },
): Promise<void> {
  const { metadata, image_metadata, ...plain } = notes;
  await tx
    .updateTable('volume')
    .set({
      ...plain,
      ...(metadata && { metadata: json(metadata) }),
      ...(image_metadata && { image_metadata: json(image_metadata) }),
      updated_at: sql`now()`,
    })
    .where('id', '=', id)
    .execute();
}

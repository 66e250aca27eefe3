/**
 * The end of volumes. A volume that nobody has goes in the transaction that is asked for it: what is left of it are layers, which their
 * host removes when it comes to it (../layer/release.ts). So nothing is ever stuck in 'deleting', and a clone outlives its source.
 * One that somebody still has waits for that, and for nothing else.
 */
import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import type { ImageId } from '../../../contract/ids.ts';
import { failCapture } from '../../image/index.ts';
import { actorOf, type Caller, isAdmin, requireAdmin } from '../../kit/caller.ts';
import type { Tx } from '../../kit/database/database.ts';
import { endOperations } from '../../kit/operation/operations.ts';
import { enqueue } from '../../kit/queue/queue.ts';
import { type CachedVolume, isOwed } from '../cache/index.ts';
import { endBackup, endCapture, releaseLayers } from '../layer/index.ts';
import { deleteReplica } from '../replica/index.ts';
import { type ActDependencies, done, onLockedVolume } from './act.ts';
import type { VolumeReasons } from './reasons.ts';
import { snapshotStatusSql } from './snapshot-states-sql.ts';
import { attachmentStatus } from './states.ts';
import type { VolumeTask } from './tables.ts';
import { type ListedVolume, requireStatus } from './volume.ts';

export interface DeleteOptions {
  /** With its snapshots. */
  cascade: boolean;
  /** Administrators: whatever its status. */
  force: boolean;
}

/** @throws CloudError `not_found`, `forbidden`; `invalid` where something is in the way */
export async function deleteVolume(
  deps: ActDependencies,
  caller: Caller,
  id: string,
  options: DeleteOptions,
): Promise<void> {
  await onLockedVolume(deps, caller, id, 'delete a volume', async (tx, volume) => {
    if (options.force) requireAdmin(caller, 'force the deletion of a volume');
    if (volume.desired_presence === 'absent') return;
    await requireDeletable(tx, caller, volume, options);
    await done(tx, actorOf(caller), volume, 'delete');
    await removeVolume(tx, volume);
  });
  deps.log.info({ requestId: caller.requestId, volumeId: id, ...options }, 'volume deleted');
}

/** @throws CloudError `invalid` where something is in the way */
export async function requireDeletable(
  tx: Tx,
  caller: Caller,
  volume: ListedVolume,
  options: DeleteOptions,
): Promise<void> {
  const { id, project_id, attachment } = volume;
  const inTheWay = (why: VolumeReasons['volume_in_the_way']['why']) =>
    new CloudError('invalid', 'volume_in_the_way', { id, why });
  if (attachment && attachmentStatus(attachment) !== 'reserved') throw inTheWay('attached');
  if (volume.group_id !== null) throw inTheWay('group');
  if (!options.force) {
    requireStatus(volume, 'delete', ['available', 'error', 'error_restoring', 'error_extending', 'error_managing']);
  }
  const { rows } = await sql<{ project_id: string; grouped: boolean; status: string }>`select s.project_id,
      s.group_snapshot_id is not null as grouped, ${snapshotStatusSql} as status
    from volume_snapshot s join volume v on v.id = s.volume_id
    where s.volume_id = ${id}`.execute(tx);
  if (rows.length > 0 && !options.cascade) throw inTheWay('snapshots');
  // They go with all of their group's, or not.
  if (rows.some(({ grouped }) => grouped)) throw inTheWay('snapshots_of_group');
  if (options.force) return;
  if (rows.some(({ status }) => !['available', 'error', 'deleting'].includes(status))) throw inTheWay('snapshots_busy');
  if (!isAdmin(caller) && rows.some((snapshot) => snapshot.project_id !== project_id)) {
    throw inTheWay('snapshots_of_others');
  }
}

/**
 * The rows of a volume and its snapshots go, and the layers that nobody else needs; while somebody has it, or waits for what is
 * in its cache, it only shall not be. The
 * volume's row must be locked. Safe to repeat.
 */
export async function removeVolume(
  tx: Tx,
  volume: Pick<ListedVolume, 'id' | 'layer_id' | 'desired_task'> & CachedVolume,
): Promise<void> {
  const { id, desired_task: task } = volume;
  const { rows: held } = await sql`delete from volume_attachment where volume_id = ${id} and server_id is null`
    .execute(tx)
    .then(() => sql`select from volume_attachment where volume_id = ${id}`.execute(tx));
  // What a clone was made of may still be in the cache.
  if (held.length > 0 || (await isOwed(tx, volume))) {
    await sql`update volume set desired_presence = 'absent', generation = generation + 1, updated_at = now()
      where id = ${id} and desired_presence = 'present'`.execute(tx);
    return;
  }
  if (task?.kind === 'upload') {
    await Promise.all([endCapture(tx, task.layer_id, task.image_id), failCapture(tx, task.image_id as ImageId)]);
  }
  if (task?.kind === 'unmanage' && volume.layer_id !== null) await endBackup(tx, volume.layer_id, id);
  const { rows } = await sql<{ id: string; layer_id: string | null }>`
    with taken as (delete from volume_snapshot where volume_id = ${id} returning id, layer_id)
    select id, layer_id from taken union all select id, layer_id from volume where id = ${id}`.execute(tx);
  const replicated = await deleteReplica(tx, id);
  await sql`delete from volume where id = ${id}`.execute(tx);
  const layers = rows.flatMap(({ layer_id }) => layer_id ?? []);
  await releaseLayers(tx, [...layers, ...layersOf(task), ...replicated]);
  // Whatever was begun with any of them.
  for (const gone of rows) await endOperations(tx, gone.id, Number.MAX_SAFE_INTEGER, { state: 'succeeded' });
}

/** Of which something was to become. One that is being backed up is held by that, and let go when the backup is made. */
function layersOf(task: VolumeTask | null): string[] {
  if (task?.kind === 'upload') return [task.layer_id];
  if (task?.kind === 'carry') return [task.layer_id];
  if (task && 'stage' in task && task.stage === 'copying') return task.layer_id === null ? [] : [task.layer_id];
  return task?.kind === 'restore' && task.into ? [task.into.layer_id] : [];
}

/** Those that a server was to take along when it goes: its attachments are gone by then, or go with its row. */
export async function removeWithServer(tx: Tx, volumeIds: readonly string[]): Promise<void> {
  for (const id of volumeIds) {
    await sql`update volume set desired_presence = 'absent', generation = generation + 1, updated_at = now()
      where id = ${id} and desired_presence = 'present'`.execute(tx);
    await enqueue(tx, 'volume', id);
  }
}

/**
 * A volume gets other content: what its latest snapshot holds, or an image. Its top is replaced by a new, empty layer on that; what was
 * written since goes with the layer that nobody needs any more.
 */
import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import { type ImageId, parseId } from '../../../contract/ids.ts';
import { actorOf, type Caller, isAdmin } from '../../kit/caller.ts';
import type { Tx } from '../../kit/database/database.ts';
import { notFound } from '../../kit/refusal.ts';
import { tellServers } from '../attachment/index.ts';
import { isOwed } from '../cache/index.ts';
import { insertLayer, type LayerBase, releaseLayers } from '../layer/index.ts';
import { type ActDependencies, begin, onLockedVolume } from './act.ts';
import { createFromImageDeadlineMs, imageBase, requireClear } from './create.ts';
import { requireImageFits } from './sizes.ts';
import { snapshotStatusSql } from './snapshot-states-sql.ts';
import { volumeStatus } from './states.ts';
import { changeVolume, type VolumeChange } from './store.ts';
import type { VolumeTask } from './tables.ts';
import { gibBytes, imageMetadataOf, type ListedVolume, requireStatus } from './volume.ts';

/** @throws CloudError `not_found`, `forbidden`; `invalid` where it is not the latest one, or of another size; `conflict` where one is not available */
export async function revertVolume(
  deps: ActDependencies,
  caller: Caller,
  id: string,
  snapshotId: string | null,
): Promise<void> {
  await onLockedVolume(deps, caller, id, 'revert a volume', async (tx, volume) => {
    const { rows } = await sql<Latest>`select s.id, s.project_id, s.size_gib, s.layer_id, ${snapshotStatusSql} as status
      from volume_snapshot s join volume v on v.id = s.volume_id
      where s.volume_id = ${id} order by s.created_at desc, s.id desc limit 1`.execute(tx);
    const latest = requireLatest(caller, volume, rows[0], snapshotId);
    requireAvailable('volume', { id, status: volumeStatus(volume) });
    requireAvailable('snapshot', latest);
    const task = { kind: 'revert', snapshot_id: latest.id } as const;
    const generation = await replaceTop(tx, volume, { parentId: latest.layer_id }, { task });
    await begin(tx, actorOf(caller), volume, { verb: 'revert', generation, waitingFor: 'the host to put it back' });
  });
  deps.log.info({ requestId: caller.requestId, volumeId: id, snapshotId }, 'volume revert accepted');
}

export type ReplacingTask = Extract<VolumeTask, { kind: 'revert' | 'reimage' }>;

interface Latest {
  id: string;
  project_id: string;
  size_gib: number;
  layer_id: string;
  status: string;
}

function requireLatest(caller: Caller, volume: ListedVolume, latest: Latest | undefined, asked: string | null): Latest {
  const unfit = (why: 'none' | 'not_latest' | 'size') =>
    new CloudError('invalid', 'volume_revert_snapshot', { id: volume.id, why, snapshot: asked });
  if (!latest) throw unfit('none');
  if (asked === null || parseId(asked) !== latest.id) throw unfit('not_latest');
  // One that stayed with who gave the volume away: what it holds was not given.
  if (!isAdmin(caller) && latest.project_id !== caller.projectId) throw notFound('volume_snapshot', latest.id);
  if (latest.size_gib !== volume.size_gib) throw unfit('size');
  return latest;
}

function requireAvailable(of: 'volume' | 'snapshot', { id, status }: { id: string; status: string }): void {
  if (status !== 'available') throw new CloudError('conflict', 'volume_revert_unfit', { id, of, status });
}

/**
 * The volume holds what the image does.
 * @param options.reserved also of one that a server holds for this very purpose
 * @throws CloudError `not_found`, `forbidden`, `invalid`
 */
export async function reimageVolume(
  deps: ActDependencies,
  caller: Caller,
  id: string,
  { imageId, reserved }: { imageId: string; reserved: boolean },
): Promise<void> {
  await onLockedVolume(deps, caller, id, 'write an image to a volume', async (tx, volume) => {
    requireStatus(volume, 'reimage', reserved ? ['available', 'error', 'reserved'] : ['available', 'error']);
    const image = await deps.images.findForVolume(tx, caller, imageId);
    requireImageFits(image, volume.size_gib);
    if (volume.key_id === null) requireClear(image, volume.type_name);
    const generation = await replaceTop(tx, volume, await imageBase(tx, image), {
      ...{ task: { kind: 'reimage', image_id: image.id as ImageId }, fault: null, bootable: true },
      imageMetadata: imageMetadataOf(image),
    });
    await begin(tx, actorOf(caller), volume, {
      ...{ verb: 'reimage', generation, waitingFor: 'the host to make it of the image' },
      limitMs: createFromImageDeadlineMs,
    });
  });
  deps.log.info({ requestId: caller.requestId, volumeId: id, imageId }, 'volume reimage accepted');
}

/**
 * While somebody waits for what is in its cache that has to sink first, through the layers that it has: the volume's controller goes on then.
 * @throws CloudError `conflict` where that is so and a server has it
 * @returns the volume's new generation
 */
export async function replaceTop(
  tx: Tx,
  volume: ListedVolume,
  base: LayerBase,
  change: VolumeChange & { task: ReplacingTask },
): Promise<number> {
  const { id, layer_id: old, host_id, pool_id, size_gib } = volume;
  if (await isOwed(tx, volume)) {
    // A server would start with what it held.
    if (volume.attachment !== null) throw new CloudError('conflict', 'volume_cache_sinks', { id });
    return changeVolume(tx, id, { ...change, task: { ...change.task, onto: base } });
  }
  if (host_id === null || pool_id === null || old === null) {
    throw new CloudError('invalid', 'volume_status_unfit', {
      id,
      call: 'revert',
      status: 'error',
      wanted: ['available'],
    });
  }
  const layerId = await insertLayer(tx, {
    ...{ volumeId: id, pool: { id: pool_id, host_id }, sizeBytes: size_gib * gibBytes, base, keyId: volume.key_id },
    ...(volume.cache_pool_id !== null && { cache: { role: 'base', fullBytes: null } }),
  });
  const generation = await changeVolume(tx, id, { ...change, layerId });
  await tellServers(tx, [id]);
  await releaseLayers(tx, [old]);
  return generation;
}

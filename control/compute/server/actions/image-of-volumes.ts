/**
 * An image of a server that boots from a volume: a snapshot of each of its volumes, and an image without bytes that names them, as Nova
 * makes it. A server that is made of it gets volumes of its own, made of these snapshots. Nothing waits for a host but the snapshots.
 */

import { insertImageOfVolumes } from '../../../image/index.ts';
import { actorOf } from '../../../kit/caller.ts';
import type { Tx } from '../../../kit/database/database.ts';
import { beginningOf } from '../../../kit/text.ts';
import { serverVolumes } from '../../../storage/server-volume/index.ts';
import { insertSnapshot, requireSnapshotQuota } from '../../../storage/snapshot/index.ts';
import { type ListedVolume, lockVolume, requireStatus } from '../../../storage/volume/index.ts';
import { type MappedVolume, mappingProperties } from '../image-mapping.ts';
import type { ServerRow } from '../server.ts';
import type { ActionWork } from './action.ts';

export async function imageOfVolumes(
  { tx, caller, deps }: ActionWork,
  server: ServerRow,
  wish: { imageId: string; name: string; metadata: Record<string, string> },
): Promise<'done'> {
  const mapping: MappedVolume[] = [];
  let root: ListedVolume | undefined;
  for (const attached of await serverVolumes(tx, server.id)) {
    const volume = await lockVolume(tx, 'all', attached.volume_id);
    requireStatus(volume, 'snapshot', ['in-use']);
    if (attached.boot_index === 0) root = volume;
    mapping.push({ ...attached, size_gib: volume.size_gib, snapshot_id: await snapshotOf(tx, volume) });
  }
  // Anybody may write what a volume says of its image.
  const ofRoot = deps.images.makeable(caller, root?.image_metadata ?? {});
  await insertImageOfVolumes(tx, {
    ...{ id: wish.imageId, projectId: server.project_id, name: wish.name },
    minDiskGib: 0,
    minMemoryMib: Number.parseInt(root?.image_metadata?.min_ram ?? '0', 10) || 0,
    properties: { ...mappingProperties(ofRoot, mapping), ...wish.metadata },
  });
  return 'done';

  async function snapshotOf(tx: Tx, volume: ListedVolume): Promise<string> {
    await requireSnapshotQuota(tx, volume);
    const name = beginningOf(`snapshot for ${wish.name}`, 255);
    const made = { name, description: null, metadata: {}, userId: caller.userId };
    return insertSnapshot(tx, actorOf(caller), volume, made);
  }
}

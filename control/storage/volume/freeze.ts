/**
 * The present content of a volume becomes a layer that nobody writes to any more, and a new empty one on it is the volume's top. For
 * snapshots, for clones, and for images of a volume that a guest has. Its server's host switches the guest over (tellServers), or cuts off the
 * machine outside that has it, which finds the new top at the same place; until it has, the frozen content is not final.
 */
import type { Tx } from '../../kit/database/database.ts';
import { tellServers } from '../attachment/index.ts';
import { type CachedVolume, freezeCached } from '../cache/index.ts';
import { carryExport } from '../export/index.ts';
import { freezeLayer, insertLayer } from '../layer/index.ts';
import { changeVolume } from './store.ts';

export interface Freezable {
  id: string;
  layer_id: string | null;
  host_id: string | null;
  pool_id: string | null;
  cache_pool_id: string | null;
  cache_bytes: number | null;
  cache_policy: CachedVolume['cache_policy'];
  /** Of the volume as it is now. */
  layer_bytes: number;
}

/**
 * The volume's row must be locked.
 * @param onTop.keyId that the new top is encrypted with, null: it is in the clear. Absent: as what is frozen
 * @param onTop.moment that other volumes are frozen in, too. Not of a volume with a cache
 */
export async function freezeTop(
  tx: Tx,
  volume: Freezable,
  onTop: { keyId?: string | null; moment?: string | undefined } = {},
): Promise<{ frozen: string; top: string }> {
  const { id, layer_id: frozen, host_id, pool_id } = volume;
  if (frozen === null || host_id === null || pool_id === null) throw new Error('a volume without a layer is frozen');
  if (volume.cache_pool_id !== null) {
    const made = await freezeCached(tx, volume);
    await changeVolume(tx, id, { layerId: made.top });
    await tellServers(tx, [id]);
    return made;
  }
  // One round trip: statements of a transaction run in order.
  const [, top] = await Promise.all([
    freezeLayer(tx, frozen),
    insertLayer(tx, {
      ...{ volumeId: id, pool: { id: pool_id, host_id }, sizeBytes: volume.layer_bytes },
      ...{ base: { parentId: frozen }, ...onTop },
    }),
  ]);
  await changeVolume(tx, id, { layerId: top });
  await Promise.all([tellServers(tx, [id]), carryExport(tx, id, top)]);
  return { frozen, top };
}

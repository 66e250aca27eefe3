/**
 * The end of a restore into a volume that was there: the layer that its host has made of the backup becomes its top, and what it held goes;
 * or that layer goes, and the volume is as it was. What begins it is in ../backup/.
 */
import type { Tx } from '../../kit/database/database.ts';
import { endOperations } from '../../kit/operation/operations.ts';
import { releaseLayers } from '../layer/index.ts';
import { changeVolume, noteVolume } from './store.ts';
import type { RestoredLayer, VolumeTask } from './tables.ts';
import type { ListedVolume } from './volume.ts';

export type RestoreTask = Extract<VolumeTask, { kind: 'restore' }>;

/** The volume's row must be locked. */
export async function endRestore(tx: Tx, volume: ListedVolume, restored: RestoredLayer): Promise<void> {
  const { id, generation, layer_id: old } = volume;
  const { layer_id: layerId, bootable, metadata, image_metadata: imageMetadata } = restored;
  await changeVolume(tx, id, { task: null, layerId, bootable, imageMetadata });
  await noteVolume(tx, id, { metadata: { ...volume.metadata, ...metadata } });
  await releaseLayers(tx, old === null ? [] : [old]);
  await endOperations(tx, id, generation, { state: 'succeeded' });
}

/** The volume's row must be locked. */
export async function giveUpRestore(tx: Tx, id: string, { layer_id }: RestoredLayer): Promise<void> {
  await changeVolume(tx, id, { task: null });
  await releaseLayers(tx, [layer_id]);
}

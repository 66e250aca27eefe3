/** Layers of volumes on a host, for tests of those who open them. */
import type { DesiredVolume, LayerEncryption } from '../../contract/host/index.ts';
import { type AttachmentId, type LayerId, newId, newOrderedId, type VolumeId } from '../../contract/ids.ts';
import type { HostWorld } from './host-world.ts';

export const volumeBytes = 2 ** 26;

export interface LayerOptions {
  id?: LayerId;
  /** Nobody writes to it any more. */
  parentId?: LayerId | null;
  sizeBytes?: number;
  encryption?: LayerEncryption;
  moment?: string;
}

/** A layer whose file is there when this resolves. */
export async function makeLayer(
  { control }: Pick<HostWorld, 'control'>,
  { id = newOrderedId<LayerId>(), parentId = null, sizeBytes = volumeBytes, encryption, moment }: LayerOptions = {},
): Promise<LayerId> {
  const parent = control.layers.find((layer) => layer.id === parentId);
  if (parent) control.wantLayer({ ...parent, readOnly: true, generation: parent.generation + 1 });
  control.wantLayer({
    ...{ id, volumeId: newOrderedId<VolumeId>(), epoch: 1, generation: 1, presence: 'present', pool: 'local' },
    ...{ sizeBytes, parentId, image: null, readOnly: false },
    ...(encryption && { encryption }),
    ...(moment && { moment }),
  });
  await control.untilLayer(id, 'ready', ({ state }) => state === 'ready');
  return id;
}

export const volumeOf = (layerId: LayerId, changes: Partial<DesiredVolume> = {}): DesiredVolume => ({
  ...{ id: newOrderedId<VolumeId>(), attachmentId: newId<AttachmentId>(), layerId, sizeBytes: volumeBytes },
  ...{ slot: 1, bootIndex: null, readOnly: false, tag: null, device: '/dev/vdb', ...changes },
});

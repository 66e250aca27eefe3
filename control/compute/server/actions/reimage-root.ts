/** The volume that a server boots from gets the content of an image, as part of the server's rebuild. */
import { CloudError } from '../../../../contract/errors.ts';
import { actorOf } from '../../../kit/caller.ts';
import { serverVolumes } from '../../../storage/server-volume/index.ts';
import {
  begin,
  imageMetadataOf,
  lockVolume,
  replaceTop,
  requireImageFits,
  requireStatus,
} from '../../../storage/volume/index.ts';
import { imageSnapshot } from '../create.ts';
import type { BootImage } from '../dependencies.ts';
import type { ServerRow } from '../server.ts';
import { type ActionWork, bytesMs } from './action.ts';

/** @throws CloudError `invalid` where the image is another one than the volume's, and only a newer version of the API writes that */
export async function reimageRoot(
  { tx, caller }: ActionWork,
  server: ServerRow,
  { image, reimage }: { image: BootImage; reimage: boolean },
): Promise<void> {
  const root = (await serverVolumes(tx, server.id)).find(({ boot_index: index }) => index === 0);
  if (!root) throw new CloudError('invalid', 'volume_backed', { id: server.id, call: 'rebuild' });
  const volume = await lockVolume(tx, 'all', root.volume_id);
  if (!reimage) {
    if (volume.image_metadata?.image_id === image.id) return;
    throw new CloudError('invalid', 'rebuild_to_other_image', { image: image.id });
  }
  requireStatus(volume, 'reimage', ['in-use']);
  requireImageFits(image, volume.size_gib);
  const base = { imageId: image.id, image: imageSnapshot(image) };
  const generation = await replaceTop(tx, volume, base, {
    ...{ task: { kind: 'reimage', image_id: image.id }, fault: null, bootable: true },
    imageMetadata: imageMetadataOf(image),
  });
  await begin(tx, actorOf(caller), volume, {
    ...{ verb: 'reimage', generation, waitingFor: 'the host to make it of the image', limitMs: bytesMs },
  });
}

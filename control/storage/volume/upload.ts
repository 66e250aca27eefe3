/**
 * An image is made of a volume, by the volume's host into its own store: no byte passes control. Of a volume that nobody has its top is
 * read, which nobody can take meanwhile; of one in use a frozen layer, so that the image is of one moment.
 */
import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import type { CapturedImage, LayerEncryption } from '../../../contract/host/index.ts';
import { type ImageId, newId, type VolumeId } from '../../../contract/ids.ts';
import { beginCapture, type DiskFormat, failCapture, finishCapture } from '../../image/index.ts';
import { actorOf, type Caller, requireAdmin } from '../../kit/caller.ts';
import type { Tx } from '../../kit/database/database.ts';
import { addCapture, endCapture, type LayerCapture, releaseLayers } from '../layer/index.ts';
import { encryptionWith, insertKey } from '../volume-key/index.ts';
import { type ActDependencies, begin, onLockedVolume } from './act.ts';
import { freezeTop } from './freeze.ts';
import type { ShownImages } from './server-image.ts';
import { changeVolume } from './store.ts';
import type { VolumeTask } from './tables.ts';
import { type ListedVolume, requireStatus } from './volume.ts';

export interface UploadWish {
  name: string;
  diskFormat: string;
  containerFormat: string;
  /** Also of a volume in use. */
  force: boolean;
  visibility: 'community' | 'public' | 'private' | 'shared';
  protected: boolean;
}

export interface Uploaded {
  imageId: ImageId;
  diskFormat: string;
  /** As it was when the upload began. */
  volume: ListedVolume;
}

const servedFormats: ReadonlySet<string> = new Set(['raw', 'qcow2', 'vmdk', 'vdi', 'vhd', 'vhdx']);
const uploadDeadlineMs = 6 * 3600_000;

/**
 * The image of an encrypted volume is encrypted, with a key of its own that goes with the image.
 * @throws CloudError `not_found`, `forbidden`, `invalid`, `quota_exceeded`
 */
export async function uploadVolume(
  deps: ActDependencies & { images: Pick<ShownImages, 'makeable'> },
  caller: Caller,
  id: string,
  wish: UploadWish,
): Promise<Uploaded> {
  const imageId = newId<ImageId>();
  const volume = await onLockedVolume(deps, caller, id, 'make an image of a volume', async (tx, volume) => {
    if (wish.visibility === 'public') requireAdmin(caller, 'make a public image of a volume');
    const { containerFormat: container } = wish;
    const format = imageFormat(volume, wish.diskFormat);
    if (!servedFormats.has(format) || container !== 'bare') {
      throw new CloudError('invalid', 'volume_image_format_unserved', { format, container });
    }
    const status = requireStatus(volume, 'upload', wish.force ? ['available', 'in-use'] : ['available']);
    if (volume.layer_id === null || volume.host_id === null) throw new Error('an available volume has no layer');
    const layerId = status === 'in-use' ? (await freezeTop(tx, volume)).frozen : volume.layer_id;
    const encryption = volume.key_id === null ? undefined : await ownEncryption(tx, volume.key_id);
    await beginCapture(tx, {
      ...{
        id: imageId,
        projectId: caller.projectId ?? volume.project_id,
        from: { kind: 'volume', id: id as VolumeId },
      },
      ...{ hostId: volume.host_id, name: wish.name, minDiskGib: 0, minMemoryMib: 0 },
      ...{ diskFormat: format as DiskFormat, visibility: wish.visibility, protected: wish.protected },
      // Anybody may write what a volume says of its image.
      properties: deps.images.makeable(caller, inherited(volume.image_metadata ?? {})),
      ...(encryption && { keyId: encryption.keyId }),
    });
    await addCapture(tx, layerId, {
      ...{ image_id: imageId, format: format as LayerCapture['format'] },
      ...(encryption && { encryption }),
    });
    const task: VolumeTask = { kind: 'upload', image_id: imageId, layer_id: layerId };
    const generation = await changeVolume(tx, id, { task });
    await begin(tx, actorOf(caller), volume, {
      ...{ verb: 'upload', generation, waitingFor: 'the host to make the image', limitMs: uploadDeadlineMs },
    });
    return volume;
  });
  deps.log.info({ requestId: caller.requestId, volumeId: id, imageId }, 'volume upload accepted');
  return { imageId, diskFormat: imageFormat(volume, wish.diskFormat), volume };
}

/**
 * Of an encrypted volume a qcow2, which QEMU encrypts within, also where a raw file was asked for, as clients do that say nothing.
 * @throws CloudError `invalid` for any other
 */
function imageFormat({ id, key_id }: Pick<ListedVolume, 'id' | 'key_id'>, asked: string): string {
  if (key_id === null) return asked;
  if (asked === 'raw' || asked === 'qcow2') return 'qcow2';
  throw new CloudError('invalid', 'volume_encrypted', { id, call: 'upload' });
}

/** As the volume's, with a key of the image's own: who is given the image has no key of the volume, and the other way round. */
async function ownEncryption(tx: Tx, keyId: string): Promise<LayerEncryption> {
  const encryption = (await encryptionWith(tx, keyId))!;
  return { keyId: await insertKey(tx, encryption), ...encryption };
}

/** Of what the volume keeps of its image: Glance's own columns, and what is only ours, are not the new one's properties. */
const core: ReadonlySet<string> = new Set([
  ...['checksum', 'container_format', 'disk_format', 'image_id', 'image_name', 'min_disk', 'min_ram', 'name', 'size'],
  ...['signature_verified'],
]);

const inherited = (metadata: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(Object.entries(metadata).filter(([key]) => !core.has(key) && !key.startsWith('img_signature')));

/** What came of it, as its layer's row has it; null: the host is still at it. */
export interface UploadOutcome {
  result: CapturedImage | null;
  error: { code: string; message: string } | null;
}

/** Ends it, whatever came of it. @returns why there is no image, where there is none */
export async function endUpload(
  tx: Tx,
  id: string,
  task: Extract<VolumeTask, { kind: 'upload' }>,
  outcome: UploadOutcome,
): Promise<string | null> {
  const imageId = task.image_id as ImageId;
  let failure: string | null = null;
  if (outcome.result) failure = (await finishCapture(tx, imageId, id as VolumeId, outcome.result)) ?? null;
  else {
    await failCapture(tx, imageId);
    failure = outcome.error?.message ?? 'The host could not make the image.';
  }
  await endCapture(tx, task.layer_id, imageId);
  await changeVolume(tx, id, { task: null });
  await releaseLayers(tx, [task.layer_id]);
  return failure;
}

/** Somebody may have deleted the image meanwhile. */
export async function isWanted(tx: Tx, imageId: string): Promise<boolean> {
  const { rows } = await sql`select from image where id = ${imageId} and desired_presence = 'present'`.execute(tx);
  return rows.length > 0;
}

/**
 * Images of a server's disk, by hand or as one of a row of backups. The server's row names the image until its host has made it; the
 * host copies the disk as it is at one moment, whether the guest runs or not.
 */
import { CloudError } from '../../../../contract/errors.ts';
import type { ImageId, ServerId } from '../../../../contract/ids.ts';
import { beginCapture, inheritedFrom, limits } from '../../../image/index.ts';
import { isVolumeBacked, type ServerRow } from '../server.ts';
import type { ServerCapture } from '../states.ts';
import type { ActionWork, Decision, ServerAction } from './action.ts';
import { imageOfVolumes } from './image-of-volumes.ts';

export interface ImageWish {
  /** Of the image to be; chosen by the caller, who has to answer it. */
  imageId: ImageId;
  name: string;
  metadata: Record<string, string>;
}

export interface BackupWish extends ImageWish {
  /** daily, weekly, … */
  backupType: string;
  /** How many of this type are kept. */
  rotation: number;
}

/** As many bytes as a disk has. */
export const captureMs = 6 * 3_600_000;

export const longestImageName = limits.nameLength;

export const createImage: ServerAction<ImageWish> = {
  verb: 'createImage',
  doing: 'make an image of a server',
  deadlineMs: captureMs,
  async decide(work, server, wish) {
    work.deps.images.requireProperties(work.caller, wish.metadata);
    if (isVolumeBacked(server)) return imageOfVolumes(work, server, wish);
    // As Nova, whose callers may call it something else.
    const { image_type = 'snapshot' } = wish.metadata;
    return capture(work, server, wish, { image_type }, { image_id: wish.imageId, kind: 'image' });
  },
};

export const createBackup: ServerAction<BackupWish> = {
  verb: 'createBackup',
  doing: 'back up a server',
  deadlineMs: captureMs,
  async decide(work, server, wish) {
    if (isVolumeBacked(server))
      throw new CloudError('invalid', 'volume_backed', { id: server.id, call: 'createBackup' });
    work.deps.images.requireProperties(work.caller, wish.metadata);
    const { imageId, backupType, rotation } = wish;
    const properties = { image_type: 'backup', backup_type: backupType };
    const wanted = { image_id: imageId, kind: 'backup', backup_type: backupType, keep: rotation } as const;
    return capture(work, server, wish, properties, wanted);
  },
};

/** What of an image belongs to it alone (Nova's non_inheritable_image_properties, and what it writes itself). */
const own =
  /^(cache_in_nova|bittorrent|img_signature.*|image_type|backup_type|instance_uuid|user_id|base_image_ref|cinder_encryption_key_.*)$/;

async function capture(
  work: ActionWork,
  server: ServerRow,
  wish: ImageWish,
  kind: Record<string, string>,
  wanted: ServerCapture,
): Promise<Decision> {
  await beginImage(work, server, wish, kind);
  return { capture: wanted };
}

/** The image that is to be, with what it has of the server and of the image that this was made from. */
export async function beginImage(
  { tx, caller }: ActionWork,
  server: ServerRow,
  wish: ImageWish,
  kind: Record<string, string>,
): Promise<void> {
  const { properties, minMemoryMib } = await inheritedFrom(tx, server.image_id);
  const inherited = Object.entries(properties).filter(([key]) => !own.test(key));
  await beginCapture(tx, {
    id: wish.imageId,
    projectId: server.project_id,
    from: { kind: 'server', id: server.id as ServerId },
    hostId: server.host_id!,
    name: wish.name,
    minDiskGib: server.disk_gib,
    minMemoryMib,
    properties: {
      ...Object.fromEntries(inherited),
      ...wish.metadata,
      ...{ instance_uuid: server.id, user_id: caller.userId, base_image_ref: server.image_id ?? '' },
      ...kind,
    },
  });
}

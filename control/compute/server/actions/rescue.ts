/**
 * Rescue: the guest boots from a disk made of an image of choice, its own root is the second disk. The disk of the rescue is
 * thrown away with its end; Nova brings a server back running, whatever it was before.
 */
import { CloudError, isCloudError } from '../../../../contract/errors.ts';
import type { ImageId } from '../../../../contract/ids.ts';
import type { Secret } from '../../../../contract/secret.ts';
import { replaceAdminPassword } from '../admin-password.ts';
import { imageSnapshot } from '../create.ts';
import type { BootImage } from '../dependencies.ts';
import { isVolumeBacked, type ServerRow } from '../server.ts';
import { type ActionWork, bytesMs, type Decision, type ServerAction } from './action.ts';

export interface RescueWish {
  /** Null: the image that the server was made from. */
  imageId: ImageId | null;
  /** For the rescue's guest, by its config drive. */
  password: Secret | null;
  /** Also one that boots from a volume: since 2.87. */
  volumeBacked?: boolean;
}

export const rescue: ServerAction<RescueWish> = {
  verb: 'rescue',
  doing: 'rescue a server',
  deadlineMs: bytesMs,
  async decide(work, server, { imageId, password, volumeBacked }): Promise<Decision> {
    if (isVolumeBacked(server) && !volumeBacked) {
      throw new CloudError('invalid', 'volume_backed', { id: server.id, call: 'rescue' });
    }
    const chosen = imageId ?? (server.image_id as ImageId | null);
    if (chosen === null) throw new CloudError('invalid', 'rescue_without_image', { id: server.id });
    if (server.config_drive && password) await replaceAdminPassword(work.tx, server.id, password);
    // As long as the server lives its host has what the root disk builds on, whatever became of the image.
    if (chosen === server.image_id && server.image !== null) return from(chosen, server.image);
    const image = await rescueImage(work, chosen);
    return from(chosen, imageSnapshot(image));
  },
};

const from = (image_id: string, image: NonNullable<ServerRow['image']>): Decision => ({
  power: 'on',
  rescue: { image_id, image },
});

/** Hidden, not active, or nothing to boot from: Nova says the same of all of them. */
async function rescueImage({ tx, caller, deps }: ActionWork, id: ImageId): Promise<BootImage> {
  const unsupported = (cause?: unknown) => new CloudError('invalid', 'rescue_image_unsupported', { id }, { cause });
  try {
    const image = await deps.images.findForServer(tx, caller, id);
    if (image.disk_format !== null) return image;
  } catch (error) {
    if (isCloudError(error, 'not_found') || isCloudError(error, 'invalid')) throw unsupported(error);
    throw error;
  }
  throw unsupported();
}

export const unrescue: ServerAction = {
  verb: 'unrescue',
  doing: 'unrescue a server',
  deadlineMs: bytesMs,
  decide: () => ({ power: 'on', rescue: null }),
};

/**
 * Rebuild: the root disk is made anew from an image. What makes it the same server stays: its id, its ports and addresses, its
 * place and size; what a UEFI firmware has written down goes with the disk, as in Nova. What people call it, its key and what its guest is told may be given anew.
 */
import { sql } from 'kysely';
import { CloudError, isCloudError } from '../../../../contract/errors.ts';
import type { ImageId } from '../../../../contract/ids.ts';
import type { Secret } from '../../../../contract/secret.ts';
import type { Caller } from '../../../kit/caller.ts';
import type { Tx } from '../../../kit/database/database.ts';
import { hardwareOf, requireAbleHost } from '../../hardware/index.ts';
import { replaceAdminPassword } from '../admin-password.ts';
import { checkMetadata, diskFor, imageSnapshot } from '../create.ts';
import type { BootImage } from '../dependencies.ts';
import { checkPersonality, type InjectedFile, replacePersonality } from '../personality.ts';
import { isVolumeBacked, type ServerRow } from '../server.ts';
import type { KeySnapshot } from '../snapshots.ts';
import { replaceUserData, type ServerNotes, updateNotes } from '../store.ts';
import { type ActionWork, bytesMs, type Decision, requireNoTpm, type ServerAction } from './action.ts';
import { reimageRoot } from './reimage-root.ts';

/** What is not named stays. */
export interface RebuildWish {
  imageId: ImageId | null;
  password: Secret;
  notes: Pick<
    ServerNotes,
    'name' | 'description' | 'hostname' | 'metadata' | 'disk_config' | 'access_ipv4' | 'access_ipv6'
  >;
  /** Of the caller's own; null: none any more. */
  keyName?: string | null;
  /** Base64; null: none any more. */
  userData?: string | null;
  /** Nova's personality; those of before go with the disk. */
  files: InjectedFile[];
  /** The volume that it boots from gets the image's content, too: since 2.93. */
  reimage?: boolean;
}

export const rebuild: ServerAction<RebuildWish> = {
  verb: 'rebuild',
  doing: 'rebuild a server',
  deadlineMs: bytesMs,
  async decide(work, server, wish): Promise<Decision> {
    const { tx, caller } = work;
    requireNoTpm(server, 'rebuild');
    const image = await rebuildImage(work, wish.imageId);
    const volumeBacked = isVolumeBacked(server);
    const disk_gib = volumeBacked ? server.disk_gib : diskFor(server.flavor, image);
    const hardware = hardwareOf(image.owner_properties, server.flavor);
    await requireAbleHost(tx, hardware, server.host_id);
    const key = wish.keyName === undefined ? undefined : await keyOf(tx, caller, wish.keyName);
    if (wish.notes.metadata) await checkMetadata(tx, server.project_id, wish.notes.metadata);
    await checkPersonality(tx, server.project_id, wish.files);
    if (volumeBacked) await reimageRoot(work, server, { image, reimage: wish.reimage ?? false });
    await updateNotes(tx, server.id, wish.notes);
    await replacePersonality(tx, server.id, wish.files);
    if (wish.userData !== undefined) await replaceUserData(tx, server.id, wish.userData);
    if (server.config_drive) await replaceAdminPassword(tx, server.id, wish.password);
    return {
      fault: null,
      // Of a server in ERROR: nothing of what it was before is left to go on with.
      rescue: null,
      ...(isHeld(server) && { power: 'on' as const }),
      // What its guest has in its memory is of the disk as it was.
      ...(volumeBacked && server.desired_power !== 'off' && { reboot: 'hard' as const }),
      rebuild: {
        ...{ image_id: volumeBacked ? null : image.id, image: volumeBacked ? null : imageSnapshot(image) },
        ...{ disk_gib, hardware },
        ...(key !== undefined && { key_name: key?.name ?? null, keys: key ? [key] : [] }),
      },
    };
  },
};

const isHeld = ({ desired_power: power }: ServerRow): boolean => power === 'paused' || power === 'suspended';

/** Hidden is the same as not there. */
async function rebuildImage({ tx, caller, deps }: ActionWork, id: ImageId | null): Promise<BootImage> {
  const missing = (cause?: unknown) => new CloudError('invalid', 'rebuild_image_not_found', {}, { cause });
  if (id === null) throw missing();
  try {
    return await deps.images.findForServer(tx, caller, id);
  } catch (error) {
    throw isCloudError(error, 'not_found') ? missing(error) : error;
  }
}

/** Keys are people's, not projects': the caller's own, whoever made the server. */
async function keyOf(tx: Tx, caller: Caller, name: string | null): Promise<KeySnapshot | null> {
  if (name === null) return null;
  const { rows } = await sql<KeySnapshot>`select name, public_key, type from key_pair
    where user_id = ${caller.userId} and name = ${name}`.execute(tx);
  if (!rows[0]) throw new CloudError('invalid', 'key_pair_unknown', { name });
  return rows[0];
}

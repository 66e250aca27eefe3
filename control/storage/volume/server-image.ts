/**
 * An image of a server that boots from a volume has no bytes: it names the snapshot of that volume (Nova's `block_device_mapping`), and a
 * volume that is made of the image is made of that snapshot, as Cinder has it since 3.46.
 */
import { parseId } from '../../../contract/ids.ts';
import type { Caller } from '../../kit/caller.ts';
import type { VolumeWish } from './create.ts';

/** Part of ImageService (control/image). */
export interface ShownImages {
  /** @throws CloudError `not_found` */
  show(caller: Caller, imageId: string): Promise<{ owner_properties: Readonly<Record<string, string>> }>;
  /** Those of them that a new image of the caller's may have. */
  makeable(caller: Caller, properties: Readonly<Record<string, string>>): Record<string, string>;
}

/** The same wish, of the snapshot where its image names one. @throws CloudError `not_found` */
export async function ofServerImage(images: ShownImages, caller: Caller, wish: VolumeWish): Promise<VolumeWish> {
  // With a second source it is refused whatever the image is.
  if (wish.imageId === null || wish.snapshotId !== null || wish.sourceVolumeId !== null) return wish;
  const { owner_properties } = await images.show(caller, wish.imageId);
  const snapshotId = rootSnapshotOf(owner_properties);
  return snapshotId === null ? wish : { ...wish, imageId: null, snapshotId };
}

/** Read as anybody may have written it: what is no mapping names nothing. */
function rootSnapshotOf({ block_device_mapping: text }: Readonly<Record<string, string>>): string | null {
  const mapping = parsed(text);
  const root = mapping.find((each) => each?.source_type === 'snapshot' && each.boot_index === 0);
  return typeof root?.snapshot_id === 'string' ? (parseId(root.snapshot_id) ?? null) : null;
}

function parsed(text: string | undefined): (Record<string, unknown> | null)[] {
  try {
    const value: unknown = JSON.parse(text ?? '');
    return Array.isArray(value) ? value.slice(0, 100) : [];
  } catch {
    return [];
  }
}

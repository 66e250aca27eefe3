/** How large a new volume is, and whether what it is made of fits. Pure. */
import { CloudError } from '../../../contract/errors.ts';
import type { VolumeTypeRow } from '../volume-type/index.ts';
import type { VolumeSource } from './source.ts';
import { gibOf, type ImageFacts } from './volume.ts';

type SizedImage = Pick<ImageFacts, 'size_bytes' | 'min_disk_gib'> & { virtual_size_bytes: number | null };

/** Cinder's provisioning:min_vol_size and max_vol_size. @throws CloudError `invalid` */
export function requireSizeOfType(type: Pick<VolumeTypeRow, 'name' | 'extra_specs'>, sizeGib: number): void {
  const limit = (name: string) => {
    const value = Number.parseInt(type.extra_specs[name] ?? '', 10);
    return Number.isNaN(value) ? null : value;
  };
  const [minimum_gib, maximum_gib] = [limit('provisioning:min_vol_size'), limit('provisioning:max_vol_size')];
  if (sizeGib >= (minimum_gib ?? 1) && sizeGib <= (maximum_gib ?? sizeGib)) return;
  const fields = { size_gib: sizeGib, type: type.name, minimum_gib, maximum_gib };
  throw new CloudError('invalid', 'volume_size_beyond_type', fields);
}

/** @throws CloudError `invalid` where it would be smaller than what it is made of */
export function sizeFor(
  wish: { sizeGib: number | null; restored?: { sizeGib: number } },
  source: VolumeSource | null,
  image: SizedImage | null,
): number {
  const { restored } = wish;
  const size = wish.sizeGib ?? source?.size_gib ?? restored?.sizeGib;
  if (size === undefined) throw new CloudError('invalid', 'volume_size_missing', {});
  if (source && size < source.size_gib) {
    const fields = { size_gib: size, of: source.kind, minimum_gib: source.size_gib };
    throw new CloudError('invalid', 'volume_size_below', fields);
  }
  if (restored && size < restored.sizeGib) {
    throw new CloudError('invalid', 'volume_size_below', {
      size_gib: size,
      of: 'backup',
      minimum_gib: restored.sizeGib,
    });
  }
  if (image) requireImageFits(image, size);
  return size;
}

/** @throws CloudError `invalid` */
export function requireImageFits(image: SizedImage, sizeGib: number): void {
  const needed = gibOf(Math.max(image.virtual_size_bytes ?? 0, image.size_bytes ?? 0));
  if (needed > sizeGib) {
    throw new CloudError('invalid', 'volume_image_too_large', { image_gib: needed, size_gib: sizeGib });
  }
  if (image.min_disk_gib > sizeGib) {
    const fields = { size_gib: sizeGib, minimum_gib: image.min_disk_gib };
    throw new CloudError('invalid', 'volume_below_minimum_disk', fields);
  }
}

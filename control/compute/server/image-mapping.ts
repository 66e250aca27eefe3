/**
 * What an image of a server that boots from a volume says of its volumes: Nova's properties `block_device_mapping` (JSON), `bdm_v2` and
 * `root_device_name`, so that its clients read them too. Read as anybody may have written them. Pure.
 */
import { parseId } from '../../../contract/ids.ts';
import type { ServerVolume } from '../../storage/server-volume/index.ts';
import { rootVolume, type ServerVolumeWish } from './create-volumes.ts';

export interface MappedVolume extends Pick<ServerVolume, 'boot_index' | 'delete_on_termination' | 'tag'> {
  snapshot_id: string;
  size_gib: number;
}

/** Of what the volume keeps of its image, what says something of any machine that boots from it. */
const inherited = /^(hw_|hw:|os_|img_(?!signature)|architecture$)/;

/** @param metadata of the image that the root volume was made from */
export function mappingProperties(
  metadata: Readonly<Record<string, string>>,
  volumes: readonly MappedVolume[],
): Record<string, string> {
  const mapping = volumes.map(({ snapshot_id, size_gib, boot_index, delete_on_termination, tag }) => ({
    ...{ source_type: 'snapshot', destination_type: 'volume', snapshot_id, volume_size: size_gib },
    ...{ boot_index, delete_on_termination, tag, device_type: 'disk', disk_bus: null, guest_format: null },
    ...{ volume_id: null, image_id: null, no_device: null, volume_type: null },
  }));
  return {
    ...Object.fromEntries(Object.entries(metadata).filter(([key]) => inherited.test(key))),
    ...{
      block_device_mapping: JSON.stringify(mapping),
      bdm_v2: 'True',
      root_device_name: '/dev/vda',
      base_image_ref: '',
    },
  };
}

/** The volumes that a server of such an image gets; undefined where it is none. */
export function mappedVolumes(properties: Readonly<Record<string, string>>): ServerVolumeWish[] | undefined {
  const mapping = parsed(properties.block_device_mapping);
  const wishes = mapping?.flatMap((each) => wishOf(each) ?? []);
  return wishes && rootVolume(wishes) ? wishes : undefined;
}

function parsed(text: string | undefined): unknown[] | undefined {
  try {
    const value: unknown = JSON.parse(text ?? '');
    return Array.isArray(value) ? value.slice(0, 100) : undefined;
  } catch {
    return undefined;
  }
}

function wishOf(value: unknown): ServerVolumeWish | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { snapshot_id, volume_size, boot_index, delete_on_termination, tag } = value as Record<string, unknown>;
  const id = typeof snapshot_id === 'string' ? parseId(snapshot_id) : undefined;
  if (!id) return undefined;
  const whole = (number: unknown) => (Number.isInteger(number) && (number as number) >= 0 ? (number as number) : null);
  return {
    ...{ source: 'snapshot', id, sizeGib: whole(volume_size) || null, bootIndex: whole(boot_index), type: null },
    ...{ tag: typeof tag === 'string' ? tag.slice(0, 60) : null, deleteOnTermination: delete_on_termination === true },
  };
}

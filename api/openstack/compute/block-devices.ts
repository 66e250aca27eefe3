/**
 * block_device_mapping, old and new: which disks a create asks for, read as Nova reads them (nova/block_device.py and compute/api.py,
 * _validate_bdm). What needs a volume is refused with that reason, and so is what would otherwise be ignored.
 */
import { type Static, Type } from 'typebox';
import type { LocalDiskWish } from '../../../control/compute/server/index.ts';
import { Refusal } from '../../boundary/refusal.ts';
import * as v from './validate.ts';

const optional = Type.Optional;
const text = () => optional(v.text(0, 255));

const oldFields = {
  virtual_name: text(),
  volume_id: optional(v.uuid),
  snapshot_id: optional(v.uuid),
  volume_size: optional(v.integer(1)),
  device_name: optional(Type.String({ minLength: 1, maxLength: 255, pattern: '^[a-zA-Z0-9._/-]*$' })),
  delete_on_termination: optional(v.boolean),
  no_device: optional(Type.Unknown()),
  connection_info: optional(v.text(0, 65_535)),
};
export const oldBlockDevice = v.strict(oldFields);
type OldDevice = Static<typeof oldBlockDevice>;

export const blockDevice = (version: number) =>
  v.strict({
    ...oldFields,
    image_id: optional(v.uuid),
    uuid: optional(Type.String({ minLength: 1, maxLength: 255, pattern: '^[a-zA-Z0-9._-]*$' })),
    source_type: optional(Type.Enum(['volume', 'image', 'snapshot', 'blank'])),
    destination_type: optional(Type.Enum(['local', 'volume'])),
    guest_format: text(),
    device_type: text(),
    disk_bus: text(),
    boot_index: optional(Type.Union([Type.Integer(), Type.String({ pattern: '^-?[0-9]+$' }), Type.Null()])),
    tag: v.when(version === 32 || version >= 42, v.tag),
    volume_type: v.when(version >= 67, Type.Union([v.text(0, 255), Type.Null()])),
  });
type Device = Static<ReturnType<typeof blockDevice>>;

export interface BlockDevices {
  /** Of the disk that it boots from, where a mapping names it. */
  bootImage: string | undefined;
  localDisks: LocalDiskWish[];
  /** Each bus that a mapping asks for. */
  diskBuses: string[];
}

/** Nova's max_local_block_devices, as it comes. */
const maxLocal = 3;

/** @throws Refusal */
export function readBlockDevices(server: {
  imageRef?: string;
  block_device_mapping?: OldDevice[];
  block_device_mapping_v2?: Device[];
}): BlockDevices {
  const [old, given] = [server.block_device_mapping ?? [], server.block_device_mapping_v2 ?? []];
  if (old.length > 0 && given.length > 0) {
    const message = 'Using different block_device_mapping syntaxes is not allowed in the same request.';
    throw new Refusal('invalid', message);
  }
  const devices = [...old.flatMap(fromOld), ...given.filter(({ no_device: none }) => !none)].map(typed);
  devices.forEach(requireServed);
  const roots = devices.filter(({ source_type }) => source_type === 'image');
  requireSequence(devices, { rootGiven: roots.length > 0 || !server.imageRef });
  const locals = devices.length + (roots.length === 0 ? 1 : 0);
  if (locals > maxLocal) throw invalid('You specified more local devices than the limit allows');
  return {
    bootImage: roots[0] && (roots[0].image_id ?? roots[0].uuid),
    localDisks: devices.filter(({ source_type }) => source_type === 'blank').map(localDisk),
    diskBuses: [...new Set(devices.flatMap(({ disk_bus }) => disk_bus || []))],
  };
}

const invalid = (details: string) => new Refusal('invalid', `Block Device Mapping is Invalid: ${details}`);

const notHere = (what: string) =>
  new Refusal(
    'invalid',
    `${what} is not in this release of Bothy: a server has disks of its host only, made of an image or blank`,
  );

function fromOld({ virtual_name: name = '', no_device: none, ...device }: OldDevice): Device[] {
  if (none) return [];
  if (name === 'swap' || /^ephemeral\d+$/.test(name)) {
    return [{ ...device, source_type: 'blank', ...(name === 'swap' && { guest_format: 'swap' }) }];
  }
  if (device.volume_id) return [{ ...device, source_type: 'volume', uuid: device.volume_id }];
  if (device.snapshot_id) return [{ ...device, source_type: 'snapshot', uuid: device.snapshot_id }];
  throw invalid('Unrecognized legacy format.');
}

/** With the one source that it has, told or by which id it names. */
function typed(device: Device): Device & { source_type: NonNullable<Device['source_type']> } {
  const { uuid, image_id, snapshot_id, volume_id } = device;
  const named = image_id ? 'image' : snapshot_id ? 'snapshot' : volume_id ? 'volume' : undefined;
  const source_type = device.source_type ?? named;
  if (source_type === undefined) throw invalid('Invalid source_type field.');
  if (source_type === 'blank' && (uuid ?? named)) throw invalid('Invalid device UUID.');
  if (source_type !== 'blank' && !uuid && named !== source_type) throw invalid('Missing device UUID.');
  return { ...device, source_type };
}

function requireServed(device: ReturnType<typeof typed>): void {
  const { source_type, destination_type = 'local', volume_type, device_type, tag, boot_index } = device;
  if (source_type === 'volume' || source_type === 'snapshot') {
    throw notHere(`block_device_mapping from a ${source_type} (volumes)`);
  }
  if (destination_type === 'volume') throw notHere('block_device_mapping to a volume (volumes)');
  if (volume_type) throw invalid('Specifying a volume_type with destination_type=local is not supported.');
  if (source_type === 'image' && Number(boot_index ?? -1) !== 0)
    throw invalid('Mapping image to local is not supported.');
  if (device_type && device_type !== 'disk') throw notHere(`A block device of type ${device_type}`);
  if (tag !== undefined) throw notHere('The tag of a block device');
}

/** Boot indexes count from 0 without a gap; a negative one, or none, is not booted from. */
function requireSequence(devices: readonly Device[], { rootGiven }: { rootGiven: boolean }): void {
  const indexes = devices.map(({ boot_index }) => Number(boot_index ?? -1)).filter((index) => index >= 0);
  const all = [...(rootGiven ? [] : [0]), ...indexes].sort((a, b) => a - b);
  if (all.some((index, place) => index !== place)) {
    throw invalid('Boot sequence for the instance and image/block device mapping combination is not valid.');
  }
}

/** Swap space has its size in MiB. */
function localDisk({ guest_format: format, volume_size: size }: Device): LocalDiskWish {
  if (format === 'swap') return { kind: 'swap', sizeMiB: size === undefined ? null : Number(size), format: null };
  if (format && format !== 'ext2' && format !== 'ext3' && format !== 'ext4') {
    throw notHere(`A block device with guest_format ${format}`);
  }
  return {
    ...{ kind: 'ephemeral', sizeMiB: size === undefined ? null : Number(size) * 1024 },
    format: format ? (format as 'ext2' | 'ext3' | 'ext4') : null,
  };
}

/**
 * block_device_mapping, old and new: which disks a create asks for, read as Nova reads them (nova/block_device.py and compute/api.py,
 * _validate_bdm). What would otherwise be ignored is refused with the reason.
 */
import { type Static, Type } from 'typebox';
import { parseId } from '../../../contract/ids.ts';
import type { LocalDiskWish, ServerVolumeWish } from '../../../control/compute/server/index.ts';
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
  /** Of the disk of its own that it boots from, where a mapping names it. */
  bootImage: string | undefined;
  /** What the guest is told beside that disk. */
  rootTag: string | null;
  localDisks: LocalDiskWish[];
  /** Each bus that a mapping asks for. */
  diskBuses: string[];
  /** The one with the boot index 0 is what it boots from: then it has no disk of its own. */
  volumes: ServerVolumeWish[];
}

/** Nova's max_local_block_devices, as it comes. */
const maxLocal = 3;

/** With what Nova's defaults fill in. */
interface Typed extends Device {
  source_type: NonNullable<Device['source_type']>;
  destination_type: NonNullable<Device['destination_type']>;
}

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
  requireSequence(devices, { imageGiven: Boolean(server.imageRef) });
  const locals = devices.filter(isLocal);
  const root = locals.find(({ source_type }) => source_type === 'image');
  const rootVolume = devices.some((device) => !isLocal(device) && bootIndexOf(device) === 0);
  if (locals.length + (root || rootVolume ? 0 : 1) > maxLocal) {
    throw invalid('You specified more local devices than the limit allows');
  }
  return {
    bootImage: root && sourceId(root),
    rootTag: root?.tag ?? null,
    localDisks: locals.filter(({ source_type }) => source_type === 'blank').map(localDisk),
    diskBuses: [...new Set(devices.flatMap(({ disk_bus }) => disk_bus || []))],
    volumes: devices.filter((device) => !isLocal(device)).map(volumeOf),
  };
}

const invalid = (details: string) => new Refusal('invalid', `Block Device Mapping is Invalid: ${details}`);

const notHere = (what: string) => new Refusal('invalid', `${what} is not in this release of Bothy`);

const isLocal = ({ destination_type }: Typed): boolean => destination_type === 'local';

/** Negative: it is not booted from. */
const bootIndexOf = ({ boot_index }: Device): number => Number(boot_index ?? -1);

const sourceId = ({ uuid, image_id, snapshot_id, volume_id }: Device): string | undefined =>
  uuid ?? image_id ?? snapshot_id ?? volume_id;

/** What the old form calls the first disk is what the server boots from. */
const isFirst = (name: string | undefined): boolean => /^(\/dev\/)?vda$/.test(name ?? '');

function fromOld({ virtual_name: name = '', no_device: none, ...device }: OldDevice): Device[] {
  if (none) return [];
  if (name === 'swap' || /^ephemeral\d+$/.test(name)) {
    return [{ ...device, source_type: 'blank', ...(name === 'swap' && { guest_format: 'swap' }) }];
  }
  const boot_index = isFirst(device.device_name) ? 0 : -1;
  if (device.volume_id) return [{ ...device, boot_index, source_type: 'volume', uuid: device.volume_id }];
  if (device.snapshot_id) return [{ ...device, boot_index, source_type: 'snapshot', uuid: device.snapshot_id }];
  throw invalid('Unrecognized legacy format.');
}

/** With the one source that it has, told or by which id it names. */
function typed(device: Device): Typed {
  const { uuid, image_id, snapshot_id, volume_id } = device;
  const named = image_id ? 'image' : snapshot_id ? 'snapshot' : volume_id ? 'volume' : undefined;
  const source_type = device.source_type ?? named;
  if (source_type === undefined) throw invalid('Invalid source_type field.');
  if (source_type === 'blank' && (uuid ?? named)) throw invalid('Invalid device UUID.');
  if (source_type !== 'blank' && !uuid && named !== source_type) throw invalid('Missing device UUID.');
  const always = source_type === 'volume' || source_type === 'snapshot' ? 'volume' : 'local';
  return { ...device, source_type, destination_type: device.destination_type ?? always };
}

function requireServed(device: Typed): void {
  const { source_type, destination_type, volume_type, device_type, volume_size } = device;
  if (device_type && device_type !== 'disk') throw notHere(`A block device of type ${device_type}`);
  if (destination_type === 'volume') {
    if (source_type === 'volume' && volume_type)
      throw invalid('Specifying volume type to existing volume is not supported.');
    if (source_type === 'image' && volume_size === undefined)
      throw invalid("Images with destination_type 'volume' need to have a non-zero size specified");
    if (source_type === 'blank' && volume_size === undefined)
      throw invalid("Blank volumes (source: 'blank', dest: 'volume') need to have non-zero size");
    return;
  }
  if (source_type === 'volume' || source_type === 'snapshot') {
    throw invalid(`A ${source_type} with destination_type=local is not supported.`);
  }
  if (volume_type) throw invalid('Specifying a volume_type with destination_type=local is not supported.');
  if (source_type === 'image' && bootIndexOf(device) !== 0) throw invalid('Mapping image to local is not supported.');
}

/** Boot indexes count from 0 without a gap; a negative one, or none, is not booted from. An image is booted from where nothing is first. */
function requireSequence(devices: readonly Device[], { imageGiven }: { imageGiven: boolean }): void {
  const indexes = devices.map(bootIndexOf).filter((index) => index >= 0);
  const implied = imageGiven && !indexes.includes(0) ? [0] : [];
  const all = [...implied, ...indexes].sort((a, b) => a - b);
  if (all.some((index, place) => index !== place) || (devices.length > 0 && all.length === 0)) {
    throw invalid('Boot sequence for the instance and image/block device mapping combination is not valid.');
  }
}

/** Swap space has its size in MiB. */
function localDisk({ guest_format: format, volume_size: size, tag }: Device): LocalDiskWish {
  const told = tag === undefined ? {} : { tag };
  if (format === 'swap')
    return { kind: 'swap', sizeMiB: size === undefined ? null : Number(size), format: null, ...told };
  if (format && format !== 'ext2' && format !== 'ext3' && format !== 'ext4') {
    throw notHere(`A block device with guest_format ${format}`);
  }
  return {
    ...{ kind: 'ephemeral', sizeMiB: size === undefined ? null : Number(size) * 1024 },
    format: format ? (format as 'ext2' | 'ext3' | 'ext4') : null,
    ...told,
  };
}

/** No format is asked for: what is in a volume is its owner's. */
function volumeOf(device: Typed): ServerVolumeWish {
  const { source_type: source, volume_size: size, volume_type: type, tag, delete_on_termination: goes } = device;
  const [id, index] = [sourceId(device), bootIndexOf(device)];
  const known = id === undefined ? null : parseId(id);
  if (known === undefined) throw invalid(`failed to get ${source} ${id!.slice(0, 100)}.`);
  return {
    ...{ source, id: known, sizeGib: size === undefined ? null : Number(size), type: type || null },
    ...{ bootIndex: index >= 0 ? index : null, tag: tag ?? null },
    deleteOnTermination: goes !== undefined && v.toBoolean(goes),
  };
}

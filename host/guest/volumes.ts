/**
 * A volume as a disk of its guest: its device, on the command line and as QMP takes it, and its name. Which files it is of is the
 * caller's (`node`, the whole chain spelled out). Pure.
 *
 * A full pool is the host's trouble and passes: the guest stands still until there is room (`werror=enospc`; what a cache keeps of a read is written, too). Any other error is its
 * guest's news, as from a disk of its own: it may have others that are well.
 */
import type { GuestHardware } from '../../contract/host/index.ts';
import { diskDevice } from './hardware.ts';
import { volumeAddress, volumeBus } from './layout.ts';

export interface GuestVolume {
  id: string;
  /** Its place in the machine, which stays its own. */
  slot: number;
  /** It boots from the disks in this order, 0 first; null: not from this one. */
  bootIndex: number | null;
  /** As `blockdev-add` takes it, with its name. */
  node: Readonly<Record<string, unknown>>;
  /** What has to be there before the node: a group of so many reads and writes a second, and a node in it. */
  limit?: { id: string; iops: number; node: Readonly<Record<string, unknown>> } | null;
}

/** By which QMP finds a volume's device. The whole id: two that were made in one millisecond may begin with the same 20 characters. */
export const volumeDeviceId = (volumeId: string): string => `vol-${volumeId}`;

/** The device that has the volume's limits, as `block_set_io_throttle` takes it. */
export const throttledDevice = (bus: GuestHardware['diskBus'], deviceId: string): string =>
  (bus ?? 'virtio') === 'virtio' ? `/machine/peripheral/${deviceId}/virtio-backend` : deviceId;

/** The bus into which volumes are plugged while the guest runs; undefined: there is none for these disks. */
export const hotBus = (bus: GuestHardware['diskBus']): string | undefined =>
  ({ virtio: volumeBus, scsi: 'scsi', sata: undefined })[bus ?? 'virtio'];

/** Beyond those of local disks and of the config drive. */
const firstTarget = 16;

/** A volume's device in its slot, as `device_add` takes it. Never of disks on SATA, which have no slots. */
export function volumeDevice(bus: GuestHardware['diskBus'], { id, slot, node }: Omit<GuestVolume, 'bootIndex'>) {
  const place =
    (bus ?? 'virtio') === 'virtio'
      ? { driver: 'virtio-blk-pci', bus: volumeBus, addr: volumeAddress(slot) }
      : { driver: 'scsi-hd', bus: 'scsi.0', 'scsi-id': firstTarget + slot };
  return { ...place, ...common(bus, id, node) };
}

const common = (bus: GuestHardware['diskBus'], id: string, node: GuestVolume['node']) => ({
  ...{ drive: node['node-name'], id: volumeDeviceId(id) },
  // A virtio disk has room for no more of it.
  serial: (bus ?? 'virtio') === 'virtio' ? id.slice(0, 20) : id,
  ...{ werror: 'enospc', rerror: 'enospc' },
});

const keyValues = ({ driver, ...properties }: Readonly<Record<string, unknown>>): string =>
  [driver, ...Object.entries(properties).map(([key, value]) => `${key}=${value}`)].join(',');

export interface PlacedVolume {
  volume: GuestVolume;
  /** Absent: it does not boot from this one. */
  boot: number | undefined;
  /** It is among the local disks, at this place; absent: in its slot. */
  index: number | undefined;
}

/** Of SATA's six ports the last is the config drive's. */
const sataDisks = 5;

/**
 * Where each volume is. One that the machine boots from instead of a disk of its own is where that would be. On SATA all are behind the
 * disks, and those beyond its ports are not there.
 *
 * @param disks names of the other disks, in their order
 */
export function placeVolumes(
  disks: readonly string[],
  volumes: readonly GuestVolume[],
  bus: GuestHardware['diskBus'],
): PlacedVolume[] {
  const root = rootVolume(disks, volumes);
  const others = volumes.filter((volume) => volume !== root);
  const bootFrom = disks.filter((name) => name === 'disk' || name === 'rescue').length;
  const booting = volumes.filter(({ bootIndex }) => bootIndex !== null).toSorted(byBootIndex);
  const boot = (volume: GuestVolume) => (booting.includes(volume) ? bootFrom + booting.indexOf(volume) : undefined);
  const behind = disks.length + (root ? 1 : 0);
  return [
    ...(root ? [{ volume: root, boot: boot(root), index: disks[0] === 'rescue' ? 1 : 0 }] : []),
    ...others.flatMap((volume, at): PlacedVolume[] => {
      if (bus !== 'sata') return [{ volume, boot: boot(volume), index: undefined }];
      return behind + at < sataDisks ? [{ volume, boot: boot(volume), index: behind + at }] : [];
    }),
  ];
}

const byBootIndex = (a: GuestVolume, b: GuestVolume) => a.bootIndex! - b.bootIndex!;

const rootVolume = (disks: readonly string[], volumes: readonly GuestVolume[]): GuestVolume | undefined =>
  disks.includes('disk') ? undefined : volumes.filter(({ bootIndex }) => bootIndex !== null).toSorted(byBootIndex)[0];

/** The part of the command line that is about one volume. */
export function volumeArguments(
  { volume, boot, index }: PlacedVolume,
  bus: GuestHardware['diskBus'],
  fixed: boolean,
): string[] {
  const { id, node } = volume;
  const device =
    index === undefined
      ? keyValues(volumeDevice(bus, volume))
      : `${diskDevice(bus, index, fixed)}${keyValues({ driver: '', ...common(bus, id, node) })}`;
  const bootIndex = boot === undefined ? '' : `,bootindex=${boot}`;
  const limit = volume.limit
    ? [
        ...['-object', `throttle-group,id=${volume.limit.id},x-iops-total=${volume.limit.iops}`],
        ...['-blockdev', JSON.stringify(volume.limit.node)],
      ]
    : [];
  return [...limit, '-blockdev', JSON.stringify(node), '-device', `${device}${bootIndex}`];
}

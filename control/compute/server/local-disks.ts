/**
 * Which disks a server has beside the one with its system: those that its request names, within what its flavor allows, else what the
 * flavor says. As in Nova (compute/api.py, _check_and_transform_bdm): more than one ephemeral disk, one of swap space. Pure.
 */
import { CloudError } from '../../../contract/errors.ts';
import type { FlavorSnapshot, LocalDisk } from './snapshots.ts';

/** As a request names it; without a size: as large as the flavor allows. */
export interface LocalDiskWish {
  kind: 'ephemeral' | 'swap';
  sizeMiB: number | null;
  format: 'ext2' | 'ext3' | 'ext4' | null;
  /** What the guest is told beside it; absent: nothing. */
  tag?: string;
}

type Sizes = Pick<FlavorSnapshot, 'ephemeral_gib' | 'swap_mib'>;

const mibOfGib = 1024;

/** @throws CloudError `invalid` where the flavor allows less */
export function localDisksOf(flavor: Sizes, wishes: readonly LocalDiskWish[]): LocalDisk[] {
  const given: LocalDisk[] = wishes.map(({ kind, sizeMiB, format, tag }, index) => {
    const told = tag === undefined ? {} : { tag };
    const before = wishes.slice(0, index).filter((each) => each.kind === kind).length;
    if (kind === 'swap') {
      if (before > 0) throw new CloudError('invalid', 'more_than_one_swap', {});
      return { name: 'swap', size_mib: sizeMiB ?? flavor.swap_mib, format: 'swap', given: true, ...told };
    }
    const size_mib = sizeMiB ?? flavor.ephemeral_gib * mibOfGib;
    return { name: `ephemeral${before}`, size_mib, format: format ?? 'ext4', given: true, ...told };
  });
  requireWithin(flavor, given);
  return complete(flavor, given);
}

/** With another flavor: what the request gave stays as it is, the rest follows. @throws CloudError `invalid` where it allows less */
export function resizedLocalDisks(flavor: Sizes, disks: readonly LocalDisk[]): LocalDisk[] {
  if (ephemeralMiB(disks) > flavor.ephemeral_gib * mibOfGib) {
    throw new CloudError('invalid', 'resize_of_ephemeral_down', { ephemeral_gib: ephemeralMiB(disks) / mibOfGib });
  }
  return complete(
    flavor,
    disks.filter(({ given }) => given),
  );
}

/** All disks of a server are on one bus, its image's. @throws CloudError `invalid` where another is asked for */
export function requireDiskBuses(bus = 'virtio', wanted: readonly string[]): void {
  const other = wanted.find((each) => each !== bus);
  if (other !== undefined) throw new CloudError('invalid', 'other_disk_bus', { wanted: other, bus });
}

/**
 * How the API calls the disks that a server has of its host's: /dev/vda is the one that it boots from. A config drive is one more where it is no
 * CD: the guest finds it before any volume.
 */
export function diskDevices(server: DiskedServer, prefix: string): string[] {
  const { image_id: image, local_disks: disks, config_drive, hardware } = server;
  const drive = image !== null && config_drive && prefix === 'vd' && hardware.cdromBus === undefined;
  const names = Array.from(
    { length: disks.length + 1 + Number(drive) },
    (_, index) => `/dev/${prefix}${String.fromCharCode(97 + index)}`,
  );
  return image === null ? names.slice(1) : names;
}

export interface DiskedServer {
  image_id: string | null;
  local_disks: readonly unknown[];
  config_drive: boolean;
  hardware: { cdromBus?: string };
}

export const devicePrefix = ({ diskBus }: { diskBus?: string }): 'vd' | 'sd' =>
  diskBus === undefined || diskBus === 'virtio' ? 'vd' : 'sd';

/** What they take of a host's disk, as far as the database can count it. */
export const localGib = (disks: readonly LocalDisk[]): number =>
  Math.min(
    2 ** 31 - 1,
    Math.ceil(ephemeralMiB(disks) / mibOfGib) +
      Math.ceil((disks.find(({ name }) => name === 'swap')?.size_mib ?? 0) / mibOfGib),
  );

const isSwap = ({ name }: LocalDisk): boolean => name === 'swap';

const ephemeralMiB = (disks: readonly LocalDisk[]): number =>
  disks.filter((disk) => !isSwap(disk)).reduce((total, { size_mib }) => total + size_mib, 0);

function requireWithin(flavor: Sizes, given: readonly LocalDisk[]): void {
  if (ephemeralMiB(given) > flavor.ephemeral_gib * mibOfGib)
    throw new CloudError('invalid', 'ephemeral_beyond_flavor', {});
  if (given.some((disk) => isSwap(disk) && disk.size_mib > flavor.swap_mib))
    throw new CloudError('invalid', 'swap_beyond_flavor', {});
}

/** Ephemeral ones first; an empty one is none. */
function complete(flavor: Sizes, given: readonly LocalDisk[]): LocalDisk[] {
  const own: LocalDisk[] = [];
  if (given.every(isSwap)) {
    own.push({ name: 'ephemeral0', size_mib: flavor.ephemeral_gib * mibOfGib, format: 'ext4', given: false });
  }
  if (!given.some(isSwap)) own.push({ name: 'swap', size_mib: flavor.swap_mib, format: 'swap', given: false });
  const all = [...given, ...own].filter(({ size_mib }) => size_mib > 0);
  return [...all.filter((disk) => !isSwap(disk)), ...all.filter(isSwap)];
}

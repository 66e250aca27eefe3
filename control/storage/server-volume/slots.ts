/** Where in a server's machine a volume comes, and what it is called there. Pure. */
import { serverLimits } from '../../../contract/host/limits.ts';

/** The lowest that nobody has; undefined: the machine is full. */
export function freeSlot(taken: Iterable<number>): number | undefined {
  const all = new Set(taken);
  for (let slot = 0; slot < serverLimits.volumes; slot++) if (!all.has(slot)) return slot;
  return undefined;
}

/**
 * /dev/vdb: the first letter that no other disk of the server has. As in Nova's driver for QEMU a name that the caller asks for is not
 * heeded, since the guest chooses by itself; it finds a volume by its id, `/dev/disk/by-id`.
 * @param prefix `vd`, or `sd` where the disks are not on virtio
 */
export function freeDevice(taken: Iterable<string>, prefix = 'vd'): string {
  const letters = new Set([...taken].map((device) => device.replace(/^\/dev\/[a-z]d/, '')));
  for (let index = 0; ; index++) {
    const letter = lettersOf(index);
    if (!letters.has(letter)) return `/dev/${prefix}${letter}`;
  }
}

/** a … z, aa, ab … */
function lettersOf(index: number): string {
  const last = String.fromCharCode(97 + (index % 26));
  return index < 26 ? last : lettersOf(Math.floor(index / 26) - 1) + last;
}

/** The setting of this machine's object disks: NAME:DIRECTORY, with commas between. Pure. */
import type { ObjectDiskSetting } from '../../host/index.ts';

export const notObjectDisks =
  'NAME:DIRECTORY with commas between, NAME of small letters, digits and dashes, DIRECTORY from the root on, such as a:/srv/disk-a, b:/srv/disk-b';

const form = /^\s*([a-z0-9][a-z0-9-]{0,62}):(\/[^:]*[^:\s/])\s*$/;

/** Undefined where it says none: the host has one of its own then, in the data directory. Null where it is wrong. */
export function objectDisks(value: string): ObjectDiskSetting[] | undefined | null {
  if (value.trim() === '') return undefined;
  const disks: ObjectDiskSetting[] = [];
  for (const part of value.split(',')) {
    const [, name, path] = form.exec(part) ?? [];
    if (name === undefined || path === undefined) return null;
    if (disks.some((disk) => disk.name === name || disk.path === path)) return null;
    disks.push({ name, path });
  }
  return disks;
}

/** What a host that has no QEMU makes of a server's disk: one of zeros, of its size. */
import { makeEmptyDisk } from '../../host/disk/disk.ts';
import type { DiskSaver } from '../../host/disk/save-disk.ts';

export const saveEmptyDisk: DiskSaver = async ({ to, sizeBytes, stillWanted }) => {
  stillWanted();
  await makeEmptyDisk(to, { sizeBytes, owner: undefined });
};

/** What a host that has no QEMU makes of a server's disk: one of zeros, of its size. */
import { makeEmptyDisk } from '../../host/disk/disk.ts';
import type { DiskKeeper } from '../../host/disk/disk-keeper.ts';
import type { DiskSaver } from '../../host/disk/save-disk.ts';

export const saveEmptyDisk: DiskSaver = async ({ to, sizeBytes, stillWanted }) => {
  stillWanted();
  await makeEmptyDisk(to, { sizeBytes, owner: undefined });
};

/** A simulated guest has nothing on its disk that could be lost or found again. */
export const keepNothing: DiskKeeper = { keep: async () => {}, restore: async () => {}, forget: async () => {} };

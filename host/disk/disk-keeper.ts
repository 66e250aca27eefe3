/**
 * What a disk was before a resize, kept inside its own file: an internal snapshot of qcow2, made, taken back and forgotten in moments
 * whatever the disk's size. Of a disk that no QEMU has open a walled-in qemu-img does it, as the guest's own user; of one that runs
 * its QEMU does. Each may be repeated.
 */
import type { Guest } from '../guest/guest.ts';
import type { GuestUser } from '../guest/users.ts';
import { HostFault } from '../host-error.ts';
import { outside, runWalledIn } from '../image/walls.ts';

export interface KeptDisk {
  path: string;
  /** As large as it may become. */
  sizeBytes: number;
  user: GuestUser | undefined;
}

export interface DiskKeeper {
  /** Keeps what the disk is, unless it is kept already, then makes it as large as `sizeBytes`. */
  keep(disk: KeptDisk): Promise<void>;
  /** The disk is again what was kept, if something was. */
  restore(disk: KeptDisk): Promise<void>;
  /** What the disk is stays; what was kept goes. @param guest that has it open */
  forget(disk: KeptDisk, guest: Guest | undefined): Promise<void>;
}

const name = 'before-resize';

export const diskKeeper: DiskKeeper = {
  async keep(disk) {
    if (!(await isKept(disk))) await qemuImg(disk, ['snapshot', '-c', name]);
    await qemuImg(disk, ['resize'], [String(disk.sizeBytes)]);
  },
  async restore(disk) {
    if (!(await isKept(disk))) return;
    await qemuImg(disk, ['snapshot', '-a', name]);
    await qemuImg(disk, ['snapshot', '-d', name]);
  },
  async forget(disk, guest) {
    if (!guest) {
      if (await isKept(disk)) await qemuImg(disk, ['snapshot', '-d', name]);
      return;
    }
    await guest.execute('blockdev-snapshot-delete-internal-sync', { device: 'disk', name }).catch((cause: Error) => {
      if (!/does not exist/.test(cause.message)) throw cause;
    });
  },
};

const isKept = async (disk: KeptDisk): Promise<boolean> =>
  (await qemuImg(disk, ['snapshot', '-l'])).split(/\s+/).includes(name);

/** The image below it is not looked at: nothing of it is in what is kept. */
async function qemuImg(disk: KeptDisk, command: readonly string[], more: readonly string[] = []): Promise<string> {
  const { path, sizeBytes, user } = disk;
  const file = { driver: 'file', filename: user ? outside : path };
  const node = `json:${JSON.stringify({ driver: 'qcow2', file, backing: null })}`;
  const { stdout, stderr, failed } = await runWalledIn(['qemu-img', ...command, node, ...more], {
    ...{ user, path, output: { path, maxBytes: 2 * sizeBytes + 2 ** 30 } },
  });
  if (failed) throw new HostFault('resize_failed', `qemu-img ${command.join(' ')}: ${stderr.trim().slice(-300)}`);
  return stdout;
}

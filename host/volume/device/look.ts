/** What a device is and what is on it. Reads only; owns nothing. */
import { constants, open, readdir, readFile, realpath, stat } from 'node:fs/promises';
import { isNoEntry, readPiece } from '../../files.ts';
import { order, say } from './commands.ts';
import { type Mount, readMounts } from './mounts.ts';

export interface Device {
  path: string;
  /** A file, which the kernel makes a loop device of. */
  isFile: boolean;
}

/** What lies on it: nothing that anybody knows, a file system, or what is named. */
export type Content =
  | { kind: 'unknown' }
  | { kind: 'file system'; type: string; uuid: string }
  | { kind: 'else'; what: string };

/** @param source a path, or UUID=… or LABEL=… of a file system; undefined where it is not there */
export async function findDevice(source: string): Promise<Device | undefined> {
  try {
    const path = await realpath(source.startsWith('/') ? source : (await order('findfs', source)).trim());
    const found = await stat(path);
    return found.isBlockDevice() || found.isFile() ? { path, isFile: found.isFile() } : undefined;
  } catch (error) {
    if (isNoEntry(error) || !source.startsWith('/')) return undefined;
    throw error;
  }
}

/** What is seen there, of several the last; undefined: no file system of its own. */
export async function mountAt(path: string): Promise<Mount | undefined> {
  try {
    const real = await realpath(path);
    return (await readMounts()).findLast((each) => each.path === real);
  } catch (error) {
    if (isNoEntry(error)) return undefined;
    throw error;
  }
}

/** Whether the device of what is mounted is still there: without it the mount answers nobody. */
export async function isAlive({ source }: Mount): Promise<boolean> {
  try {
    return (await stat(source)).isBlockDevice();
  } catch (error) {
    if (isNoEntry(error)) return false;
    throw error;
  }
}

/** The loop devices of a file. */
async function loopsOf(file: string): Promise<string[]> {
  const names = (await readdir('/sys/block')).filter((name) => name.startsWith('loop'));
  const backed = await Promise.all(
    names.map(async (name) => {
      const backing = await readFile(`/sys/block/${name}/loop/backing_file`, 'utf8').catch(() => '');
      return backing.trimEnd() === file ? `/dev/${name}` : [];
    }),
  );
  return backed.flat();
}

/** Whether somebody has it: it is mounted, of a RAID or a volume group, swapped to. Such a one the kernel gives nobody else alone. */
export async function isInUse({ path, isFile }: Device): Promise<boolean> {
  if (isFile) return (await loopsOf(path)).length > 0;
  try {
    await (await open(path, constants.O_RDONLY | constants.O_EXCL)).close();
    return false;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EBUSY') return true;
    throw error;
  }
}

/** As blkid sees it, past its own cache, which would tell of yesterday. */
export async function contentOf({ path }: Device): Promise<Content> {
  const { status, out, complaint } = await say('blkid', ['-p', '-o', 'export', path]);
  if (status === 2) return { kind: 'unknown' };
  // Two that may both be meant.
  if (status === 8) return { kind: 'else', what: 'more than one thing' };
  if (status !== 0) throw new Error(`blkid: ${complaint}`);
  const tags = new Map(out.split('\n').map((line) => line.split(/=(.*)/s) as [string, string]));
  const [type, usage, uuid] = [tags.get('TYPE'), tags.get('USAGE'), tags.get('UUID')];
  if (usage === 'filesystem' && type && uuid) return { kind: 'file system', type, uuid };
  const table = tags.get('PTTYPE');
  return { kind: 'else', what: type ?? (table ? `a partition table (${table})` : 'something') };
}

const edgeBytes = 2 ** 20;

/** Nobody knows anything on it, and its edges, where whatever has no name here would have its own, are zeros. */
export async function isBlank(device: Device): Promise<boolean> {
  if ((await contentOf(device)).kind !== 'unknown' || (await order('wipefs', '-n', device.path)).trim() !== '')
    return false;
  const file = await open(device.path, 'r');
  try {
    const size = await sizeOf(device);
    for (const at of [0, Math.max(0, size - edgeBytes)]) {
      const piece = await readPiece(file, at, edgeBytes);
      if (piece.length === 0 || piece.some((byte) => byte !== 0)) return false;
    }
    return true;
  } finally {
    await file.close();
  }
}

async function sizeOf({ path, isFile }: Device): Promise<number> {
  return isFile ? (await stat(path)).size : Number(await order('blockdev', '--getsize64', path));
}

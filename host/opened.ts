/**
 * Files that many guests read: layers that nobody writes to any more, and images. They lie in a directory of their store (a pool, the images) that no
 * guest may enter. What a guest has open it opens in a directory of its own beside that, by a hard link to the same file:
 *
 *   <store>/<kept>/<file>         the file; the directory is root's
 *   <store>/opened/<id>/<file>    the same, for the guest that has this volume, or is this server: its group alone passes through
 *
 * So a QEMU that its guest has taken over opens nothing of another guest, whatever names it knows. A link goes when its volume is closed or its
 * server removed; until then it keeps the space of a file that was erased, as QEMU does that has it open. What a crash leaves is swept. Owns the
 * directories `opened`, and in them nothing but links and what is nobody's only copy.
 */
import type { Stats } from 'node:fs';
import { chmod, chown, link, mkdir, readdir, rm, rmdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { isNoEntry } from './files.ts';
import { HostFault } from './host-error.ts';

const openedName = 'opened';

export interface StoreOptions {
  /** The directory of the files. */
  kept: string;
  /** The group of all guests; undefined: all is this process's own (tests). */
  guestGid: number | undefined;
  /** A group that reads the files by their own names; absent: none. */
  readerGid?: number | undefined;
}

/** Makes the directories in a store, or mends who may enter them. Never the store itself: where that is gone, its file system may be. */
export async function makeStore(store: string, { kept, guestGid, readerGid = 0 }: StoreOptions): Promise<void> {
  const there = await stat(store);
  await Promise.all([
    own(store, guestGid, there),
    own(join(store, kept), guestGid === undefined ? undefined : readerGid),
    own(join(store, openedName), guestGid),
  ]);
}

/** A directory through which a group passes and whose names it does not see. */
async function own(path: string, gid: number | undefined, there?: Stats): Promise<void> {
  const found = there ?? (await made(path));
  if (gid !== undefined && (found.uid !== 0 || found.gid !== gid)) await chown(path, 0, gid);
  if ((found.mode & 0o777) !== 0o710) await chmod(path, 0o710);
}

/** It is there, as a rule. */
async function made(path: string): Promise<Stats> {
  const there = await stat(path).catch(unlessThere);
  if (there) return there;
  await mkdir(path, { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
  return stat(path);
}

/** The directory of who has the id, made where it is not there. What another group had before goes. */
export async function openedDirectory(store: string, id: string, gid: number | undefined): Promise<string> {
  const path = join(store, openedName, id);
  const before = await stat(path).catch(unlessThere);
  if (before && gid !== undefined && before.gid !== gid) await letGo(store, id);
  await own(path, gid);
  return path;
}

/**
 * Where the guest of that group opens the file of a store.
 * @param path `<store>/<kept>/<file>`
 * @throws HostFault where the file system has no hard links
 */
export async function openedAs(path: string, id: string, gid: number): Promise<string> {
  const place = join(await openedDirectory(dirname(dirname(path)), id, gid), basename(path));
  try {
    await link(path, place);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EPERM' || code === 'ENOTSUP' || code === 'EMLINK') {
      const message = `the file system of ${dirname(path)} gives no further name to a file (${code})`;
      throw new HostFault('links_refused', message, { cause: error });
    }
    if (code !== 'EEXIST') throw error;
    const [there, file] = await Promise.all([stat(place), stat(path)]);
    if (there.ino === file.ino) return place;
    // The file was replaced since.
    await rm(place);
    await link(path, place);
  }
  return place;
}

/** Nobody has it open any more, or not these files. Safe to repeat. */
export async function letGo(store: string, id: string, names?: readonly string[]): Promise<void> {
  const directory = join(store, openedName, id);
  if (!names) await rm(directory, { recursive: true, force: true });
  else for (const name of names) await rm(join(directory, name), { force: true });
}

/** Who has something open, by the store's directories. */
export const openedIds = async (store: string): Promise<string[]> =>
  (await readdir(join(store, openedName)).catch(unlessThere)) ?? [];

/** A store that is one no more; what still lies there stays. */
export async function forgetStore(store: string, kept: string): Promise<void> {
  for (const id of await openedIds(store)) await letGo(store, id);
  for (const name of [openedName, kept]) await rmdir(join(store, name)).catch(() => {});
}

/** Of what somebody has open: those whose file has no other name any more, so that they only keep its space. */
export async function lastNames(store: string, id: string): Promise<string[]> {
  const directory = join(store, openedName, id);
  const last: string[] = [];
  for (const name of (await readdir(directory).catch(unlessThere)) ?? []) {
    const found = await stat(join(directory, name)).catch(unlessThere);
    if (found?.nlink === 1) last.push(name);
  }
  return last;
}

function unlessThere(error: unknown): undefined {
  if (!isNoEntry(error)) throw error;
}

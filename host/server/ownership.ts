/**
 * Whose a server's files are. The directories are root's: the guest's user may pass through the one with its disk, and write
 * to the one with its sockets only while QEMU makes them. Else a QEMU that its guest has taken over could lay a symbolic link
 * in place of its socket, and this process, as root, would open another guest's.
 */
import type { Stats } from 'node:fs';
import { chmod, chown, lchown, lstat, mkdir, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ensureLog } from '../disk/disk.ts';
import { localDiskFile, localDisksAmong } from '../disk/local-disk.ts';
import { isNoEntry } from '../files.ts';
import type { GuestUser } from '../guest/users.ts';
import type { ServerPaths } from '../paths.ts';

export async function makeDirectories(paths: ServerPaths): Promise<void> {
  await Promise.all([paths.data, paths.run].map((path) => mkdir(path, { recursive: true, mode: 0o700 })));
}

/** Gives the server's files to its user, whoever had them before. No QEMU of the server runs. */
export async function own(paths: ServerPaths, user: GuestUser | undefined): Promise<void> {
  await ensureLog(paths.consoleLog, user);
  if (!user) return;
  await chown(paths.data, 0, user.gid);
  await chmod(paths.data, 0o710);
  const local = localDisksAmong(await readdir(paths.data)).map((disk) => join(paths.data, localDiskFile(disk)));
  const { disk, rescueDisk, firmwareVariables, configDrive, consoleLog } = paths;
  for (const path of [disk, rescueDisk, ...local, firmwareVariables, configDrive, consoleLog])
    await giveFile(path, user);
}

/** A directory for QEMU's sockets, without those of the last one. */
export async function openRunDirectory(paths: ServerPaths, user: GuestUser | undefined): Promise<void> {
  const sockets = [paths.qmp, paths.serial, paths.vnc, paths.agent];
  await Promise.all(sockets.map((path) => rm(path, { force: true, recursive: true })));
  if (!user) return;
  // The pid file stays: QEMU locks it, which keeps a second one of the server from starting. Never through a link.
  await lchown(paths.pid, user.uid, user.gid).catch((error) => {
    if (!isNoEntry(error)) throw error;
  });
  await chmod(paths.run, 0o700);
  await chown(paths.run, user.uid, user.gid);
}

/** QEMU has its sockets. False where what lies in their place is something else. */
export async function sealRunDirectory(
  paths: ServerPaths,
  user: GuestUser | undefined,
  { guestAgent }: { guestAgent: boolean },
): Promise<boolean> {
  if (!user) return true;
  await chown(paths.run, 0, user.gid);
  await chmod(paths.run, 0o710);
  const expected = [paths.qmp, paths.serial, ...(guestAgent ? [paths.agent] : [])];
  const sockets = await Promise.all([...expected, paths.vnc].map(socketOrNothing));
  // A guest of before there were screens has none; from here on nothing can be laid in its place.
  const screen = sockets.pop();
  const own = (found: Stats | undefined) => found?.isSocket() && found.uid === user.uid;
  return sockets.every(own) && (screen === undefined || own(screen) === true);
}

/**
 * A guest of before there was a user for each shares its group with the others, which once might read here. It goes on: what
 * it has open stays open.
 */
export async function closeToOthers(paths: ServerPaths): Promise<void> {
  for (const [path, mode] of [
    [paths.data, 0o710],
    [paths.consoleLog, 0o600],
  ] as const) {
    await chmod(path, mode).catch((error) => {
      if (!isNoEntry(error)) throw error;
    });
  }
}

async function socketOrNothing(path: string): Promise<Stats | undefined> {
  try {
    return await lstat(path);
  } catch (error) {
    if (isNoEntry(error)) return undefined;
    throw error;
  }
}

async function giveFile(path: string, { uid, gid }: GuestUser): Promise<void> {
  try {
    const found = await stat(path);
    if (found.uid !== uid || found.gid !== gid) await chown(path, uid, gid);
    if ((found.mode & 0o777) !== 0o600) await chmod(path, 0o600);
  } catch (error) {
    if (!isNoEntry(error)) throw error;
  }
}

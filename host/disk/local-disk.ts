/**
 * The disks that a server has beside the one with its system: ephemeral ones, which come with an empty file system, and swap space.
 * Raw files that take room only for what is written. What such a file is stands in its name, so that a look at the folder tells
 * which are there and whole: each is made beside and renamed.
 */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { DesiredLocalDisk } from '../../contract/host/index.ts';
import { HostFault } from '../host-error.ts';

export type LocalDiskFile = Pick<DesiredLocalDisk, 'name' | 'sizeMiB'>;

const mebibyte = 2 ** 20;
const pageBytes = 4096;
/** Of Debian's e2fsprogs; /usr/sbin is not in every PATH. */
const makeFileSystem = '/usr/sbin/mke2fs';
const formatMs = 10 * 60_000;

export const localDiskFile = ({ name, sizeMiB }: LocalDiskFile): string => `${name}-${sizeMiB}.raw`;

/** Those among a folder's files. */
export function localDisksAmong(files: readonly string[]): LocalDiskFile[] {
  return files.flatMap((file) => {
    const [, name, size] = /^(ephemeral\d|swap)-(\d{1,13})\.raw$/.exec(file) ?? [];
    return name === undefined ? [] : [{ name, sizeMiB: Number(size) }];
  });
}

/** @throws HostFault */
export async function makeLocalDisk(
  directory: string,
  disk: DesiredLocalDisk,
  owner: { readonly uid: number; readonly gid: number } | undefined,
): Promise<void> {
  const path = join(directory, localDiskFile(disk));
  const beside = `${path}.new`;
  const file = await open(beside, 'w', 0o600);
  try {
    await file.truncate(disk.sizeMiB * mebibyte);
    if (disk.format === 'swap') {
      const header = swapHeader(disk.sizeMiB * mebibyte);
      await file.write(header, 0, header.length, 0);
    }
    if (owner) await file.chown(owner.uid, owner.gid);
  } finally {
    await file.close();
  }
  if (disk.format !== 'swap') await format(beside, disk.format, disk.name);
  await rename(beside, path);
}

/** What is in it stays; the guest makes its file system larger. */
export async function growLocalDisk(directory: string, from: LocalDiskFile, to: LocalDiskFile): Promise<void> {
  const path = join(directory, localDiskFile(from));
  const file = await open(path, 'r+');
  try {
    await file.truncate(to.sizeMiB * mebibyte);
  } finally {
    await file.close();
  }
  await rename(path, join(directory, localDiskFile(to)));
}

export const dropLocalDisk = (directory: string, disk: LocalDiskFile): Promise<void> =>
  rm(join(directory, localDiskFile(disk)), { force: true });

/** Only ever on a file of zeros that this process has just made. */
async function format(path: string, type: string, label: string): Promise<void> {
  const options = ['-q', '-F', '-t', type, '-L', label, '-m', '0', '-E', 'lazy_itable_init=1,nodiscard'];
  try {
    await promisify(execFile)(makeFileSystem, [...options, path], { timeout: formatMs });
  } catch (cause) {
    const { stderr = '', message } = cause as Error & { stderr?: string };
    const why = stderr.trim().slice(-300) || message;
    throw new HostFault('format_failed', `no file system could be made on the ${label} disk: ${why}`, { cause });
  }
}

/** As mkswap writes it (Linux, include/linux/swap.h: union swap_header, version 1), for pages of 4 KiB. */
function swapHeader(sizeBytes: number): Buffer {
  const page = Buffer.alloc(pageBytes);
  page.writeUInt32LE(1, 1024);
  page.writeUInt32LE(Math.min(Math.floor(sizeBytes / pageBytes) - 1, 2 ** 32 - 1), 1028);
  randomBytes(16).copy(page, 1036);
  page.write('SWAPSPACE2', pageBytes - 10, 'latin1');
  return page;
}

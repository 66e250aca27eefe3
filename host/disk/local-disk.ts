/**
 * The disks that a server has beside the one with its system: ephemeral ones, which come with an empty file system, and swap space.
 * Raw files that take room only for what is written. What such a file is stands in its name, so that a look at the folder tells
 * which are there and whole: each is made beside and renamed.
 */
import { execFile } from 'node:child_process';
import { open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { DesiredLocalDisk } from '../../contract/host/index.ts';
import { HostFault } from '../host-error.ts';

export type LocalDiskFile = Pick<DesiredLocalDisk, 'name' | 'sizeMiB'>;

const mebibyte = 2 ** 20;
/** Of Debian's e2fsprogs and util-linux; not in every PATH. */
const tools = '/usr/sbin';
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
    if (owner) await file.chown(owner.uid, owner.gid);
  } finally {
    await file.close();
  }
  await format(beside, disk);
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
async function format(path: string, { name, format: type }: DesiredLocalDisk): Promise<void> {
  const fileSystem = ['-q', '-F', '-t', type, '-L', name, '-m', '0', '-E', 'lazy_itable_init=1,nodiscard'];
  const [tool, options] = type === 'swap' ? ['mkswap', ['-q', '-p', '4096']] : ['mke2fs', fileSystem];
  try {
    await promisify(execFile)(join(tools, tool), [...options, path], { timeout: formatMs });
  } catch (cause) {
    const { stderr = '', message } = cause as Error & { stderr?: string };
    const why = stderr.trim().slice(-300) || message;
    throw new HostFault('format_failed', `the ${name} disk could not be formatted: ${why}`, { cause });
  }
}

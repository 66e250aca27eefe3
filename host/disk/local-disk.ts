/**
 * The disks that a server has beside the one with its system: ephemeral ones, which come with an empty file system, and swap space.
 * Raw files that take room only for what is written. What such a file is stands in its name, so that a look at the folder tells
 * which are there and whole: each is made beside and renamed. What an ephemeral disk was before a resize is a copy beside it, as Nova's
 * is, until the resize is confirmed or reverted: it takes no time where the file system shares what is equal.
 */
import { execFile } from 'node:child_process';
import { open, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { DesiredLocalDisk } from '../../contract/host/index.ts';
import { syncFile } from '../files.ts';
import { HostFault } from '../host-error.ts';

export type LocalDiskFile = Pick<DesiredLocalDisk, 'name' | 'sizeMiB'>;

const mebibyte = 2 ** 20;
/** Of Debian's e2fsprogs and util-linux; not in every PATH. */
const tools = '/usr/sbin';
const formatMs = 10 * 60_000;

/** What a disk was before a resize. */
const keptFile = ({ name, sizeMiB }: LocalDiskFile): string => `${name}-${sizeMiB}.before-resize`;
const copyMs = 4 * 3_600_000;

export const localDiskFile = ({ name, sizeMiB }: LocalDiskFile): string => `${name}-${sizeMiB}.raw`;

/** Those among a folder's files. */
export function localDisksAmong(files: readonly string[]): LocalDiskFile[] {
  return files.flatMap((file) => {
    const [, name, size] = /^(ephemeral\d|swap)-(\d{1,13})\.raw$/.exec(file) ?? [];
    return name === undefined ? [] : [{ name, sizeMiB: Number(size) }];
  });
}

/** Those of which there is a copy from before a resize. */
export function keptDisksAmong(files: readonly string[]): LocalDiskFile[] {
  return files.flatMap((file) => {
    const [, name, size] = /^(ephemeral\d)-(\d{1,13})\.before-resize$/.exec(file) ?? [];
    return name === undefined ? [] : [{ name, sizeMiB: Number(size) }];
  });
}

/** Swap has nothing to keep. No QEMU has the disk open. Safe to repeat. */
export async function keepLocalDisks(directory: string, signal: AbortSignal): Promise<void> {
  const files = await readdir(directory);
  const kept = new Set(keptDisksAmong(files).map(({ name }) => name));
  for (const disk of localDisksAmong(files)) {
    if (disk.name === 'swap' || kept.has(disk.name)) continue;
    const path = join(directory, keptFile(disk));
    await copy(join(directory, localDiskFile(disk)), `${path}.new`, signal);
    await rename(`${path}.new`, path);
  }
}

/** They are again what was kept, where something was. The others of the name go first: of a name there is never a second. Safe to repeat. */
export async function restoreLocalDisks(directory: string): Promise<void> {
  const files = await readdir(directory);
  const present = localDisksAmong(files);
  for (const kept of keptDisksAmong(files)) {
    for (const disk of present) if (disk.name === kept.name) await dropLocalDisk(directory, disk);
    await rename(join(directory, keptFile(kept)), join(directory, localDiskFile(kept)));
  }
  await forgetLocalDisks(directory);
}

/** Also what a copy that was cut off has left. */
export async function forgetLocalDisks(directory: string): Promise<void> {
  const left = (await readdir(directory)).filter((file) => /\.before-resize(?:\.new)?$/.test(file));
  for (const file of left) await rm(join(directory, file), { force: true });
}

async function copy(from: string, to: string, signal: AbortSignal): Promise<void> {
  // Nobody else reads it, from its first byte.
  await (await open(to, 'w', 0o600)).close();
  try {
    await promisify(execFile)('cp', ['--reflink=auto', '--sparse=always', from, to], { timeout: copyMs, signal });
  } catch (cause) {
    signal.throwIfAborted();
    const { stderr = '', message } = cause as Error & { stderr?: string };
    throw new HostFault('resize_failed', `what a disk was could not be kept: ${stderr.trim().slice(-300) || message}`, {
      cause,
    });
  }
  await syncFile(to);
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

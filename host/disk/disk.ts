/** A server's disk and config drive as files. Each is made beside and renamed: it is whole or not there. */
import { chown, open, rename, stat } from 'node:fs/promises';
import type { DesiredServer } from '../../contract/host/index.ts';
import { isNoEntry } from '../files.ts';
import { HostFault } from '../host-error.ts';
import { type OverlayOptions, qcow2Overlay } from '../image/qcow2.ts';
import type { ImageFacts } from '../image/store.ts';
import { iso9660 } from './iso9660.ts';

type Owner = { readonly uid: number; readonly gid: number } | undefined;
const gibibyte = 2 ** 30;

/** As large as the flavor says; a flavor without a disk takes the image's size. @throws HostFault where it can't hold the image */
export function diskSizeBytes(
  server: Pick<DesiredServer, 'diskGiB'>,
  { virtualSizeBytes }: Pick<ImageFacts, 'virtualSizeBytes'>,
): number {
  if (virtualSizeBytes === null) throw new HostFault('image_refused', 'the image is no disk', { permanent: true });
  const needed = Math.ceil(virtualSizeBytes / 512) * 512;
  if (server.diskGiB === 0) return Math.max(needed, 512);
  if (server.diskGiB * gibibyte < needed) {
    const message = `the flavor's disk of ${server.diskGiB} GiB is smaller than the image, which needs ${virtualSizeBytes} bytes`;
    throw new HostFault('disk_too_small', message, { permanent: true });
  }
  return server.diskGiB * gibibyte;
}

export async function makeOverlay(
  path: string,
  options: { sizeBytes: number; backing: { path: string; format: 'raw' | 'qcow2' }; owner: Owner },
): Promise<void> {
  await makeQcow2(path, options);
}

/** A disk of zeros that builds on nothing. */
export async function makeEmptyDisk(path: string, options: { sizeBytes: number; owner: Owner }): Promise<void> {
  await makeQcow2(path, { ...options, backing: undefined });
}

async function makeQcow2(path: string, options: OverlayOptions & { owner: Owner }): Promise<void> {
  const { fileBytes, pieces } = qcow2Overlay(options);
  await makeFile(path, options.owner, async (file) => {
    for (const { offset, bytes } of pieces) await file.write(bytes, 0, bytes.length, offset);
    await file.truncate(fileBytes);
  });
}

/** So that one that is made of newer words for the same server is as large, on another host (../migration); what is behind the image takes no room. */
const driveStep = 4 * 2 ** 20;

export async function makeConfigDrive(
  path: string,
  files: ReadonlyMap<string, string | Buffer>,
  owner: Owner,
): Promise<void> {
  const image = iso9660(files, { label: 'config-2' });
  await makeFile(path, owner, async (file) => {
    await file.writeFile(image);
    await file.truncate(Math.ceil(image.length / driveStep) * driveStep);
  });
}

async function makeFile(
  path: string,
  owner: Owner,
  write: (file: Awaited<ReturnType<typeof open>>) => Promise<void>,
): Promise<void> {
  const beside = `${path}.new`;
  const file = await open(beside, 'w', 0o600);
  try {
    await write(file);
    if (owner) await file.chown(owner.uid, owner.gid);
  } finally {
    await file.close();
  }
  await rename(beside, path);
}

export async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (isNoEntry(error)) return false;
    throw error;
  }
}

/** An empty file that the guest's user may append to, if there is none. */
export async function ensureLog(path: string, owner: Owner): Promise<void> {
  const file = await open(path, 'a', 0o600);
  await file.close();
  if (owner) await chown(path, owner.uid, owner.gid);
}

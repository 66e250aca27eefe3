/** Files that are whole or not there: written beside, then renamed. What a crash leaves is `<name>.new`, written over next time. */
import { type FileHandle, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

export interface WriteOptions {
  /** Survives a power failure, not only the death of this process. */
  durable?: boolean;
  mode?: number;
}

export async function writeWhole(path: string, contents: string | Buffer, options: WriteOptions = {}): Promise<void> {
  const beside = `${path}.new`;
  const file = await open(beside, 'w', options.mode ?? 0o600);
  try {
    await file.writeFile(contents);
    if (options.durable) await file.datasync();
  } finally {
    await file.close();
  }
  await rename(beside, path);
  if (options.durable) await syncDirectory(dirname(path));
}

export async function syncFile(path: string): Promise<void> {
  const file = await open(path, 'r');
  try {
    await file.datasync();
  } finally {
    await file.close();
  }
}

export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** Undefined where there is no such file. */
export async function readIfThere(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if (isNoEntry(error)) return undefined;
    throw error;
  }
}

export const isNoEntry = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === 'ENOENT';

export async function removeTree(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true });
}

/** Up to `length` bytes from `offset`. */
export async function readPiece(file: FileHandle, offset: number, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(length);
  const { bytesRead } = await file.read(bytes, 0, length, offset);
  return bytes.subarray(0, bytesRead);
}

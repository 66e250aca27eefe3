/**
 * The serial console's log: QEMU appends to it whether or not this process lives, and a guest may write as fast as it
 * likes, so the file is cut here. When it is twice as long as it may be, its end is kept beside it and the file starts
 * again at nothing (QEMU appends, so that is safe at any time; what comes between the two steps is lost). Both files are
 * at most 2 × the limit plus what a guest writes between two looks.
 */
import { open, rename, stat } from 'node:fs/promises';
import { isNoEntry, readPiece } from '../files.ts';

const olderName = (path: string) => `${path}.1`;

/** True where the log was cut. */
export async function boundConsoleLog(path: string, limitBytes: number): Promise<boolean> {
  const size = await sizeOf(path);
  if (size <= 2 * limitBytes) return false;
  const file = await open(path, 'r+');
  try {
    const kept = await readPiece(file, Math.max(0, (await file.stat()).size - limitBytes), limitBytes);
    const beside = `${olderName(path)}.new`;
    const older = await open(beside, 'w', 0o600);
    await older.writeFile(kept).finally(() => older.close());
    await rename(beside, olderName(path));
    await file.truncate(0);
  } finally {
    await file.close();
  }
  return true;
}

/** The last bytes that the guest wrote; nothing where there is no log. */
export async function readConsoleTail(path: string, bytes: number): Promise<Buffer> {
  const newest = await tail(path, bytes);
  if (newest.length >= bytes) return newest;
  return Buffer.concat([await tail(olderName(path), bytes - newest.length), newest]);
}

async function tail(path: string, bytes: number): Promise<Buffer> {
  try {
    const file = await open(path, 'r');
    try {
      const { size } = await file.stat();
      return await readPiece(file, Math.max(0, size - bytes), Math.min(size, bytes));
    } finally {
      await file.close();
    }
  } catch (error) {
    if (isNoEntry(error)) return Buffer.alloc(0);
    throw error;
  }
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (isNoEntry(error)) return 0;
    throw error;
  }
}

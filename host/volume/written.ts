/**
 * Whether anything was written to a layer since it was made empty: then its table of tables has an entry, which QEMU writes before it answers the first
 * write. A guest's QEMU may have written anything into its own file: what is no such table counts as written, so who lies harms itself alone.
 */
import type { FileHandle } from 'node:fs/promises';
import { readPiece } from '../files.ts';

/** Of a disk of 64 TiB. */
const longestTable = 2 ** 20;

export async function isWritten(file: FileHandle): Promise<boolean> {
  const head = await readPiece(file, 0, 104);
  if (head.length < 104) return true;
  const [bytes, at] = [head.readUInt32BE(36) * 8, Number(head.readBigUInt64BE(40))];
  if (bytes > longestTable || !Number.isSafeInteger(at)) return true;
  const table = await readPiece(file, at, bytes);
  return table.length < bytes || table.some((byte) => byte !== 0);
}

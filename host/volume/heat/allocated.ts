/**
 * Which clusters a generation's file holds, of those that are sampled. Reads the tables of a qcow2 file that its guest's QEMU wrote, so nothing in
 * them is believed: what points outside the file or beyond the volume counts as not there, and no more is read than the volume's size needs.
 *
 * @see https://github.com/qemu/qemu/blob/v7.2.0/docs/interop/qcow2.txt
 */
import { type FileHandle, open } from 'node:fs/promises';
import { isSampled } from './reuse.ts';

export const clusterBytes = 65536;
const tableEntries = clusterBytes / 8;
/** Of more the answer would cost more than it is worth: 1 TiB of places. */
const mostTables = 2048;
const offsetMask = 0x00fffffffffffe00n;

/** Undefined where the file is gone, is none of ours, or has too much to say. */
export async function allocatedClusters(
  path: string,
  { sizeBytes, every }: { sizeBytes: number; every: number },
): Promise<Set<number> | undefined> {
  const file = await open(path, 'r').catch(() => undefined);
  try {
    return file && (await clustersIn(file, { sizeBytes, every }));
  } finally {
    await file?.close();
  }
}

async function clustersIn(
  file: FileHandle,
  { sizeBytes, every }: { sizeBytes: number; every: number },
): Promise<Set<number> | undefined> {
  const { size } = await file.stat();
  const head = await read(file, 0, 104);
  if (head.length < 104 || head.toString('latin1', 0, 4) !== 'QFI\xfb' || head.readUInt32BE(20) !== 16)
    return undefined;
  const tables = Math.ceil(sizeBytes / clusterBytes / tableEntries);
  const first = await read(file, Number(head.readBigUInt64BE(40)), 8 * Math.min(tables, head.readUInt32BE(36)));
  const places = offsetsIn(first, size);
  if (places.filter((place) => place > 0).length > mostTables) return undefined;
  const found = new Set<number>();
  for (const [at, place] of places.entries()) {
    if (place === 0) continue;
    const table = await read(file, place, clusterBytes);
    for (let entry = 0; entry + 8 <= table.length; entry += 8) {
      const cluster = at * tableEntries + entry / 8;
      if (isSampled(cluster, every) && isThere(table.readBigUInt64BE(entry))) found.add(cluster);
    }
  }
  return found;
}

/** Data, or zeros that were written. */
const isThere = (entry: bigint): boolean => (entry & offsetMask) !== 0n || (entry & 1n) === 1n;

function offsetsIn(table: Buffer, size: number): number[] {
  return Array.from({ length: Math.floor(table.length / 8) }, (_, at) => {
    const offset = Number(table.readBigUInt64BE(at * 8) & offsetMask);
    return offset + clusterBytes <= size ? offset : 0;
  });
}

async function read(file: FileHandle, position: number, length: number): Promise<Buffer> {
  if (!Number.isSafeInteger(position) || length <= 0) return Buffer.alloc(0);
  const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, position);
  return buffer.subarray(0, bytesRead);
}

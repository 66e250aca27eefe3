/**
 * A large blob, or a range of it, out of its file on the way to who asked: every block that is touched is verified before a byte of it is sent,
 * and the first before anything is. Owns an open file and, while bytes are in it, a piece of memory. A file that is removed meanwhile is read to
 * its end.
 */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import type { Writable } from 'node:stream';
import { type Bytes, FileParts, type Fill, sendParts } from '../bytes/index.ts';
import { corrupt, unopened, unread } from './fault.ts';
import { type BlobName, blobFileBytes, blockBytes, firstDamaged, readTable } from './file-format.ts';

export interface BlobRange {
  /** Both inclusive. */
  first: number;
  last: number;
}

export interface ReadFileRequest {
  path: string;
  name: BlobName;
  /** Within the blob; the whole where it is not given. */
  range?: BlobRange | undefined;
  /** How long nothing may move on the way out. */
  silenceMs: number;
}

/** The bytes have to be sent, or destroyed. @throws BlobFault */
export async function openBlob({ path, name, range, silenceMs }: ReadFileRequest): Promise<Bytes> {
  const { file, table } = await openVerified(path, name);
  const { first, last } = range ?? { first: 0, last: name.length - 1 };
  const length = last + 1 - first;
  const parts = new FileParts(file, length, verified({ file, path, table, dataBytes: name.length, first }));
  if (length > blockBytes) parts.size = 'large';
  try {
    if (length > 0) await parts.prepare();
  } catch (error) {
    parts.close();
    throw error;
  }
  return {
    length,
    sendTo: (sink: Writable) => sendParts(parts, sink, { length, silenceMs }),
    destroy: () => parts.close(),
  };
}

/** The open file of a blob, and the checksums of its blocks. @throws BlobFault */
async function openVerified(path: string, name: BlobName): Promise<{ file: FileHandle; table: Buffer }> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch((error) => {
    throw unopened(path, error);
  });
  try {
    const tail = Buffer.allocUnsafe(blobFileBytes(name.length) - name.length);
    const { bytesRead } = await file.read(tail, 0, tail.length, name.length).catch((error) => {
      throw unread(path, error);
    });
    const table = readTable(tail.subarray(0, bytesRead), name);
    if (!table) throw corrupt(path, 'its footer or table is not what was written');
    return { file, table };
  } catch (error) {
    await file.close();
    throw error;
  }
}

interface Source {
  file: FileHandle;
  path: string;
  table: Buffer;
  /** Of the whole blob. */
  dataBytes: number;
  first: number;
}

/** Whole blocks, of which the bytes that are wanted. */
function verified({ file, path, table, dataBytes, first }: Source): Fill {
  let at = first;
  return async (piece, left) => {
    const block = Math.floor(at / blockBytes);
    const from = block * blockBytes;
    const skip = at - from;
    const blocks = Math.ceil((skip + left) / blockBytes);
    const wanted = Math.min(piece.length, blocks * blockBytes, dataBytes - from);
    const { bytesRead } = await file.read(piece, 0, wanted, from).catch((error) => {
      throw unread(path, error);
    });
    if (bytesRead !== wanted) throw corrupt(path, 'it is shorter than what was written');
    const damaged = firstDamaged(piece.subarray(0, wanted), block, table);
    if (damaged !== undefined)
      throw corrupt(path, `its bytes from ${damaged * blockBytes} on are not what was written`);
    const bytes = piece.subarray(skip, Math.min(wanted, skip + left));
    at += bytes.length;
    return bytes;
  };
}

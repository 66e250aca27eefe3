/**
 * A large blob, or a range of it, out of its file on the way to who asked: every block that is touched is verified before a byte of it is sent,
 * and the first before anything is. Owns an open file and, while bytes are in it, a piece of memory. A file that is removed meanwhile is read to
 * its end.
 */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import type { Writable } from 'node:stream';
import { type Bytes, type Part, type Parts, pieces, sendParts } from '../bytes/index.ts';
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
  const parts = new VerifiedParts({ file, path, table, dataBytes: name.length, first, length });
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
  length: number;
}

class VerifiedParts implements Parts {
  onChange: () => void = () => {};
  size: 'large' | 'small' = 'large';
  failure: Error | undefined;
  ended = false;
  readonly #source: Source;
  #at: number;
  #left: number;
  #ready: Part | undefined;
  #reading = false;
  #closed = false;

  constructor(source: Source) {
    this.#source = source;
    this.#at = source.first;
    this.#left = source.length;
  }

  /** The first part is there. @throws BlobFault */
  async prepare(): Promise<void> {
    await this.#read();
    if (this.failure) throw this.failure;
  }

  take(): Part | undefined {
    const part = this.#ready;
    this.#ready = undefined;
    return part;
  }

  resume(): void {
    void this.#read().then(() => this.onChange());
  }

  giveBack(part: Part): void {
    if (part.piece) pieces.giveBack(part.piece);
  }

  close({ stillRead }: { stillRead?: Part | undefined } = {}): void {
    if (this.#closed) return;
    this.#closed = true;
    this.onChange = () => {};
    if (stillRead?.piece) pieces.lose(stillRead.piece);
    if (this.#ready?.piece) pieces.giveBack(this.#ready.piece);
    this.#ready = undefined;
    // What is read now is waited for by the closing, and its memory comes back with it.
    this.#source.file.close().catch(() => {});
  }

  async #read(): Promise<void> {
    if (this.#reading || this.#ready || this.#left === 0 || this.#closed) return;
    this.#reading = true;
    const piece = pieces.take(this.#left > blockBytes ? this.size : 'small');
    try {
      const bytes = await this.#readInto(piece);
      if (this.#closed) pieces.giveBack(piece);
      else this.#ready = { bytes, piece };
    } catch (error) {
      pieces.giveBack(piece);
      this.failure ??= error as Error;
      this.ended = true;
    }
    this.#reading = false;
  }

  /** Whole blocks, of which the bytes that are wanted. */
  async #readInto(piece: Buffer): Promise<Buffer> {
    const { file, path, table, dataBytes } = this.#source;
    const block = Math.floor(this.#at / blockBytes);
    const from = block * blockBytes;
    const skip = this.#at - from;
    const blocks = Math.ceil((skip + this.#left) / blockBytes);
    const wanted = Math.min(piece.length, blocks * blockBytes, dataBytes - from);
    const { bytesRead } = await file.read(piece, 0, wanted, from).catch((error) => {
      throw unread(path, error);
    });
    if (bytesRead !== wanted) throw corrupt(path, 'it is shorter than what was written');
    const damaged = firstDamaged(piece.subarray(0, wanted), block, table);
    if (damaged !== undefined)
      throw corrupt(path, `its bytes from ${damaged * blockBytes} on are not what was written`);
    const bytes = piece.subarray(skip, Math.min(wanted, skip + this.#left));
    this.#at += bytes.length;
    this.#left -= bytes.length;
    return bytes;
  }
}

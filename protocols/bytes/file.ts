/**
 * Bytes of a file of this machine, on their way to who asked: read into memory that is used again, which is written as it stands. Against a
 * process that reads it and a socket between, that is half of a download's cost.
 *
 * Owns an open file and, while bytes are in it, a piece of memory. A file that is removed meanwhile is read to its end.
 */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import type { Writable } from 'node:stream';
import { pieces } from './memory.ts';
import { type Bytes, type Part, type Parts, sendParts } from './sending.ts';

export interface FileRequest {
  path: string;
  /** How long the file must be: another one is not what was meant. */
  sizeBytes: number;
  /** Both inclusive; the whole where it is not given. */
  range?: { first: number; last: number } | undefined;
  /** How long nothing may move. */
  silenceMs: number;
}

/** The bytes have to be sent, or destroyed. @throws where it can't be opened, or is no file of that size */
export async function openBytes({ path, sizeBytes, range, silenceMs }: FileRequest): Promise<Bytes> {
  // Not waiting for a writer either, should it be a pipe.
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const found = await file.stat();
    const { first, last } = range ?? { first: 0, last: sizeBytes - 1 };
    if (!found.isFile() || found.size !== sizeBytes) throw new Error(`the file has not ${sizeBytes} bytes`);
    if (first < 0 || last >= sizeBytes) throw new Error(`the file has no bytes ${first} to ${last}`);
    const length = last + 1 - first;
    let at = first;
    const parts = new FileParts(file, length, async (piece, left) => {
      const { bytesRead } = await file.read(piece, 0, Math.min(piece.length, left), at);
      at += bytesRead;
      return piece.subarray(0, bytesRead);
    });
    return {
      length,
      sendTo: (sink: Writable) => sendParts(parts, sink, { length, silenceMs }),
      destroy: () => parts.close(),
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** Parts of an open file, one ahead of who sends them. Owns the file from now on. How a piece of memory comes by the next bytes is `fill`'s. */
export class FileParts implements Parts {
  onChange: () => void = () => {};
  size: 'large' | 'small' = 'small';
  failure: Error | undefined;
  ended = false;
  readonly #file: FileHandle;
  readonly #fill: Fill;
  #left: number;
  #ready: Part | undefined;
  #reading = false;
  #closed = false;

  constructor(file: FileHandle, length: number, fill: Fill) {
    this.#file = file;
    this.#left = length;
    this.#fill = fill;
  }

  take(): Part | undefined {
    const part = this.#ready;
    this.#ready = undefined;
    return part;
  }

  resume(): void {
    if (this.#idle) void this.#read().then(() => this.onChange());
  }

  /** The first part is there. @throws what `fill` throws */
  async prepare(): Promise<void> {
    if (this.#idle) await this.#read();
    if (this.failure) throw this.failure;
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
    this.#file.close().catch(() => {});
  }

  get #idle(): boolean {
    return !this.#reading && !this.#ready && this.#left > 0 && !this.#closed;
  }

  async #read(): Promise<void> {
    this.#reading = true;
    const piece = pieces.take(this.size);
    try {
      const bytes = await this.#fill(piece, this.#left);
      if (bytes.length === 0) throw new Error('the file ended before the last byte');
      this.#left -= bytes.length;
      if (this.#closed) pieces.giveBack(piece);
      else this.#ready = { bytes, piece };
    } catch (error) {
      pieces.giveBack(piece);
      this.failure ??= error as Error;
      this.ended = true;
    }
    this.#reading = false;
  }
}

/** The next bytes, at most `left` of them, in a part of `piece`; none: there are no more. */
export type Fill = (piece: Buffer, left: number) => Promise<Buffer>;

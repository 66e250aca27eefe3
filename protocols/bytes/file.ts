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
    const parts = new FileParts(file, first, length);
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

class FileParts implements Parts {
  onChange: () => void = () => {};
  size: 'large' | 'small' = 'small';
  failure: Error | undefined;
  ended = false;
  readonly #file: FileHandle;
  #at: number;
  #left: number;
  #ready: Part | undefined;
  #reading = false;
  #closed = false;

  constructor(file: FileHandle, first: number, length: number) {
    this.#file = file;
    this.#at = first;
    this.#left = length;
  }

  take(): Part | undefined {
    const part = this.#ready;
    this.#ready = undefined;
    return part;
  }

  resume(): void {
    if (this.#reading || this.#ready || this.#left === 0 || this.#closed) return;
    this.#reading = true;
    const piece = pieces.take(this.size);
    this.#file.read(piece, 0, Math.min(piece.length, this.#left), this.#at).then(
      ({ bytesRead }) => this.#came(piece, bytesRead),
      (error: Error) => this.#came(piece, 0, error),
    );
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

  #came(piece: Buffer, bytes: number, failure?: Error): void {
    this.#reading = false;
    if (this.#closed || bytes === 0) {
      pieces.giveBack(piece);
      this.failure ??= failure ?? new Error('the file ended before the last byte');
      this.ended = true;
    } else {
      this.#at += bytes;
      this.#left -= bytes;
      this.#ready = { bytes: piece.subarray(0, bytes), piece };
    }
    this.onChange();
  }
}

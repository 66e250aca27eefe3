/** The bytes of a stored file, read in small pieces by those who look at its headers. */
import type { FileHandle } from 'node:fs/promises';
import { readPiece } from '../../files.ts';

export interface ImageBytes {
  readonly sizeBytes: number;
  /** As many as there are; fewer behind the end. */
  read(offset: number, length: number): Promise<Buffer>;
}

export const bytesOfFile = (file: FileHandle, sizeBytes: number): ImageBytes => ({
  sizeBytes,
  read: async (offset, length) => {
    const there = Math.min(length, sizeBytes - offset);
    return there > 0 ? readPiece(file, offset, there) : Buffer.alloc(0);
  },
});

export const bytesOfBuffer = (buffer: Buffer): ImageBytes => ({
  sizeBytes: buffer.length,
  read: async (offset, length) => buffer.subarray(offset, offset + length),
});

/** A file within a file. */
export const bytesWithin = (bytes: ImageBytes, start: number, sizeBytes: number): ImageBytes => ({
  sizeBytes,
  read: (offset, length) => bytes.read(start + offset, Math.max(0, Math.min(length, sizeBytes - offset))),
});

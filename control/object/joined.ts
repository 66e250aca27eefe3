/** Pieces of an object's bytes one after the other, as one. */
import { type Bytes, joinBytes } from '../../protocols/bytes/index.ts';
import type { ObjectBytes, ObjectRange } from './object.ts';

export interface Piece {
  length: number;
  /** Of the piece's own bytes. */
  open(range: ObjectRange): Promise<Bytes | Buffer>;
}

export function bytesOf(buffer: Buffer): ObjectBytes {
  return {
    buffer,
    length: buffer.length,
    sendTo: (sink, { end = true } = {}) =>
      new Promise((resolve) => {
        const done = () => {
          sink.off('error', done).off('close', done);
          resolve();
        };
        sink.once('error', done).once('close', done);
        if (sink.destroyed) done();
        else if (end) sink.end(buffer, done);
        else sink.write(buffer, done);
      }),
    destroy: () => {},
  };
}

const toBytes = (bytes: Bytes | Buffer): ObjectBytes => (Buffer.isBuffer(bytes) ? bytesOf(bytes) : bytes);

/** The range of the pieces one after the other. The first of them is opened before this answers: what can't be read is told before any byte goes out. */
export async function openJoined(pieces: readonly Piece[], range: ObjectRange): Promise<ObjectBytes> {
  const parts: { piece: Piece; first: number; last: number }[] = [];
  let at = 0;
  for (const piece of pieces) {
    const [first, last] = [Math.max(range.first - at, 0), Math.min(range.last - at, piece.length - 1)];
    if (first <= last) parts.push({ piece, first, last });
    at += piece.length;
  }
  const [only] = parts;
  if (!only) return bytesOf(Buffer.alloc(0));
  if (parts.length === 1) return toBytes(await only.piece.open(only));
  return joinBytes(
    parts.map(({ piece, first, last }) => ({
      length: last + 1 - first,
      open: async () => toBytes(await piece.open({ first, last })),
    })),
  );
}

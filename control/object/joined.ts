/** Several bodies one after the other, as one. Each is asked for when the one before has gone out; owns the one that goes out now. */
import { Writable } from 'node:stream';
import type { Bytes } from '../../protocols/bytes/index.ts';
import type { ObjectBytes, ObjectRange } from './object.ts';

export interface Piece {
  length: number;
  /** Of the piece's own bytes. */
  open(range: ObjectRange): Promise<Bytes | Buffer>;
}

function bytesOf(buffer: Buffer): ObjectBytes {
  return {
    buffer,
    length: buffer.length,
    sendTo: (sink) =>
      new Promise((resolve) => {
        const done = () => {
          sink.off('error', done).off('close', done);
          resolve();
        };
        sink.once('error', done).once('close', done);
        if (sink.destroyed) done();
        else sink.end(buffer, done);
      }),
    destroy: () => {},
  };
}

/** The range of the pieces one after the other. The first of them is opened before this answers: what can't be read is told before any byte goes out. */
export async function openJoined(pieces: readonly Piece[], range: ObjectRange): Promise<ObjectBytes> {
  const parts: { piece: Piece; first: number; last: number }[] = [];
  let at = 0;
  for (const piece of pieces) {
    const [first, last] = [Math.max(range.first - at, 0), Math.min(range.last - at, piece.length - 1)];
    if (first <= last) parts.push({ piece, first, last });
    at += piece.length;
  }
  const length = parts.reduce((sum, { first, last }) => sum + last + 1 - first, 0);
  const [head, ...rest] = parts;
  if (!head) return bytesOf(Buffer.alloc(0));
  const opened = toBytes(await head.piece.open(head));
  if (rest.length === 0) return opened;
  let current = opened;
  let closed = false;
  return {
    length,
    async sendTo(sink) {
      try {
        await current.sendTo(through(sink));
        for (const { piece, first, last } of rest) {
          if (sink.destroyed || closed) return;
          current = toBytes(await piece.open({ first, last }));
          await current.sendTo(through(sink));
        }
        if (!sink.destroyed) sink.end();
      } catch (error) {
        sink.destroy();
        throw error;
      }
    },
    destroy() {
      closed = true;
      current.destroy();
    },
  };
}

const toBytes = (bytes: Bytes | Buffer): ObjectBytes => (Buffer.isBuffer(bytes) ? bytesOf(bytes) : bytes);

/** The sink, without its end; broken off, it is too, so that nobody takes a piece for the whole. */
function through(sink: Writable): Writable {
  const pipe: Writable = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      sink.write(chunk, done);
    },
    destroy: (error, done) => {
      sink.off('close', gone);
      if (!pipe.writableFinished) sink.destroy();
      done(error);
    },
  });
  const gone = () => pipe.destroy();
  sink.once('close', gone);
  if (sink.destroyed) pipe.destroy();
  return pipe;
}

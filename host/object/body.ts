/** Bytes as a stream to be read, for who takes one in. */
import { PassThrough, type Readable } from 'node:stream';
import type { Bytes } from '../../protocols/bytes/index.ts';

/** Each chunk is the reader's own; errs with the reason why the bytes did not come whole. */
export function bodyOf(bytes: Bytes): Readable {
  const body = new PassThrough({
    // The memory that comes is used again.
    transform: (chunk: Buffer, _encoding, done) => done(null, Buffer.from(chunk)),
  });
  bytes.sendTo(body).catch((error) => body.destroy(error));
  return body;
}

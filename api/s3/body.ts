/** The bytes of a request's body, out of whatever form they came in, and held to the hash that was signed. */
import { createHash, type Hash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { pipeline, type Readable, Transform, type TransformCallback } from 'node:stream';
import type { Visit } from '../../control/identity/index.ts';
import { ChunkDecoder } from './chunks.ts';
import { invalidArgument, notImplemented, S3Refusal } from './refusal.ts';

export interface Body {
  bytes: Readable;
  /** Of the data; undefined: it was not said. */
  sizeBytes: number | undefined;
  /** Behind the last byte. */
  trailer(name: string): string | undefined;
}

/** What stands for the payload in a signature. @throws S3Refusal */
export function bodyOf(raw: IncomingMessage, visit: Pick<Visit, 'payload' | 'chunks'>): Body {
  const { payload } = visit;
  if (payload.startsWith('STREAMING-')) return chunkedBody(raw, visit);
  const sizeBytes = lengthOf(raw.headers['content-length']);
  if (sizeBytes === undefined && raw.headers['transfer-encoding'] === undefined) return { ...empty(raw), sizeBytes: 0 };
  if (payload === 'UNSIGNED-PAYLOAD') return { bytes: raw, sizeBytes, trailer: () => undefined };
  if (!/^[0-9a-f]{64}$/.test(payload)) {
    throw invalidArgument(
      'x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD, or a valid sha256 value.',
      'x-amz-content-sha256',
      payload,
    );
  }
  return { bytes: through(raw, new HashCheck(payload)), sizeBytes, trailer: () => undefined };
}

const empty = (raw: IncomingMessage): Pick<Body, 'bytes' | 'trailer'> => ({ bytes: raw, trailer: () => undefined });

function chunkedBody(raw: IncomingMessage, { payload, chunks }: Pick<Visit, 'payload' | 'chunks'>): Body {
  const trailer = payload.endsWith('-TRAILER');
  const unsigned = payload === 'STREAMING-UNSIGNED-PAYLOAD-TRAILER';
  if (!unsigned && !/^STREAMING-AWS4-HMAC-SHA256-PAYLOAD(-TRAILER)?$/.test(payload))
    throw notImplemented(payload.slice(0, 80));
  if (!unsigned && !chunks) throw new S3Refusal('AccessDenied', 'A body in signed chunks needs a signed request');
  const decoder = new ChunkDecoder({ signed: unsigned ? undefined : chunks, trailer });
  const sizeBytes = lengthOf(raw.headers['x-amz-decoded-content-length']);
  return {
    bytes: through(raw, new Decode(decoder)),
    sizeBytes,
    trailer: (name) => decoder.trailers.get(name),
  };
}

function lengthOf(said: string | string[] | undefined): number | undefined {
  if (said === undefined) return undefined;
  if (!/^\d{1,15}$/.test(String(said))) throw new S3Refusal('InvalidArgument', 'A length must be a number of bytes');
  return Number(said);
}

/** A body that is cut off ends what it goes through, too. */
function through(raw: IncomingMessage, transform: Transform): Readable {
  pipeline(raw, transform, () => {});
  return transform;
}

class Decode extends Transform {
  readonly #decoder: ChunkDecoder;

  constructor(decoder: ChunkDecoder) {
    super();
    this.#decoder = decoder;
  }

  override _transform(bytes: Buffer, _encoding: string, done: TransformCallback): void {
    attempt(done, () => this.#decoder.push(bytes, (data) => this.push(data)));
  }

  override _flush(done: TransformCallback): void {
    attempt(done, () => this.#decoder.finish());
  }
}

class HashCheck extends Transform {
  readonly #expected: string;
  readonly #hash: Hash = createHash('sha256');

  constructor(expected: string) {
    super();
    this.#expected = expected;
  }

  override _transform(bytes: Buffer, _encoding: string, done: TransformCallback): void {
    this.#hash.update(bytes);
    done(null, bytes);
  }

  override _flush(done: TransformCallback): void {
    attempt(done, () => {
      const computed = this.#hash.digest('hex');
      if (computed === this.#expected) return;
      throw new S3Refusal(
        'XAmzContentSHA256Mismatch',
        "The provided 'x-amz-content-sha256' header does not match what was computed.",
        { ClientComputedContentSHA256: this.#expected, S3ComputedContentSHA256: computed },
      );
    });
  }
}

function attempt(done: TransformCallback, work: () => void): void {
  try {
    work();
  } catch (error) {
    done(error as Error);
    return;
  }
  done();
}

/** A whole document. @throws S3Refusal */
export async function readWhole({ bytes }: Body, maxBytes: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of bytes as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > maxBytes) throw new S3Refusal('MaxMessageLengthExceeded', 'Your request was too big.');
    parts.push(part);
  }
  return Buffer.concat(parts);
}

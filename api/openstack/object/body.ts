/** Bodies of requests, which are left on the wire until somebody reads them. */
import type { FastifyRequest } from 'fastify';
import { Refusal } from '../../boundary/refusal.ts';

/** Whatever the type says. */
export const octets = 'application/octet-stream';

export function hasBody({ raw }: FastifyRequest): boolean {
  const { 'content-length': length, 'transfer-encoding': chunked } = raw.headers;
  return chunked !== undefined || (length !== undefined && Number(length) > 0);
}

/** Undefined: it comes in chunks. @throws Refusal 411 where nothing says how it ends */
export function bodySize(request: FastifyRequest): number | undefined {
  const { 'content-length': length, 'transfer-encoding': chunked } = request.raw.headers;
  if (chunked !== undefined) return undefined;
  if (length !== undefined) return Number(length);
  throw new Refusal('invalid', 'Missing Content-Length header.', { details: { httpStatus: 411 } });
}

/** @throws Refusal 413 for a body of more than so many bytes */
export async function readBody(request: FastifyRequest, maxBytes: number): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let size = 0;
  const tooLarge = () => new Refusal('too_large', '');
  if (Number(request.raw.headers['content-length'] ?? 0) > maxBytes) throw tooLarge();
  for await (const piece of request.raw as AsyncIterable<Buffer>) {
    size += piece.length;
    if (size > maxBytes) throw tooLarge();
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

/**
 * Clients write all before they read our word: what is left of a body that nobody wanted must not block it.
 */
export async function withoutRest<T>({ raw }: FastifyRequest, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } finally {
    raw.resume();
  }
}

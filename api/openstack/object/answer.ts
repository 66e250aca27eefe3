/** Answers whose headers are the message: written past Fastify, which takes the type and the length from an answer without a body. */
import type { OutgoingHttpHeaders } from 'node:http';
import type { FastifyReply } from 'fastify';

const html = 'text/html; charset=UTF-8';

export interface Answer {
  status: number;
  headers?: OutgoingHttpHeaders;
  /** Told by its length alone, where a HEAD asks. */
  body?: string | Buffer;
}

export function answer(reply: FastifyReply, { status, headers = {}, body = '' }: Answer): FastifyReply {
  const bytes = typeof body === 'string' ? Buffer.from(body) : body;
  const { raw } = reply.headers({ 'content-type': html, 'content-length': bytes.length, ...headers }).hijack();
  try {
    raw.writeHead(status, reply.getHeaders() as OutgoingHttpHeaders);
  } catch (error) {
    // Nobody else answers any more: rather no answer than a client that waits for it.
    raw.destroy();
    throw error;
  }
  if (reply.request.method === 'HEAD' || status === 204 || status === 304) raw.end();
  else raw.end(bytes);
  return reply;
}

/** GET and HEAD of an object: conditions, ranges, manifests, what a temporary URL adds. */
import type { OutgoingHttpHeaders } from 'node:http';
import { Readable, Transform } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { ObjectRange, ObjectService, OpenedObject, Visitor, Where } from '../../../control/object/index.ts';
import { headersOf } from '../../boundary/headers.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { type Answer, answer } from './answer.ts';
import { judge, rangeHolds } from './conditions.ts';
import { describe, isOfParts } from './object-headers.ts';
import { encodedPath } from './path.ts';
import { ByteRangesBody, contentRange, rangesOf } from './range.ts';
import { queryOf } from './request.ts';
import { toldManifest } from './slo.ts';

export interface Reading {
  objects: ObjectService;
  visitor: Visitor;
  where: Where;
  name: string;
  /** Beside what the object says: of the container, of a temporary URL. */
  headers?: Record<string, string>;
  /** Of pages about errors. */
  status?: number;
  /** Of temporary URLs: not all of it is theirs to tell. */
  hide?(headers: Record<string, string>): Record<string, string>;
}

export async function sendObject(
  request: FastifyRequest,
  reply: FastifyReply,
  reading: Reading,
): Promise<FastifyReply> {
  const { objects, visitor, where, name } = reading;
  const asksManifest = queryOf(request, 'multipart-manifest') === 'get';
  let manifestOnly = asksManifest || queryOf(request, 'symlink') === 'get';
  const versionId = queryOf(request, 'version-id');
  const version = versionId === undefined ? {} : { versionId };
  let opened = await objects.open(visitor, where, name, { ...version, ...(manifestOnly && { raw: true }) });
  if (manifestOnly && !asksManifest && opened.object.manifest?.kind !== 'symlink') {
    // Who asks for a link is told of what is none as anybody is.
    manifestOnly = false;
    if (opened.object.manifest !== null) opened = await objects.open(visitor, where, name, version);
  }
  try {
    return await sendOpened(request, reply, { ...reading, opened, manifestOnly, versioned: versionId !== undefined });
  } catch (error) {
    if (reply.sent) reply.raw.destroy();
    throw error;
  }
}

interface Sending extends Reading {
  opened: OpenedObject;
  manifestOnly: boolean;
  versioned: boolean;
}

async function sendOpened(request: FastifyRequest, reply: FastifyReply, sending: Sending): Promise<FastifyReply> {
  const { opened, manifestOnly, versioned, status: asked = 200, hide = (told) => told } = sending;
  const { object, sizeBytes, etag } = opened;
  const told = describe(object, { etag: manifestOnly ? object.etag : etag, manifestOnly, versioned });
  const headers = { ...hide(told), ...locationOf(sending), ...sending.headers };
  const segments = object.manifest?.kind === 'slo' ? object.manifest.segments : isOfParts(object) ? [] : undefined;
  if (queryOf(request, 'multipart-manifest') === 'get' && segments) {
    const body = JSON.stringify(toldManifest(segments, { raw: queryOf(request, 'format') === 'raw' }));
    return answer(reply, {
      status: 200,
      headers: { ...headers, 'content-type': 'application/json; charset=utf-8' },
      body,
    });
  }
  const tag = { etag: manifestOnly ? object.etag : etag, changedAt: object.updatedAt };
  const verdict = judge(headersOf(request), tag);
  if (verdict === 'not_modified') return answer(reply, bodiless(304, headers));
  if (verdict === 'failed') {
    throw new Refusal('invalid', '', { details: { httpStatus: 412, headers: { Etag: headers.Etag! } } });
  }
  const holds = rangeHolds(headersOf(request)['if-range'], tag);
  // A range of what nobody wants to read is none (RFC 9110, section 14.2).
  const ranges =
    asked === 200 && holds && request.method === 'GET' ? rangesOf(request.headers.range, sizeBytes) : undefined;
  if (ranges?.length === 0) {
    const refused = { 'content-range': `bytes */${sizeBytes}`, 'accept-ranges': 'bytes', etag: headers.Etag! };
    throw new Refusal('invalid', '', { details: { httpStatus: 416, headers: refused } });
  }
  if (request.method === 'HEAD') {
    const { raw } = reply.headers({ ...headers, 'content-length': sizeBytes }).hijack();
    raw.writeHead(asked, reply.getHeaders() as OutgoingHttpHeaders).end();
    return reply;
  }
  if (ranges && ranges.length > 1) return sendRanges(request, reply, { opened, ranges, headers });
  const [range] = ranges ?? [];
  const bytes = await opened.read(range);
  const length = range ? range.last + 1 - range.first : sizeBytes;
  const { raw } = reply
    .headers({
      ...headers,
      'content-length': length,
      ...(range && { 'content-range': contentRange(range, sizeBytes) }),
    })
    .hijack();
  raw.writeHead(range ? 206 : asked, reply.getHeaders() as OutgoingHttpHeaders);
  bytes
    .sendTo(raw)
    .catch((err: unknown) => request.log.warn({ err, object: object.name }, 'object: a download was cut off'));
  return reply;
}

/** Where a symlink has led. */
function locationOf({ opened, where, name }: Sending): Record<string, string> {
  const { resolved } = opened;
  if (!resolved || (resolved.container === where.container && resolved.name === name)) return {};
  return {
    'Content-Location': `/object/v1/AUTH_${resolved.projectId}/${encodedPath(`${resolved.container}/${resolved.name}`)}`,
  };
}

const bodiless = (status: number, headers: Record<string, string>): Answer => ({ status, headers });

/** One after the other: each is opened when it is its turn. */
async function sendRanges(
  request: FastifyRequest,
  reply: FastifyReply,
  { opened, ranges, headers }: { opened: OpenedObject; ranges: ObjectRange[]; headers: Record<string, string> },
): Promise<FastifyReply> {
  const contentType = headers['content-type']!;
  const body = new ByteRangesBody(ranges, { contentType, sizeBytes: opened.sizeBytes });
  const { raw } = reply
    .headers({
      ...headers,
      'content-type': `multipart/byteranges;boundary=${body.boundary}`,
      'content-length': body.sizeBytes,
    })
    .hijack();
  raw.writeHead(206, reply.getHeaders() as OutgoingHttpHeaders);
  const source = Readable.from(piecesOf(opened, ranges, body), { objectMode: false });
  source.on('error', (err) => {
    request.log.warn({ err, object: opened.object.name }, 'object: a download was cut off');
    raw.destroy();
  });
  raw.on('close', () => source.destroy());
  source.pipe(raw);
  return reply;
}

async function* piecesOf(opened: OpenedObject, ranges: readonly ObjectRange[], body: ByteRangesBody) {
  for (const [index, range] of ranges.entries()) {
    yield body.heads[index]!;
    yield* copiesOf(await opened.read(range));
  }
  yield body.end;
}

/** A copy of each piece: who sends them uses its memory again. */
function copiesOf(bytes: Awaited<ReturnType<OpenedObject['read']>>): Readable {
  const copies = new Transform({ transform: (chunk: Buffer, _encoding, done) => done(null, Buffer.from(chunk)) });
  bytes.sendTo(copies).catch((error: Error) => copies.destroy(error));
  return copies;
}

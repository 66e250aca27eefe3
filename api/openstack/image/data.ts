/** The bytes of images, in and out; streamed, never held. */
import type { OutgoingHttpHeaders } from 'node:http';
import type { ImageTransfer } from '../../../control/image/index.ts';
import type { Boundary } from '../../boundary/boundary.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { callerOf } from '../common/authenticate.ts';
import { parseRange } from './range.ts';

const octets = 'application/octet-stream';
const upload = { summary: 'Upload bytes', rights: 'member', bytes: octets, answers: { 204: null } } as const;
const stage = {
  summary: 'Stage bytes for an import',
  rights: 'member',
  bytes: octets,
  answers: { 204: null },
} as const;
const download = {
  summary: 'Download bytes',
  rights: 'reader',
  answers: { 200: octets, 206: octets, 204: null },
} as const;

export function dataRoutes(app: Boundary, transfer: ImageTransfer): void {
  for (const [path, contract, purpose] of [
    ['/v2/images/:id/file', upload, 'upload'],
    ['/v2/images/:id/stage', stage, 'stage'],
  ] as const) {
    app.put(path, contract, async (request, reply) => {
      const { raw } = request;
      try {
        if (!/^application\/octet-stream\s*(;|$)/i.test(request.headers['content-type'] ?? '')) {
          throw new Refusal('invalid', 'The content type must be application/octet-stream.', {
            details: { httpStatus: 415 },
          });
        }
        const length = request.headers['content-length'];
        const source = { bytes: raw, sizeBytes: length === undefined ? undefined : Number(length) };
        await transfer.upload(callerOf(request), request.params.id, source, purpose);
      } finally {
        // Clients write all before they read our word; what is left of a refused upload must not block it.
        raw.resume();
      }
      return reply.code(204).send();
    });
  }

  app.get('/v2/images/:id/file', download, async (request, reply) => {
    const { image, read } = await transfer.download(callerOf(request), request.params.id);
    const size = image.size_bytes ?? 0;
    // One of a server that boots from volumes has none, on no host.
    if ((image.status !== 'active' && image.status !== 'deactivated') || size === 0) return reply.code(204).send();
    const range = parseRange(request.headers.range, size);
    reply.type(octets).header('accept-ranges', 'bytes');
    if (range === 'unsatisfiable') {
      throw new Refusal('invalid', `The requested range is outside of the image's ${size} bytes.`, {
        details: { httpStatus: 416, headers: { 'content-range': `bytes */${size}` } },
      });
    }
    const bytes = await read(range);
    const headers = range
      ? {
          'content-range': `bytes ${range.first}-${range.last}/${size}`,
          'content-length': range.last - range.first + 1,
        }
      : { ...(image.md5 !== null && { 'content-md5': image.md5 }), 'content-length': size };
    const { raw } = reply.headers(headers).hijack();
    raw.writeHead(range ? 206 : 200, reply.getHeaders() as OutgoingHttpHeaders);
    bytes.sendTo(raw).catch((err) => request.log.warn({ err, imageId: image.id }, 'image: a download was cut off'));
    return reply;
  });
}

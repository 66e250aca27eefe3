/** Static large objects: `?multipart-manifest=put` and `=delete`. */
import { createHash } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { isCloudError } from '../../../contract/errors.ts';
import type { Segment, Visitor, Where } from '../../../control/object/index.ts';
import { headersOf } from '../../boundary/headers.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { readBody } from './body.ts';
import { deleteMany, sendReport } from './bulk.ts';
import { isOfParts, wishOf } from './object-headers.ts';
import { objectOf, queryOf, whereOf } from './request.ts';
import { maxManifestBytes, readManifest, segmentRange, type WishedSegment } from './slo.ts';
import { archiveBefore, conditionOf, nothing, type Services, written } from './write-parts.ts';

/** Looked at side by side. */
const lookingAt = 10;

export async function putManifest(
  request: FastifyRequest,
  reply: FastifyReply,
  services: Services,
): Promise<FastifyReply> {
  if (queryOf(request, 'heartbeat') !== undefined) {
    throw new Refusal('invalid', 'heartbeat is not supported: the answer comes when the manifest is kept');
  }
  const [where, name] = [whereOf(request), objectOf(request)];
  await services.containers.show(request.visit, where, 'write');
  const wished = readManifest((await readBody(request, maxManifestBytes)).toString('utf8'));
  const segments = await lookUp(services, { visitor: request.visit, projectId: where.projectId }, wished);
  const etag = etagOf(segments);
  const sizeBytes = segments.reduce((sum, segment) => sum + segment.sizeBytes, 0);
  if (!Number.isSafeInteger(sizeBytes)) throw new Refusal('too_large', 'The segments are too large together');
  const expected = headersOf(request).etag?.replace(/^"(.*)"$/, '$1');
  if (expected !== undefined && expected !== etag) throw new Refusal('invalid', '', { details: { httpStatus: 422 } });
  await archiveBefore(request, services, where, name);
  const made = await services.objects.put(request.visit, where, name, nothing(), {
    ...wishOf(request, name),
    ...conditionOf(request),
    manifest: { kind: 'slo', segments, sizeBytes, etag },
  });
  return written(reply, { ...made, etag: `"${etag}"` });
}

/** What the segments are together: MD5 of their tags, with the ranges that are taken of them. */
function etagOf(segments: readonly Segment[]): string {
  const hash = createHash('md5');
  for (const { data, etag, range } of segments) {
    if (data !== undefined) hash.update(createHash('md5').update(Buffer.from(data, 'base64')).digest('hex'));
    else hash.update(range ? `${etag}:${range.first}-${range.last};` : etag!);
  }
  return hash.digest('hex');
}

async function lookUp(
  { objects }: Services,
  { visitor, projectId }: { visitor: Visitor; projectId: string },
  wished: readonly WishedSegment[],
): Promise<Segment[]> {
  const faults: string[] = [];
  const one = async (segment: WishedSegment): Promise<Segment> => {
    if ('data' in segment) return segment;
    const { container, name } = segment;
    const fault = (why: string) => {
      faults.push(`/${container}/${name}, ${why}`);
      return { container, name, sizeBytes: 0 };
    };
    try {
      const { object, etag, sizeBytes } = await objects.head(visitor, { projectId, container }, name);
      if (segment.etag !== undefined && segment.etag !== etag) return fault('Etag Mismatch');
      if (segment.sizeBytes !== undefined && segment.sizeBytes !== sizeBytes) return fault('Size Mismatch');
      const range = segment.range === undefined ? undefined : segmentRange(segment.range, sizeBytes);
      if (segment.range !== undefined && !range) return fault('Unsatisfiable Range');
      if (sizeBytes === 0) return fault('Too Small; each segment must be at least 1 byte.');
      if (object.manifest?.kind === 'dlo') return fault('is a dynamic large object');
      return {
        ...{ container, name, etag, contentType: object.contentType, modifiedAt: object.updatedAt.toISOString() },
        sizeBytes: range ? range.last + 1 - range.first : sizeBytes,
        ...(range && { range }),
        ...(object.manifest?.kind === 'slo' && { isManifest: true }),
      };
    } catch (error) {
      if (isCloudError(error, 'not_found')) return fault('404 Not Found');
      if (isCloudError(error, 'forbidden')) return fault('403 Forbidden');
      throw error;
    }
  };
  const segments: Segment[] = [];
  for (let from = 0; from < wished.length; from += lookingAt) {
    segments.push(...(await Promise.all(wished.slice(from, from + lookingAt).map(one))));
  }
  if (faults.length > 0) throw new Refusal('invalid', `Errors:\n${faults.slice(0, 1000).join('\n')}\n`);
  return segments;
}

/** First the segments, then what names them: whoever is stopped between can go on. */
export async function deleteLarge(
  request: FastifyRequest,
  reply: FastifyReply,
  services: Services,
): Promise<FastifyReply> {
  const [where, name] = [whereOf(request), objectOf(request)];
  const found = new Map<string, { where: Where; name: string }>();
  await gatherSegments(request, services, { where, name, depth: 0, found });
  const report = await deleteMany(request, services, [...found.values(), { where, name }]);
  return sendReport(request, reply, 'delete', report);
}

const maxDepth = 10;
/** Swift's own bound. */
const maxSegments = 100_000;

/** Each once, however often it is named: manifests of manifests, each a thousand times, would name more than any memory has. */
async function gatherSegments(
  request: FastifyRequest,
  services: Services,
  {
    where,
    name,
    depth,
    found,
  }: { where: Where; name: string; depth: number; found: Map<string, { where: Where; name: string }> },
): Promise<void> {
  const { object } = await services.objects.head(request.visit, where, name, { raw: true });
  if (object.manifest?.kind !== 'slo') {
    if (depth === 0 && !isOfParts(object)) throw new Refusal('invalid', 'Not an SLO manifest');
    return;
  }
  if (depth === maxDepth) throw new Refusal('invalid', 'Manifests lead to manifests too many times');
  for (const segment of object.manifest.segments) {
    if (segment.container === undefined || segment.name === undefined) continue;
    const key = `${segment.container}/${segment.name}`;
    if (found.has(key)) continue;
    const place = { where: { projectId: where.projectId, container: segment.container }, name: segment.name };
    if (segment.isManifest) await gatherSegments(request, services, { ...place, depth: depth + 1, found });
    if (found.size === maxSegments) throw new Refusal('invalid', 'Too many buffered slo segments to delete.');
    found.set(key, place);
  }
}

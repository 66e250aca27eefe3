/** An object in headers, both ways. */
import type { FastifyRequest } from 'fastify';
import type { ObjectHeaders, ObjectInfo, ObjectWish } from '../../../control/object/index.ts';
import { type HeaderTexts, headersOf } from '../../boundary/headers.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { typeOfName } from './media-types.ts';
import { inHeader, metadataChange, metadataHeaders } from './metadata.ts';
import { keptHeaders } from './object-contracts.ts';
import { encodedPath, namedInHeader } from './path.ts';
import { truthy } from './request.ts';
import { httpDate, timestampOf } from './times.ts';

/** What S3 has put together of parts is told as a static large object without segments: a client would hold the tag against the bytes. */
export const isOfParts = ({ manifest, parts }: Pick<ObjectInfo, 'manifest' | 'parts'>): boolean =>
  manifest === null && parts > 0;

/** Of something large the tag stands in quotes: it is no MD5 of the bytes. */
const etagHeader = (object: Pick<ObjectInfo, 'manifest' | 'parts'>, etag: string): string =>
  object.manifest?.kind === 'slo' || object.manifest?.kind === 'dlo' || isOfParts(object) ? `"${etag}"` : etag;

/** @param manifestOnly what is told of is the manifest, not what it leads to */
export function describe(
  object: ObjectInfo,
  { etag, manifestOnly = false, versioned = false }: { etag: string; manifestOnly?: boolean; versioned?: boolean },
): Record<string, string> {
  const { manifest } = object;
  const kept = Object.entries(keptHeaders).flatMap(([name, own]) => {
    const value = object.headers[own];
    return value === undefined ? [] : [[name, inHeader(value)] as const];
  });
  return {
    'content-type': inHeader(object.contentType),
    Etag: manifestOnly ? etag : etagHeader(object, etag),
    'Last-Modified': httpDate(object.updatedAt),
    'X-Timestamp': timestampOf(object.updatedAt),
    'Accept-Ranges': 'bytes',
    ...Object.fromEntries(kept),
    ...metadataHeaders(object.metadata, 'object'),
    ...(object.expiresAt && { 'X-Delete-At': String(Math.ceil(object.expiresAt.getTime() / 1000)) }),
    ...(manifest?.kind === 'slo' && { 'X-Static-Large-Object': 'True', 'X-Manifest-Etag': manifest.etag }),
    ...(isOfParts(object) && { 'X-Static-Large-Object': 'True' }),
    ...(manifest?.kind === 'dlo' && { 'X-Object-Manifest': encodedPath(`${manifest.container}/${manifest.prefix}`) }),
    ...(manifestOnly && manifest?.kind === 'symlink' && symlinkHeaders(manifest)),
    ...((versioned || object.versionId !== 'null') && { 'X-Object-Version-Id': object.versionId }),
  };
}

function symlinkHeaders(manifest: Extract<ObjectInfo['manifest'], { kind: 'symlink' }>): Record<string, string> {
  return {
    'X-Symlink-Target': encodedPath(`${manifest.container}/${manifest.name}`),
    ...(manifest.projectId !== undefined && { 'X-Symlink-Target-Account': `AUTH_${manifest.projectId}` }),
    ...(manifest.etag !== undefined && { 'X-Symlink-Target-Etag': manifest.etag }),
    ...(manifest.sizeBytes !== undefined && { 'X-Symlink-Target-Bytes': String(manifest.sizeBytes) }),
  };
}

/** What a request says that an object shall be, but for its bytes. */
export function wishOf(request: FastifyRequest, name: string): ObjectWish {
  const headers = headersOf(request);
  const detect = truthy(headers['x-detect-content-type']);
  return {
    contentType: (!detect && request.givenType) || typeOfName(name),
    metadata: metadataChange(headers, 'object').set,
    headers: keptOf(headers),
    expiresAt: expiryOf(headers),
    manifest: dloOf(headers),
  };
}

export function keptOf(headers: HeaderTexts): ObjectHeaders {
  const kept = Object.entries(keptHeaders).flatMap(([name, own]) =>
    headers[name] ? [[own, headers[name]] as const] : [],
  );
  return Object.fromEntries(kept);
}

const own: readonly string[] = Object.values(keptHeaders);

/** What another dialect keeps with an object, and this one has no words for: it stays. */
export const foreignOf = (headers: ObjectHeaders): ObjectHeaders =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => !own.includes(name)));

/** @throws Refusal for a time that is over */
export function expiryOf(headers: HeaderTexts, now = new Date()): Date | undefined {
  const { 'x-delete-at': at, 'x-delete-after': after } = headers;
  if (after === undefined && at === undefined) return undefined;
  const time = after !== undefined ? now.getTime() + Number(after) * 1000 : Number(at) * 1000;
  if (time <= now.getTime()) {
    throw new Refusal('invalid', after === undefined ? 'X-Delete-At in past' : 'X-Delete-After in past');
  }
  // Whole seconds: that is what is told again.
  return new Date(Math.floor(Math.min(time, Date.UTC(9999, 0)) / 1000) * 1000);
}

export function dloOf(headers: HeaderTexts): ObjectWish['manifest'] {
  const text = headers['x-object-manifest'];
  if (!text) return undefined;
  const named = decodedName(text);
  if (!named || /[?&]/.test(text) || named.object.startsWith('/') || /%00/.test(text)) {
    throw new Refusal('invalid', 'X-Object-Manifest must be in the format container/prefix');
  }
  return { kind: 'dlo', container: named.container, prefix: named.object };
}

function decodedName(text: string) {
  try {
    return namedInHeader(text);
  } catch {
    return undefined;
  }
}

/** `container/object` of a header. @throws Refusal 412 */
export function namedBy(header: string, text: string): { container: string; object: string } {
  const named = decodedName(text);
  if (named && !named.container.includes('\0') && !named.object.includes('\0')) return named;
  const why = `${header} header must be of the form <container name>/<object name>`;
  throw new Refusal('invalid', why, { details: { httpStatus: 412 } });
}

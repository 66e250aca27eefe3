/** Objects: put, read, copy and delete them. */
import type { OutgoingHttpHeaders } from 'node:http';
import { Type } from 'typebox';
import { CloudError } from '../../contract/errors.ts';
import type { ObjectInfo, OpenedObject, OpenOptions, PutResult, VersionOptions } from '../../control/object/index.ts';
import { cannedOfObject } from './acl.ts';
import type { Call } from './call.ts';
import { checksumHeaders, checksumNodes, checksumType, headersOf } from './describe.ts';
import { requireLockable } from './lock.ts';
import type { Operations } from './operations.ts';
import { contentRange, type Range, rangeOf } from './range.ts';
import { invalidArgument, S3Refusal } from './refusal.ts';
import { tagsOfQuery, versionOf } from './tags.ts';
import { copySourceOf } from './target.ts';
import { checksumsOf, conditionsOf, lockOf, md5Of, wantedAlgorithm, wishOf, writeConditionsOf } from './wish.ts';

const text = Type.Optional(Type.String());

/** @throws S3Refusal */
export function requireLength(call: Call): void {
  if (call.body().sizeBytes !== undefined || call.header('transfer-encoding') !== undefined) return;
  throw new S3Refusal('MissingContentLength', 'You must provide the Content-Length HTTP header.');
}

const quoted = (etag: string): string => `"${etag}"`;

export const writtenHeaders = (put: PutResult): OutgoingHttpHeaders => ({
  etag: quoted(put.etag),
  ...checksumHeaders(put.checksums),
  ...(put.versioned && { 'x-amz-version-id': put.versionId }),
});

async function putObject(call: Call): Promise<void> {
  requireLength(call);
  const md5 = md5Of(call);
  const wish = { ...wishOf(call), ...writeConditionsOf(call), checksums: checksumsOf(call), ...(md5 && { md5 }) };
  if (wish.lock) await requireLockable(call);
  const where = await call.where();
  const { bytes, sizeBytes } = call.body();
  const put = await call.services.objects.put(call.visitor, where, call.key, { bytes, sizeBytes }, wish);
  call.done(200, writtenHeaders(put));
}

/** What a signed URL may say about the form of the answer. */
const overrides = {
  'response-content-type': 'content-type',
  'response-content-language': 'content-language',
  'response-expires': 'expires',
  'response-cache-control': 'cache-control',
  'response-content-disposition': 'content-disposition',
  'response-content-encoding': 'content-encoding',
} as const;

function overridden(call: Call): OutgoingHttpHeaders {
  const headers: OutgoingHttpHeaders = {};
  for (const [parameter, name] of Object.entries(overrides)) {
    const value = call.query(parameter);
    if (value !== undefined) headers[name] = value;
  }
  if (Object.keys(headers).length > 0 && call.visitor.caller === null) {
    throw new S3Refusal(
      'InvalidRequest',
      'Request specific response headers cannot be used for anonymous GET requests.',
    );
  }
  return headers;
}

/** With the object's own ACL, where the bucket's does not open it. */
export async function openObject(call: Call, options: OpenOptions): Promise<OpenedObject> {
  const where = await call.where();
  const { objects } = call.services;
  try {
    return await objects.open(call.visitor, where, call.key, options);
  } catch (error) {
    if (!(error instanceof CloudError) || !['unauthenticated', 'forbidden'].includes(error.code)) throw error;
    const granted = { ...call.visitor, granted: ['read' as const], grantedIn: { projectId: where.projectId } };
    // Who may not read learns nothing about what is there.
    const { versionId } = options;
    const { object } = await objects.head(granted, where, call.key, { versionId, raw: true }).catch(() => {
      throw error;
    });
    const acl = cannedOfObject(object);
    const opens = acl === 'public-read' || (acl === 'authenticated-read' && call.visitor.caller);
    // Its own bytes alone: where a manifest leads, whoever wrote it may not even be one who reads there.
    if (!opens || object.manifest) throw error;
    return objects.open(granted, where, call.key, { ...options, versionId: versionId ?? object.versionId, raw: true });
  }
}

/** A part's number. @throws S3Refusal */
export function partOf(call: Pick<Call, 'query'>): number | undefined {
  const said = call.query('partNumber');
  if (said === undefined) return undefined;
  const number = Number(said);
  if (/^\d{1,5}$/.test(said) && number >= 1 && number <= 10_000) return number;
  throw invalidArgument('Part number must be an integer between 1 and 10000, inclusive', 'partNumber', said);
}

async function readObject(call: Call): Promise<void> {
  const headers = overridden(call);
  const part = partOf(call);
  const opened = await openObject(call, { ...versionOf(call), part, conditions: conditionsOf(call) });
  const { object, sizeBytes } = opened;
  const range = opened.part ?? rangeOf(call.header('range'), sizeBytes);
  if (range === 'unsatisfiable') {
    throw new S3Refusal('InvalidRange', 'The requested range is not satisfiable', {
      RangeRequested: (call.header('range') ?? '').slice(0, 255),
      ActualObjectSize: String(sizeBytes),
    });
  }
  const told = {
    ...describe(call, opened, range),
    ...(part !== undefined && object.parts > 0 && { 'x-amz-mp-parts-count': object.parts }),
    ...headers,
  };
  const status = range ? 206 : 200;
  if (call.request.method === 'HEAD') {
    call.begin(status, told).end();
    return;
  }
  const bytes = await opened.read(range);
  const raw = call.begin(status, told);
  try {
    await bytes.sendTo(raw);
  } catch (err) {
    // Nothing false is sent: what was announced does not come.
    call.request.log.warn({ err, object: object.name }, 'a download was cut off');
    raw.destroy();
  }
}

function describe(
  call: Call,
  { object, sizeBytes, etag }: OpenedObject,
  range: Range | undefined,
): OutgoingHttpHeaders {
  const length = range ? range.last + 1 - range.first : sizeBytes;
  return {
    ...headersOf(object, etag),
    'content-length': length,
    ...(range && { 'content-range': contentRange(range, sizeBytes) }),
    // Of a part the sum of the whole would be false: one client in wide use compares them.
    ...(!range &&
      !object.manifest &&
      call.header('x-amz-checksum-mode')?.toUpperCase() === 'ENABLED' &&
      checksumHeaders(object.checksums)),
  };
}

async function deleteObject(call: Call): Promise<void> {
  const { ifMatch } = conditionsOf(call);
  call.done(204, await deleteKey(call, call.key, { ...versionOf(call), ...(ifMatch && { ifMatch }) }));
}

/** Of a name that is not there too: S3 says that it is deleted. */
export async function deleteKey(call: Call, key: string, options: VersionOptions): Promise<OutgoingHttpHeaders> {
  const where = await call.where();
  const bypassGovernance = call.header('x-amz-bypass-governance-retention')?.toLowerCase() === 'true';
  try {
    const done = await call.services.objects.delete(call.visitor, where, key, { ...options, bypassGovernance });
    return {
      ...(done.deleteMarker && { 'x-amz-delete-marker': 'true' }),
      ...((done.deleteMarker || options.versionId !== undefined) && { 'x-amz-version-id': done.versionId }),
    };
  } catch (error) {
    const gone = error instanceof CloudError && gone404.includes(error.reason);
    if (!gone || options.ifMatch !== undefined) throw error;
    return options.versionId === undefined ? {} : { 'x-amz-version-id': options.versionId };
  }
}

const gone404: readonly string[] = ['object_not_found', 'object_deleted', 'object_version_not_found'];

/** What a copy is made of. @throws S3Refusal */
export async function readSource(call: Call) {
  const { bucket, key, versionId } = copySourceOf(call.header('x-amz-copy-source')!);
  return {
    from: {
      where: await call.whereOf(bucket, call.header('x-amz-source-expected-bucket-owner') ?? null),
      name: key,
      ...(versionId !== undefined && { versionId }),
    },
  };
}

async function copyObject(call: Call): Promise<void> {
  const { from } = await readSource(call);
  const to = { where: await call.where(), name: call.key };
  if (lockOf(call)) await requireLockable(call);
  const same =
    from.where.projectId === to.where.projectId &&
    from.where.container === to.where.container &&
    from.name === to.name &&
    from.versionId === undefined;
  const conditions = conditionsOf(call, 'x-amz-copy-source-');
  const { source, ...put } = await call.services.objects
    .copy(call.visitor, { ...from, conditions }, to, ({ object }) => copyWish(call, object, { same }))
    .catch((error) => {
      // A copy is a write: what would be "not modified" of a read is a condition that does not hold.
      if (error instanceof CloudError && error.reason === 'object_not_modified') {
        throw new S3Refusal('PreconditionFailed', 'At least one of the pre-conditions you specified did not hold');
      }
      throw error;
    });
  const { versionId } = source.object;
  call.xml(
    'CopyObjectResult',
    [
      ['LastModified', put.updatedAt],
      ['ETag', quoted(put.etag)],
      checksumType(put.checksums),
      ...checksumNodes(put.checksums),
    ],
    {
      ...(put.versioned && { 'x-amz-version-id': put.versionId }),
      ...(versionId !== 'null' && { 'x-amz-copy-source-version-id': versionId }),
    },
  );
}

function copyWish(call: Call, source: ObjectInfo, { same }: { same: boolean }) {
  const directive = call.header('x-amz-metadata-directive') ?? 'COPY';
  if (directive !== 'COPY' && directive !== 'REPLACE')
    throw invalidArgument('Unknown metadata directive.', 'x-amz-metadata-directive', directive);
  const tagDirective = call.header('x-amz-tagging-directive') ?? 'COPY';
  if (tagDirective !== 'COPY' && tagDirective !== 'REPLACE')
    throw invalidArgument('Unknown tagging directive.', 'x-amz-tagging-directive', tagDirective);
  if (same && directive === 'COPY' && tagDirective === 'COPY' && !call.header('x-amz-website-redirect-location')) {
    throw new S3Refusal(
      'InvalidRequest',
      "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.",
    );
  }
  const given = wishOf(call);
  const tags = tagDirective === 'REPLACE' ? tagsOfQuery(call.header('x-amz-tagging') ?? '') : source.tags;
  const { 'x-amz-acl': _acl, ...headers } = source.headers;
  const algorithm = wantedAlgorithm(call);
  const [kept] = (['crc64nvme', 'crc32', 'crc32c', 'sha1', 'sha256'] as const).filter(
    (one) => source.checksums[one] !== undefined,
  );
  const chosen = algorithm ?? kept;
  const acl = given.headers?.['x-amz-acl'];
  return {
    ...(directive === 'REPLACE'
      ? given
      : {
          ...given,
          contentType: source.contentType,
          metadata: source.metadata,
          headers: { ...headers, ...(acl && { 'x-amz-acl': acl }) },
        }),
    tags,
    ...writeConditionsOf(call),
    ...(chosen && { checksums: [{ algorithm: chosen }] }),
  };
}

const version = Type.Object({
  versionId: text,
  partNumber: text,
  ...Object.fromEntries(Object.keys(overrides).map((name) => [name, text])),
});

export const objectOperations: Operations = {
  PutObject: {
    ...{ method: 'PUT', level: 'object', rights: 'open', bytes: 'application/octet-stream', silent: true },
    summary: 'makes an object, whole or not at all',
    run: putObject,
  },
  CopyObject: {
    ...{ method: 'PUT', level: 'object', byHeader: 'x-amz-copy-source', rights: 'open' },
    summary: 'makes an object of another',
    run: copyObject,
  },
  GetObject: {
    ...{ method: 'GET', level: 'object', rights: 'open', query: version },
    summary: 'an object, or a range of it',
    run: readObject,
  },
  HeadObject: {
    ...{ method: 'HEAD', level: 'object', rights: 'open', query: version, silent: true },
    summary: 'what an object is, without its bytes',
    run: readObject,
  },
  DeleteObject: {
    ...{ method: 'DELETE', level: 'object', rights: 'open', query: Type.Object({ versionId: text }), silent: true },
    summary: 'takes an object away; in a bucket with versions a delete marker takes its place',
    run: deleteObject,
  },
};

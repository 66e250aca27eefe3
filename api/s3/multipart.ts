/** Objects in parts: begun, put and copied, listed, completed, given up. */
import { Type } from 'typebox';
import { CloudError } from '../../contract/errors.ts';
import {
  type ChecksumAlgorithm,
  type Checksums,
  type ChecksumWish,
  checksumAlgorithms,
  type ObjectRange,
  type PartInfo,
  type StoredWish,
  type UploadInfo,
} from '../../control/object/index.ts';
import { ownerNode } from './buckets.ts';
import type { Call } from './call.ts';
import { checksumHeaders, checksumNodes, checksumType, nameOfAlgorithm } from './describe.ts';
import { encoderOf, maxOf, prefixNodes } from './list-objects.ts';
import { requireLockable } from './lock.ts';
import { partOf, readSource, requireLength, writtenHeaders } from './objects.ts';
import type { Operations } from './operations.ts';
import { invalidArgument, notImplemented, S3Refusal } from './refusal.ts';
import { checksumsOf, conditionsOf, md5Of, wantedAlgorithm, wishOf, writeConditionsOf } from './wish.ts';
import type { Node } from './xml/write.ts';

const text = Type.Optional(Type.String());

const uploadOf = (call: Call): string => call.query('uploadId') ?? '';

async function begin(call: Call): Promise<void> {
  const algorithm = wantedAlgorithm(call);
  const wish: StoredWish = {
    ...wishOf(call),
    ...(algorithm && { checksumAlgorithm: algorithm }),
    ...checksumTypeOf(call, algorithm),
  };
  if (wish.lock) await requireLockable(call);
  const { uploadId } = await call.services.uploads.begin(call.visitor, await call.where(), call.key, wish);
  call.xml(
    'InitiateMultipartUploadResult',
    [
      ['Bucket', call.bucket],
      ['Key', call.key],
      ['UploadId', uploadId],
    ],
    algorithm
      ? {
          'x-amz-checksum-algorithm': nameOfAlgorithm(algorithm),
          'x-amz-checksum-type': wish.checksumType ?? defaultType(algorithm),
        }
      : {},
  );
}

const defaultType = (algorithm: ChecksumAlgorithm) => (algorithm === 'crc64nvme' ? 'FULL_OBJECT' : 'COMPOSITE');

/** Whole sums come of sums of parts for CRCs alone. @throws S3Refusal */
function checksumTypeOf(call: Call, algorithm: ChecksumAlgorithm | undefined): Pick<StoredWish, 'checksumType'> {
  const type = call.header('x-amz-checksum-type');
  if (type === undefined) return {};
  if (type !== 'FULL_OBJECT' && type !== 'COMPOSITE')
    throw invalidArgument('Value for x-amz-checksum-type header is invalid.', 'x-amz-checksum-type', type);
  if (!algorithm)
    throw new S3Refusal(
      'InvalidRequest',
      'The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.',
    );
  const impossible = type === 'FULL_OBJECT' ? ['sha1', 'sha256'] : ['crc64nvme'];
  if (impossible.includes(algorithm)) {
    throw new S3Refusal(
      'InvalidRequest',
      `The ${type} checksum type cannot be used with the ${algorithm} checksum algorithm.`,
    );
  }
  return { checksumType: type };
}

/** @throws S3Refusal */
function numberOf(call: Call): number {
  const part = partOf(call);
  if (part === undefined)
    throw invalidArgument('Part number must be an integer between 1 and 10000, inclusive', 'partNumber', '');
  return part;
}

async function putPart(call: Call): Promise<void> {
  const part = numberOf(call);
  requireLength(call);
  const md5 = md5Of(call);
  const wish = { checksums: checksumsOf(call), ...(md5 && { md5 }) };
  const where = await call.where();
  const { bytes, sizeBytes } = call.body();
  const info = await call.services.uploads.putPart(
    call.visitor,
    where,
    call.key,
    uploadOf(call),
    part,
    { bytes, sizeBytes },
    wish,
  );
  const { type: _type, ...sums } = info.checksums;
  const { 'x-amz-checksum-type': _none, ...headers } = checksumHeaders(sums);
  call.done(200, { etag: `"${info.etag}"`, ...headers });
}

async function copyPart(call: Call): Promise<void> {
  const part = numberOf(call);
  const { from } = await readSource(call);
  const said = call.header('x-amz-copy-source-range');
  const range = said === undefined ? undefined : rangeOfCopy(said);
  const to = { where: await call.where(), name: call.key, uploadId: uploadOf(call), number: part };
  const conditions = conditionsOf(call, 'x-amz-copy-source-');
  const info = await call.services.uploads.copyPart(call.visitor, to, { ...from, conditions }, range).catch((error) => {
    if (error instanceof CloudError && error.reason === 'object_range_invalid') {
      throw new S3Refusal('InvalidArgument', 'Range specified is not valid for source object', {
        ArgumentName: 'x-amz-copy-source-range',
        ArgumentValue: (said ?? '').slice(0, 80),
      });
    }
    if (error instanceof CloudError && error.reason === 'object_not_modified') {
      throw new S3Refusal('PreconditionFailed', 'At least one of the pre-conditions you specified did not hold');
    }
    throw error;
  });
  const { versionId } = info.source.object;
  call.xml(
    'CopyPartResult',
    [['LastModified', new Date()], ['ETag', `"${info.etag}"`], ...checksumNodes(info.checksums)],
    versionId === 'null' ? {} : { 'x-amz-copy-source-version-id': versionId },
  );
}

function rangeOfCopy(said: string): ObjectRange {
  const [, first, last] = /^bytes=(\d{1,15})-(\d{1,15})$/.exec(said) ?? [];
  if (first !== undefined && Number(first) <= Number(last)) return { first: Number(first), last: Number(last) };
  throw invalidArgument(
    'The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy',
    'x-amz-copy-source-range',
    said,
  );
}

const sums = Object.fromEntries(checksumAlgorithms.map((algorithm) => [`Checksum${nameOfAlgorithm(algorithm)}`, text]));
const completion = Type.Object({
  Part: Type.Array(Type.Object({ PartNumber: Type.Integer(), ETag: Type.String(), ...sums }), {
    minItems: 1,
    maxItems: 10_000,
  }),
});

type Completion = { Part: ({ PartNumber: number; ETag: string } & Record<string, string | number>)[] };

const checksumsOfPart = (part: Record<string, string | number>): Checksums =>
  Object.fromEntries(
    checksumAlgorithms.flatMap((algorithm) => {
      const value = part[`Checksum${nameOfAlgorithm(algorithm)}`];
      return value === undefined ? [] : [[algorithm, String(value)]];
    }),
  );

async function complete(call: Call): Promise<void> {
  const { Part } = call.requireDocument<Completion>();
  const size = call.header('x-amz-mp-object-size');
  if (size !== undefined && !/^\d{1,15}$/.test(size))
    throw invalidArgument('The object size is no number', 'x-amz-mp-object-size', size);
  const parts = Part.map(({ PartNumber, ETag, ...rest }) => ({
    ...{ number: PartNumber, etag: ETag.trim().replace(/^"(.*)"$/, '$1') },
    checksums: checksumsOfPart(rest),
  }));
  const where = await call.where();
  const done = await call.services.uploads.complete(call.visitor, where, call.key, uploadOf(call), parts, {
    ...writeConditionsOf(call),
    checksums: wholeChecksums(call),
    ...(size !== undefined && { sizeBytes: Number(size) }),
  });
  const { etag: _etag, ...headers } = writtenHeaders(done);
  call.xml(
    'CompleteMultipartUploadResult',
    [
      ['Location', `https://${call.request.headers.host}${call.request.originalUrl.split('?', 1)[0]}`],
      ['Bucket', call.bucket],
      ['Key', call.key],
      ['ETag', `"${done.etag}"`],
      ...checksumNodes(done.checksums),
      checksumType(done.checksums),
    ],
    headers,
  );
}

/** A composite one may have the number of its parts behind it. */
function wholeChecksums(call: Call): ChecksumWish[] {
  return checksumsOf(call).map(({ algorithm, value }) => ({ algorithm, ...(value !== undefined && { value }) }));
}

const partNode = (part: PartInfo): Node => [
  'Part',
  [
    ['PartNumber', part.number],
    ['LastModified', part.createdAt],
    ['ETag', `"${part.etag}"`],
    ...checksumNodes(part.checksums),
    ['Size', part.sizeBytes],
  ],
];

async function listParts(call: Call): Promise<void> {
  const { encode, type } = encoderOf(call);
  const limit = maxOf(call, 'max-parts');
  const marker = maxMarker(call.query('part-number-marker'));
  const where = await call.where();
  const { upload, parts, more } = await call.services.uploads.listParts(call.visitor, where, call.key, uploadOf(call), {
    marker,
    limit,
  });
  call.xml('ListPartsResult', [
    ['Bucket', call.bucket],
    ['Key', encode(call.key)],
    ['UploadId', upload.uploadId],
    ['PartNumberMarker', marker],
    ['NextPartNumberMarker', parts.at(-1)?.number ?? marker],
    ['MaxParts', limit],
    ['IsTruncated', more],
    type === undefined ? undefined : ['EncodingType', type],
    ...parts.map(partNode),
    [
      'Initiator',
      [
        ['ID', upload.initiatorId],
        ['DisplayName', upload.initiatorId],
      ],
    ],
    ownerNode(where.projectId),
    ['StorageClass', 'STANDARD'],
    ...algorithmNodes(upload),
  ]);
}

const algorithmNodes = ({ wish: { checksumAlgorithm: algorithm, checksumType: type } }: UploadInfo): Node[] =>
  algorithm
    ? [
        ['ChecksumAlgorithm', nameOfAlgorithm(algorithm)],
        ['ChecksumType', type ?? defaultType(algorithm)],
      ]
    : [];

function maxMarker(said: string | undefined): number {
  if (said === undefined || said === '') return 0;
  if (!/^\d{1,9}$/.test(said))
    throw invalidArgument(
      'Provided part-number-marker not an integer or within integer range',
      'part-number-marker',
      said,
    );
  return Number(said);
}

async function listUploads(call: Call): Promise<void> {
  const { encode, type } = encoderOf(call);
  const limit = maxOf(call, 'max-uploads');
  const [prefix, delimiter, marker, uploadMarker] = ['prefix', 'delimiter', 'key-marker', 'upload-id-marker'].map(
    (name) => call.query(name) || undefined,
  );
  const where = await call.where();
  const { entries, more } = await call.services.uploads.list(call.visitor, where, {
    ...{ prefix, delimiter, marker, limit },
    ...(marker !== undefined && { uploadMarker }),
  });
  const last = entries.at(-1);
  const truncated = more && last !== undefined;
  call.xml('ListMultipartUploadsResult', [
    ['Bucket', call.bucket],
    ['KeyMarker', encode(marker ?? '')],
    ['UploadIdMarker', uploadMarker ?? ''],
    truncated ? ['NextKeyMarker', encode('prefix' in last ? last.prefix : last.name)] : undefined,
    truncated ? ['NextUploadIdMarker', 'prefix' in last ? '' : last.uploadId] : undefined,
    ['Prefix', encode(prefix ?? '')],
    delimiter === undefined ? undefined : ['Delimiter', encode(delimiter)],
    ['MaxUploads', limit],
    ['IsTruncated', truncated],
    type === undefined ? undefined : ['EncodingType', type],
    ...entries.flatMap((entry) => ('prefix' in entry ? [] : [uploadNode(entry, encode, where.projectId)])),
    ...prefixNodes(entries, encode),
  ]);
}

const uploadNode = (upload: UploadInfo, encode: (key: string) => string, projectId: string): Node => [
  'Upload',
  [
    ['Key', encode(upload.name)],
    ['UploadId', upload.uploadId],
    [
      'Initiator',
      [
        ['ID', upload.initiatorId],
        ['DisplayName', upload.initiatorId],
      ],
    ],
    ownerNode(projectId),
    ['StorageClass', 'STANDARD'],
    ['Initiated', upload.createdAt],
    ...algorithmNodes(upload),
  ],
];

const ofPart = Type.Object({ uploadId: Type.String(), partNumber: Type.String() });

export const multipartOperations: Operations = {
  CreateMultipartUpload: {
    ...{ method: 'POST', level: 'object', by: ['uploads'], rights: 'open' },
    summary: 'begins an object that comes in parts',
    run: begin,
  },
  UploadPart: {
    ...{ method: 'PUT', level: 'object', by: ['partNumber', 'uploadId'], rights: 'open', query: ofPart, silent: true },
    bytes: 'application/octet-stream',
    summary: 'puts a part, in any order and again',
    run: putPart,
  },
  UploadPartCopy: {
    ...{
      method: 'PUT',
      level: 'object',
      by: ['partNumber', 'uploadId'],
      byHeader: 'x-amz-copy-source',
      rights: 'open',
      query: ofPart,
    },
    summary: 'makes a part of another object’s bytes',
    run: copyPart,
  },
  CompleteMultipartUpload: {
    ...{
      method: 'POST',
      level: 'object',
      by: ['uploadId'],
      rights: 'open',
      body: completion,
      bodyBytes: 4 * 1024 * 1024,
    },
    summary: 'makes the object of the parts that are named, whole or not at all',
    run: complete,
  },
  AbortMultipartUpload: {
    ...{ method: 'DELETE', level: 'object', by: ['uploadId'], rights: 'open', silent: true },
    summary: 'gives an upload up, and its parts',
    async run(call) {
      if (call.header('x-amz-if-match-initiated-time') !== undefined)
        throw notImplemented('a condition of giving an upload up');
      await call.services.uploads.abort(call.visitor, await call.where(), call.key, uploadOf(call));
      call.done(204);
    },
  },
  ListParts: {
    ...{ method: 'GET', level: 'object', by: ['uploadId'], rights: 'open' },
    query: Type.Object({
      uploadId: Type.String(),
      'max-parts': text,
      'part-number-marker': text,
      'encoding-type': text,
    }),
    summary: 'the parts that an upload has',
    run: listParts,
  },
  ListMultipartUploads: {
    ...{ method: 'GET', level: 'bucket', by: ['uploads'], rights: 'open' },
    query: Type.Object({
      ...{ uploads: text, prefix: text, delimiter: text, 'key-marker': text, 'upload-id-marker': text },
      ...{ 'max-uploads': text, 'encoding-type': text },
    }),
    summary: 'the uploads of a bucket that are not complete',
    run: listUploads,
  },
};

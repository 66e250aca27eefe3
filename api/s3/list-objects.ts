/** ListObjects in both versions. */
import { Type } from 'typebox';
import type { Listed, ObjectInfo } from '../../control/object/index.ts';
import { checksumAlgorithms } from '../../control/object/index.ts';
import { ownerNode } from './buckets.ts';
import type { Call } from './call.ts';
import { checksumType, etagOf, nameOfAlgorithm, sizeOf } from './describe.ts';
import type { Operations } from './operations.ts';
import { invalidArgument } from './refusal.ts';
import type { Node } from './xml/write.ts';

const most = 1000;

/** @throws S3Refusal */
export function maxOf(call: Pick<Call, 'query'>, name = 'max-keys'): number {
  const said = call.query(name);
  if (said === undefined || said === '') return most;
  const number = Number(said);
  if (!/^\d{1,10}$/.test(said) || number > 2 ** 31 - 1)
    throw invalidArgument(`Provided ${name} not an integer or within integer range`, name, said);
  return Math.min(number, most);
}

/** Keys may have characters that XML has not: a client that knows it asks for escapes. @throws S3Refusal */
export function encoderOf(call: Pick<Call, 'query'>): { type: string | undefined; encode(text: string): string } {
  const type = call.query('encoding-type');
  if (type === undefined || type === '') return { type: undefined, encode: (text) => text };
  if (type !== 'url') throw invalidArgument('Invalid Encoding Method specified in Request', 'encoding-type', type);
  return { type, encode: (text) => encodeURIComponent(text).replaceAll('%2F', '/') };
}

type Encode = (text: string) => string;

export const prefixNodes = (entries: readonly (object | { prefix: string })[], encode: Encode): Node[] =>
  entries.flatMap((entry) =>
    'prefix' in entry ? [['CommonPrefixes', [['Prefix', encode(entry.prefix)]]] as Node] : [],
  );

export function checksumAlgorithmNodes({ checksums }: Pick<ObjectInfo, 'checksums'>): Node[] {
  const names = checksumAlgorithms.filter((algorithm) => checksums[algorithm] !== undefined);
  return [
    ...names.map((algorithm): Node => ['ChecksumAlgorithm', nameOfAlgorithm(algorithm)]),
    checksumType(checksums),
  ];
}

const contents = (object: ObjectInfo, encode: Encode, owner: string | undefined): Node => [
  'Contents',
  [
    ['Key', encode(object.name)],
    ['LastModified', object.updatedAt],
    ['ETag', etagOf(object)],
    ...checksumAlgorithmNodes(object),
    ['Size', sizeOf(object)],
    owner === undefined ? undefined : ownerNode(owner),
    ['StorageClass', 'STANDARD'],
  ],
];

const contentNodes = ({ entries }: Listed<ObjectInfo>, encode: Encode, owner: string | undefined): Node[] =>
  entries.flatMap((entry) => ('name' in entry ? [contents(entry, encode, owner)] : []));

const lastOf = ({ entries }: Listed<ObjectInfo>): string => {
  const last = entries.at(-1);
  return last === undefined ? '' : 'name' in last ? last.name : last.prefix;
};

const said = (name: string, value: string | undefined, encode: Encode): Node =>
  value === undefined ? undefined : [name, encode(value)];

async function listObjects(call: Call): Promise<void> {
  const { type, encode } = encoderOf(call);
  const where = await call.where();
  const [limit, prefix, delimiter, marker] = [
    maxOf(call),
    call.query('prefix'),
    call.query('delimiter'),
    call.query('marker'),
  ];
  const found = await call.services.objects.list(call.visitor, where, {
    limit,
    prefix,
    delimiter: delimiter || undefined,
    marker,
  });
  const truncated = found.more && limit > 0;
  call.xml('ListBucketResult', [
    ['Name', call.bucket],
    ['Prefix', encode(prefix ?? '')],
    ['Marker', encode(marker ?? '')],
    truncated ? ['NextMarker', encode(lastOf(found))] : undefined,
    ['MaxKeys', limit],
    delimiter ? ['Delimiter', encode(delimiter)] : undefined,
    ['IsTruncated', truncated],
    said('EncodingType', type, String),
    ...contentNodes(found, encode, where.projectId),
    ...prefixNodes(found.entries, encode),
  ]);
}

/** A token means nothing to clients: the name that the page ended with. */
const tokenOf = (name: string): string => Buffer.from(name).toString('base64url');

function markerOf(token: string): string {
  const name = Buffer.from(token, 'base64url').toString('utf8');
  if (name === '' || tokenOf(name) !== token || name.includes('\0')) {
    throw invalidArgument('The continuation token provided is incorrect', 'continuation-token', token);
  }
  return name;
}

async function listObjectsV2(call: Call): Promise<void> {
  const { type, encode } = encoderOf(call);
  const where = await call.where();
  const [limit, prefix, delimiter] = [maxOf(call), call.query('prefix'), call.query('delimiter')];
  const [token, after] = [call.query('continuation-token'), call.query('start-after')];
  const found = await call.services.objects.list(call.visitor, where, {
    ...{ limit, prefix, delimiter: delimiter || undefined },
    marker: token === undefined ? after : markerOf(token),
  });
  const truncated = found.more && limit > 0;
  call.xml('ListBucketResult', [
    ['Name', call.bucket],
    ['Prefix', encode(prefix ?? '')],
    said('ContinuationToken', token, String),
    truncated ? ['NextContinuationToken', tokenOf(lastOf(found))] : undefined,
    said('StartAfter', after, encode),
    ['KeyCount', found.entries.length],
    ['MaxKeys', limit],
    delimiter ? ['Delimiter', encode(delimiter)] : undefined,
    ['IsTruncated', truncated],
    said('EncodingType', type, String),
    ...contentNodes(found, encode, call.query('fetch-owner') === 'true' ? where.projectId : undefined),
    ...prefixNodes(found.entries, encode),
  ]);
}

const text = Type.Optional(Type.String());
const page = { prefix: text, delimiter: text, 'max-keys': text, 'encoding-type': text };

export const listOperations: Operations = {
  ListObjects: {
    ...{ method: 'GET', level: 'bucket', rights: 'open' },
    summary: 'the objects of a bucket, in UTF-8’s order',
    query: Type.Object({ ...page, marker: text }),
    run: listObjects,
  },
  ListObjectsV2: {
    ...{ method: 'GET', level: 'bucket', by: ['list-type'], rights: 'open' },
    summary: 'the objects of a bucket, by a token that goes on',
    query: Type.Object({
      ...page,
      'list-type': Type.Literal('2'),
      'continuation-token': text,
      'start-after': text,
      'fetch-owner': text,
    }),
    run: listObjectsV2,
  },
};

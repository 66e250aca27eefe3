/** Versions of objects, with their delete markers; and what an object is made of. */
import { Type } from 'typebox';
import type { Listed, ObjectInfo } from '../../control/object/index.ts';
import { ownerNode } from './buckets.ts';
import type { Call } from './call.ts';
import { checksumNodes, checksumType, etagOf, sizeOf, versionHeader } from './describe.ts';
import { checksumAlgorithmNodes, encoderOf, maxOf, prefixNodes } from './list-objects.ts';
import { openObject } from './objects.ts';
import type { Operations } from './operations.ts';
import { invalidArgument } from './refusal.ts';
import { versionOf } from './tags.ts';
import { conditionsOf } from './wish.ts';
import type { Node } from './xml/write.ts';

const text = Type.Optional(Type.String());

async function listVersions(call: Call): Promise<void> {
  const { type, encode } = encoderOf(call);
  const limit = maxOf(call);
  const [prefix, delimiter, marker, versionMarker] = ['prefix', 'delimiter', 'key-marker', 'version-id-marker'].map(
    (name) => call.query(name) || undefined,
  );
  if (versionMarker !== undefined && marker === undefined) {
    throw invalidArgument(
      'A version-id marker cannot be specified without a key marker.',
      'version-id-marker',
      versionMarker,
    );
  }
  const where = await call.where();
  const { entries, more } = await call.services.objects.listVersions(call.visitor, where, {
    prefix,
    delimiter,
    marker,
    versionMarker,
    limit,
  });
  const last = entries.at(-1);
  const truncated = more && last !== undefined;
  call.xml('ListVersionsResult', [
    ['Name', call.bucket],
    ['Prefix', encode(prefix ?? '')],
    ['KeyMarker', encode(marker ?? '')],
    ['VersionIdMarker', versionMarker ?? ''],
    truncated ? ['NextKeyMarker', encode('prefix' in last ? last.prefix : last.name)] : undefined,
    truncated && !('prefix' in last) ? ['NextVersionIdMarker', last.versionId] : undefined,
    ['MaxKeys', limit],
    delimiter === undefined ? undefined : ['Delimiter', encode(delimiter)],
    ['IsTruncated', truncated],
    type === undefined ? undefined : ['EncodingType', type],
    ...versionNodes({ entries, more }, { encode, projectId: where.projectId, within: versionMarker && marker }),
    ...prefixNodes(entries, encode),
  ]);
}

interface Told {
  encode(key: string): string;
  projectId: string;
  /** The page goes on within this name. */
  within: string | undefined;
}

/** Where a delete marker is the newest no version is current: it is the first of its name. */
function versionNodes({ entries }: Listed<ObjectInfo>, { within, ...told }: Told): Node[] {
  let before = within;
  return entries.flatMap((entry) => {
    if ('prefix' in entry) return [];
    const latest = entry.deleteMarker ? entry.name !== before : entry.current;
    before = entry.name;
    return [versionNode(entry, { ...told, latest })];
  });
}

function versionNode(
  object: ObjectInfo,
  { encode, projectId, latest }: Omit<Told, 'within'> & { latest: boolean },
): Node {
  const common: Node[] = [
    ['Key', encode(object.name)],
    ['VersionId', object.versionId],
    ['IsLatest', latest],
    ['LastModified', object.updatedAt],
  ];
  if (object.deleteMarker) return ['DeleteMarker', [...common, ownerNode(projectId)]];
  return [
    'Version',
    [
      ...common,
      ['ETag', etagOf(object)],
      ...checksumAlgorithmNodes(object),
      ['Size', sizeOf(object)],
      ownerNode(projectId),
      ['StorageClass', 'STANDARD'],
    ],
  ];
}

const attributes = ['ETag', 'Checksum', 'ObjectParts', 'StorageClass', 'ObjectSize'] as const;

async function getAttributes(call: Call): Promise<void> {
  const wanted = new Set((call.header('x-amz-object-attributes') ?? '').split(',').map((one) => one.trim()));
  const unknown = [...wanted].find((one) => !attributes.includes(one as (typeof attributes)[number]));
  if (unknown !== undefined)
    throw invalidArgument('Invalid attribute name specified.', 'x-amz-object-attributes', unknown);
  const opened = await openObject(call, { ...versionOf(call), conditions: conditionsOf(call) });
  const { object } = opened;
  const sums = checksumNodes(object.checksums);
  call.xml(
    'GetObjectAttributesResponse',
    [
      // Without the quotes that it has elsewhere.
      wanted.has('ETag') ? ['ETag', etagOf(object, opened.etag).replaceAll('"', '')] : undefined,
      wanted.has('Checksum') && sums.length > 0 ? ['Checksum', [...sums, checksumType(object.checksums)]] : undefined,
      wanted.has('ObjectParts') && object.parts > 0 ? ['ObjectParts', await partsOf(call, object)] : undefined,
      wanted.has('StorageClass') ? ['StorageClass', 'STANDARD'] : undefined,
      wanted.has('ObjectSize') ? ['ObjectSize', opened.sizeBytes] : undefined,
    ],
    { 'last-modified': object.updatedAt.toUTCString(), ...versionHeader(object) },
  );
}

/** Parts are told one by one where they have sums. */
async function partsOf(call: Call, object: ObjectInfo): Promise<Node[]> {
  const [limit, marker] = [
    Number(call.header('x-amz-max-parts') ?? 1000),
    Number(call.header('x-amz-part-number-marker') ?? 0),
  ];
  if (![limit, marker].every((one) => Number.isInteger(one) && one >= 0))
    throw invalidArgument('It is no number', 'x-amz-max-parts', String(limit));
  const most = Math.min(limit, 1000);
  const where = await call.where();
  const granted = { ...call.visitor, granted: ['read' as const], grantedIn: { projectId: where.projectId } };
  const { parts, more } = await call.services.objects.parts(granted, where, call.key, {
    ...versionOf(call),
    marker,
    limit: most,
  });
  const summed = parts.filter((part) => checksumNodes(part.checksums).length > 0);
  return [
    ['PartsCount', object.parts],
    ['PartNumberMarker', marker],
    ['NextPartNumberMarker', parts.at(-1)?.number ?? marker],
    ['MaxParts', most],
    ['IsTruncated', more],
    ...summed.map(
      (part): Node => [
        'Part',
        [...checksumNodes(part.checksums), ['PartNumber', part.number], ['Size', part.sizeBytes]],
      ],
    ),
  ];
}

export const versionOperations: Operations = {
  ListObjectVersions: {
    ...{ method: 'GET', level: 'bucket', by: ['versions'], rights: 'open' },
    query: Type.Object({
      ...{ versions: text, prefix: text, delimiter: text, 'key-marker': text, 'version-id-marker': text },
      ...{ 'max-keys': text, 'encoding-type': text },
    }),
    summary: 'all versions of a bucket’s objects, the newest first',
    run: listVersions,
  },
  GetObjectAttributes: {
    ...{
      method: 'GET',
      level: 'object',
      by: ['attributes'],
      rights: 'open',
      query: Type.Object({ attributes: text, versionId: text }),
    },
    summary: 'what of an object’s sums, size and parts is asked for',
    run: getAttributes,
  },
};

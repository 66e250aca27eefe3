/** Sets of tags: as a header writes them, and as a document. */
import { Type } from 'typebox';
import type { Call } from './call.ts';
import { versionHeader } from './describe.ts';
import type { Operations } from './operations.ts';
import { S3Refusal } from './refusal.ts';
import type { Node } from './xml/write.ts';

const invalid = (why: string) => new S3Refusal('InvalidTag', why);

/** @throws S3Refusal */
function checked(pairs: readonly (readonly [string, string])[], most: number): Record<string, string> {
  if (pairs.length > most) throw invalid(`Object tags cannot be greater than ${most}`);
  const tags: [string, string][] = [];
  const seen = new Set<string>();
  for (const [key, value] of pairs) {
    if (key === '' || [...key].length > 128 || key.includes('\0'))
      throw invalid('The TagKey you have provided is invalid');
    if ([...value].length > 256 || value.includes('\0')) throw invalid('The TagValue you have provided is invalid');
    if (key.toLowerCase().startsWith('aws:')) throw invalid('System tags cannot be added/updated by requester');
    if (seen.has(key)) throw invalid('Cannot provide multiple Tags with the same key');
    seen.add(key);
    tags.push([key, value]);
  }
  return Object.fromEntries(tags);
}

const ofObject = 10;
const ofBucket = 50;

/** `a=1&b=2` @throws S3Refusal */
export function tagsOfQuery(text: string): Record<string, string> {
  try {
    const pairs = text
      .split('&')
      .filter((one) => one !== '')
      .map((one) => {
        const at = one.indexOf('=');
        const decode = (part: string) => decodeURIComponent(part.replaceAll('+', ' '));
        return at < 0 ? ([decode(one), ''] as const) : ([decode(one.slice(0, at)), decode(one.slice(at + 1))] as const);
      });
    return checked(pairs, ofObject);
  } catch (error) {
    if (error instanceof S3Refusal) throw error;
    throw new S3Refusal(
      'InvalidArgument',
      "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates.",
    );
  }
}

const tagging = Type.Object({
  TagSet: Type.Object({ Tag: Type.Optional(Type.Array(Type.Object({ Key: Type.String(), Value: Type.String() }))) }),
});

interface Tagging {
  TagSet: { Tag?: { Key: string; Value: string }[] };
}

const tagsOfDocument = ({ TagSet: { Tag = [] } }: Tagging, most = ofObject): Record<string, string> =>
  checked(
    Tag.map(({ Key, Value }) => [Key, Value] as const),
    most,
  );

const tagNodes = (tags: Readonly<Record<string, string>>): Node[] => [
  [
    'TagSet',
    Object.entries(tags).map(
      ([key, value]): Node => [
        'Tag',
        [
          ['Key', key],
          ['Value', value],
        ],
      ],
    ),
  ],
];

const version = Type.Object({ versionId: Type.Optional(Type.String()) });

export const versionOf = (call: Pick<Call, 'query'>): { versionId?: string } => {
  const versionId = call.query('versionId');
  return versionId === undefined ? {} : { versionId };
};

async function setObjectTags(call: Call, tags: Record<string, string>, status: number): Promise<void> {
  const version = versionOf(call);
  await call.services.objects.update(call.visitor, await call.where(), call.key, { tags }, version);
  call.done(status, version.versionId === undefined ? {} : { 'x-amz-version-id': version.versionId });
}

export const tagOperations: Operations = {
  GetObjectTagging: {
    ...{ method: 'GET', level: 'object', by: ['tagging'], query: version, rights: 'open' },
    summary: 'the tags of an object',
    async run(call) {
      const object = await call.services.objects.head(call.visitor, await call.where(), call.key, {
        ...versionOf(call),
        raw: true,
      });
      call.xml('Tagging', tagNodes(object.object.tags), versionHeader(object.object));
    },
  },
  PutObjectTagging: {
    ...{ method: 'PUT', level: 'object', by: ['tagging'], query: version, rights: 'open', body: tagging, silent: true },
    summary: 'an object’s tags anew',
    run: (call) => setObjectTags(call, tagsOfDocument(call.requireDocument<Tagging>()), 200),
  },
  DeleteObjectTagging: {
    ...{ method: 'DELETE', level: 'object', by: ['tagging'], query: version, rights: 'open', silent: true },
    summary: 'takes an object’s tags away',
    run: (call) => setObjectTags(call, {}, 204),
  },
  GetBucketTagging: {
    ...{ method: 'GET', level: 'bucket', by: ['tagging'], rights: 'open' },
    summary: 'the tags of a bucket',
    async run(call) {
      const { settings } = await call.services.containers.show(call.visitor, await call.where(), 'own');
      if (!settings.tagging) throw new S3Refusal('NoSuchTagSet', 'The TagSet does not exist');
      call.xml('Tagging', tagNodes(settings.tagging as Record<string, string>));
    },
  },
  PutBucketTagging: {
    ...{ method: 'PUT', level: 'bucket', by: ['tagging'], rights: 'open', body: tagging, silent: true },
    summary: 'a bucket’s tags anew',
    async run(call) {
      const tags = tagsOfDocument(call.requireDocument<Tagging>(), ofBucket);
      await call.services.containers.update(call.visitor, await call.where(), { settings: { tagging: tags } });
      call.done(204);
    },
  },
  DeleteBucketTagging: {
    ...{ method: 'DELETE', level: 'bucket', by: ['tagging'], rights: 'open', silent: true },
    summary: 'takes a bucket’s tags away',
    async run(call) {
      await call.services.containers.update(call.visitor, await call.where(), { settings: { tagging: null } });
      call.done(204);
    },
  },
};

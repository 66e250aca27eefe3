/** Schemas of the headers that this dialect reads. */
import { type TSchema, Type } from 'typebox';
import { swiftLimits as limits } from './limits.ts';

const text = (maxLength: number) => Type.Optional(Type.String({ maxLength }));

/** A whole number of bytes or objects; empty: no bound. */
export const bytesHeader = Type.Optional(
  Type.String({ pattern: '^\\d{0,15}$', description: 'A whole number; empty takes the bound away' }),
);

/** Lengths of UTF-8 are the reader's to judge (metadata.ts). */
export const metadataPatterns = (owner: 'account' | 'container' | 'object'): Record<string, TSchema> => ({
  [`^x-${owner}-meta-`]: Type.String({ maxLength: limits.metadataValueBytes }),
  [`^x-remove-${owner}-meta-`]: Type.String(),
});

const acl = text(limits.aclBytes);
const flag = text(16);

export const containerHeaders = Type.Object(
  {
    ...{ 'x-container-read': acl, 'x-container-write': acl },
    ...{ 'x-remove-container-read': text(256), 'x-remove-container-write': text(256) },
    ...{ 'x-versions-enabled': flag, 'x-versions-location': text(1024), 'x-history-location': text(1024) },
    ...{ 'x-remove-versions-location': text(256), 'x-remove-history-location': text(256) },
    ...{ 'x-container-meta-quota-bytes': bytesHeader, 'x-container-meta-quota-count': bytesHeader },
    'x-storage-policy': text(256),
    'x-container-sync-to': Type.Optional(
      Type.Literal('', { description: 'Containers are not copied to other clouds' }),
    ),
    'x-container-sync-key': Type.Optional(Type.Literal('')),
  },
  { patternProperties: metadataPatterns('container') },
);

/** What is kept with an object and told with it, in the words of control. */
export const keptHeaders = {
  'content-encoding': 'contentEncoding',
  'content-disposition': 'contentDisposition',
  'cache-control': 'cacheControl',
  'content-language': 'contentLanguage',
  expires: 'expires',
  'x-robots-tag': 'x-robots-tag',
} as const;

const kept = Object.fromEntries(Object.keys(keptHeaders).map((name) => [name, text(4096)]));
const seconds = (header: string) =>
  Type.Optional(Type.String({ pattern: '^\\d{1,11}$', description: `${header} is a whole number of seconds` }));

const described = {
  ...kept,
  ...{ 'x-delete-at': seconds('X-Delete-At'), 'x-delete-after': seconds('X-Delete-After') },
  'x-object-manifest': text(2048),
};

export const objectPostHeaders = Type.Object(described, { patternProperties: metadataPatterns('object') });

export const objectPutHeaders = Type.Object(
  {
    ...described,
    ...{ etag: text(256), 'if-none-match': text(256) },
    ...{ 'x-copy-from': text(8192), 'x-copy-from-account': text(256), 'x-fresh-metadata': flag },
    ...{ 'x-symlink-target': text(8192), 'x-symlink-target-account': text(256), 'x-symlink-target-etag': text(256) },
  },
  { patternProperties: metadataPatterns('object') },
);

export const objectCopyHeaders = Type.Object(
  { ...described, destination: text(8192), 'destination-account': text(256), 'x-fresh-metadata': flag },
  { patternProperties: metadataPatterns('object') },
);

export const objectReadHeaders = Type.Object({
  ...{ range: text(4096), 'if-range': text(256), 'if-match': text(4096), 'if-none-match': text(4096) },
  ...{ 'if-modified-since': text(256), 'if-unmodified-since': text(256) },
});

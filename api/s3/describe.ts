/** An object in S3's headers and elements. */
import type { OutgoingHttpHeaders } from 'node:http';
import {
  type ChecksumAlgorithm,
  type Checksums,
  checksumAlgorithms,
  type ObjectInfo,
} from '../../control/object/index.ts';
import type { Node } from './xml/write.ts';

/** An entity tag that is no MD5 of the bytes has a `-`: clients that find none compare it with what they have read. */
export function etagOf({ etag, manifest }: Pick<ObjectInfo, 'etag' | 'manifest'>, whole = etag): string {
  if (!manifest || manifest.kind === 'symlink' || whole.includes('-')) return `"${whole}"`;
  return `"${whole}-${manifest.kind === 'slo' ? (manifest.count ?? manifest.segments.length) : 1}"`;
}

export const sizeOf = ({ sizeBytes, manifest }: Pick<ObjectInfo, 'sizeBytes' | 'manifest'>): number =>
  manifest && 'sizeBytes' in manifest && manifest.sizeBytes !== undefined ? manifest.sizeBytes : sizeBytes;

/** Without what other dialects keep. */
const keptHeaders = {
  contentEncoding: 'content-encoding',
  contentDisposition: 'content-disposition',
  cacheControl: 'cache-control',
  contentLanguage: 'content-language',
  expires: 'expires',
  'x-amz-website-redirect-location': 'x-amz-website-redirect-location',
} as const;

export function headersOf(object: ObjectInfo, whole?: string): OutgoingHttpHeaders {
  const headers: OutgoingHttpHeaders = {
    'content-type': object.contentType,
    etag: etagOf(object, whole),
    'last-modified': object.updatedAt.toUTCString(),
    'accept-ranges': 'bytes',
    ...versionHeader(object),
    ...lockHeaders(object),
  };
  for (const [name, said] of Object.entries(keptHeaders)) {
    const value = object.headers[name];
    if (value !== undefined) headers[said] = value;
  }
  for (const [name, value] of Object.entries(object.metadata)) headers[`x-amz-meta-${name}`] = value;
  const tags = Object.keys(object.tags).length;
  if (tags > 0) headers['x-amz-tagging-count'] = tags;
  return headers;
}

export const versionHeader = ({ versionId }: Pick<ObjectInfo, 'versionId'>): OutgoingHttpHeaders =>
  versionId === 'null' ? {} : { 'x-amz-version-id': versionId };

function lockHeaders({ lock }: ObjectInfo): OutgoingHttpHeaders {
  if (!lock) return {};
  return {
    ...(lock.mode && { 'x-amz-object-lock-mode': lock.mode, 'x-amz-object-lock-retain-until-date': lock.retainUntil }),
    ...(lock.legalHold !== undefined && { 'x-amz-object-lock-legal-hold': lock.legalHold ? 'ON' : 'OFF' }),
  };
}

const checksumNames: Readonly<Record<ChecksumAlgorithm, string>> = {
  crc32: 'CRC32',
  crc32c: 'CRC32C',
  crc64nvme: 'CRC64NVME',
  sha1: 'SHA1',
  sha256: 'SHA256',
};

export const algorithmNamed = (name: string): ChecksumAlgorithm | undefined =>
  checksumAlgorithms.find((one) => one === name.toLowerCase().replaceAll('-', ''));

export const nameOfAlgorithm = (algorithm: ChecksumAlgorithm): string => checksumNames[algorithm];

const known = (checksums: Checksums): [ChecksumAlgorithm, string][] =>
  checksumAlgorithms.flatMap((algorithm) => {
    const value = checksums[algorithm];
    return value === undefined ? [] : [[algorithm, value] as [ChecksumAlgorithm, string]];
  });

/** Of whole objects only: a client holds them against the bytes that it gets. */
export function checksumHeaders(checksums: Checksums): OutgoingHttpHeaders {
  const pairs = known(checksums).map(([algorithm, value]) => [`x-amz-checksum-${algorithm}`, value]);
  if (pairs.length === 0) return {};
  return { ...Object.fromEntries(pairs), 'x-amz-checksum-type': checksums.type ?? 'FULL_OBJECT' };
}

export const checksumNodes = (checksums: Checksums): Node[] =>
  known(checksums).map(([algorithm, value]) => [`Checksum${checksumNames[algorithm]}`, value]);

export const checksumType = (checksums: Checksums): Node =>
  known(checksums).length === 0 ? undefined : ['ChecksumType', checksums.type ?? 'FULL_OBJECT'];

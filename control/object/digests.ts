/** Digests of a body: what hosts take of large ones and what is taken here of small ones, held against what the caller said. */
import { hash } from 'node:crypto';
import { CloudError } from '../../contract/errors.ts';
import type { BlobDigestName } from '../../contract/host/index.ts';
import { checksumOf } from '../../protocols/checksum/index.ts';
import type { Checksums, ChecksumWish, ObjectWish } from './object.ts';

type Digests = Partial<Record<BlobDigestName, string>>;
type Wanted = Pick<ObjectWish, 'md5' | 'checksums'>;

export const digestNames = ({ checksums = [] }: Wanted): BlobDigestName[] => [
  ...new Set<BlobDigestName>(['md5', ...checksums.map(({ algorithm }) => algorithm)]),
];

/** In hex, as hosts tell them. */
export function digestsOf(bytes: Buffer, wanted: Wanted): Digests {
  const digests: Digests = {};
  for (const name of digestNames(wanted)) {
    digests[name] = name === 'md5' ? hash('md5', bytes, 'hex') : checksumOf(name, bytes).toString('hex');
  }
  return digests;
}

/** @throws CloudError `invalid` where one is not what was said */
export function verified(
  digests: Digests,
  { md5, checksums = [] }: Wanted,
): { md5: string; checksums: Checksums | null } {
  if (digests.md5 === undefined) throw new Error('nobody took the MD5');
  if (md5 !== undefined && md5.toLowerCase() !== digests.md5) {
    throw new CloudError('invalid', 'checksum_mismatch', { algorithm: 'md5' });
  }
  if (checksums.length === 0) return { md5: digests.md5, checksums: null };
  const kept: Checksums = { type: 'FULL_OBJECT' };
  for (const wish of checksums) {
    const value = Buffer.from(digests[wish.algorithm]!, 'hex').toString('base64');
    const said = saidOf(wish);
    if (said !== undefined && said !== value) {
      throw new CloudError('invalid', 'checksum_mismatch', { algorithm: wish.algorithm });
    }
    kept[wish.algorithm] = value;
  }
  return { md5: digests.md5, checksums: kept };
}

const saidOf = ({ value }: ChecksumWish): string | undefined => (typeof value === 'function' ? value() : value);

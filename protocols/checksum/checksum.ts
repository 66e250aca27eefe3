/** Checksums of a stream of bytes by name. Pure. */
import { createHash, type Hash } from 'node:crypto';
import { type CrcAlgorithm, crcBytes, startCrc } from './crc.ts';

export const checksumAlgorithms = ['md5', 'sha1', 'sha256', 'crc32', 'crc32c', 'crc64nvme'] as const;
export type ChecksumAlgorithm = (typeof checksumAlgorithms)[number];

export interface Checksum {
  update(bytes: Uint8Array): void;
  /** Once, after the last byte; a CRC is big-endian. */
  digest(): Buffer;
}

export function startChecksum(algorithm: ChecksumAlgorithm): Checksum {
  if (isCrc(algorithm)) return startCrc(algorithm);
  return createHash(algorithm) as Hash & Checksum;
}

export function checksumOf(algorithm: ChecksumAlgorithm, bytes: Uint8Array): Buffer {
  const checksum = startChecksum(algorithm);
  checksum.update(bytes);
  return checksum.digest();
}

export const isCrc = (algorithm: ChecksumAlgorithm): algorithm is CrcAlgorithm => algorithm.startsWith('crc');

/** Of a digest. */
export const checksumBytes = (algorithm: ChecksumAlgorithm): number =>
  isCrc(algorithm) ? crcBytes(algorithm) : { md5: 16, sha1: 20, sha256: 32 }[algorithm];

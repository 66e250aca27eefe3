/** What is computed of one stream of bytes, piece by piece: checksums of the whole, and of each block. Pure. */
import { crc32 } from 'node:zlib';
import { blockBytes } from '../../protocols/blobs/file-format.ts';
import { type Checksum, type ChecksumAlgorithm, startChecksum } from '../../protocols/checksum/index.ts';
import { CrcOfBlocks } from './crc-of-blocks.ts';

/** What the second algorithm still finds in the processor's cache. */
const cachedBytes = 128 * 1024;

export class Sums {
  readonly #checksums: Map<ChecksumAlgorithm, Checksum>;
  /** Of the whole, out of the blocks'. */
  readonly #crc32: CrcOfBlocks | undefined;

  /** @param algorithms CRC-32 only where blocks are asked for */
  constructor(algorithms: readonly ChecksumAlgorithm[]) {
    const byBytes = algorithms.filter((algorithm) => algorithm !== 'crc32');
    this.#checksums = new Map(byBytes.map((algorithm) => [algorithm, startChecksum(algorithm)]));
    this.#crc32 = byBytes.length < algorithms.length ? new CrcOfBlocks() : undefined;
  }

  /** Whole blocks, but for the last piece. Answers the CRC of each. */
  add(bytes: Uint8Array, { blocks }: { blocks: boolean }): number[] {
    const crcs: number[] = [];
    for (let at = 0; at < bytes.length; at += cachedBytes) {
      const part = bytes.subarray(at, at + cachedBytes);
      for (const checksum of this.#checksums.values()) checksum.update(part);
      if (!blocks) continue;
      for (let from = 0; from < part.length; from += blockBytes) {
        const block = part.subarray(from, from + blockBytes);
        const crc = crc32(block);
        crcs.push(crc);
        this.#crc32?.add(crc, block.length);
      }
    }
    return crcs;
  }

  /** In hex. */
  digests(): Record<string, string> {
    const digests: Record<string, string> = {};
    for (const [name, checksum] of this.#checksums) digests[name] = checksum.digest().toString('hex');
    if (this.#crc32) digests.crc32 = this.#crc32.digest().toString('hex');
    return digests;
  }
}

/** A thread that computes what is to be known of pieces of shared memory: checksums of each stream, and of each block. */
import { setPriority } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import { crc32 } from 'node:zlib';
import { blockBytes } from '../../protocols/blobs/file-format.ts';
import { type Checksum, type ChecksumAlgorithm, startChecksum } from '../../protocols/checksum/index.ts';
import { CrcOfBlocks } from './crc-of-blocks.ts';

export interface LaneData {
  memory: SharedArrayBuffer;
  priority: number;
}

/** A stream is begun by its first piece, which names its algorithms (CRC-32 only where its blocks are asked for); ended by `end` (with its digests), or given up. */
export type LaneRequest =
  | { stream: number; algorithms: readonly ChecksumAlgorithm[]; offset: number; bytes: number; blocks: boolean }
  | { stream: number; end: true; algorithms: readonly ChecksumAlgorithm[] }
  | { stream: number; drop: true };

/** In the order of the requests; of one that is dropped none. */
export type LaneAnswer = { crcs: number[] } | { digests: Record<string, string> };

/** What the second algorithm still finds in the processor's cache. */
const cachedBytes = 128 * 1024;

const { memory, priority } = workerData as LaneData;
interface Sums {
  checksums: Map<ChecksumAlgorithm, Checksum>;
  /** Of the whole, out of the blocks'. */
  crc32: CrcOfBlocks | undefined;
}

const streams = new Map<number, Sums>();

// On Linux a priority is a thread's, and this one's alone.
setPriority(priority);

parentPort!.on('message', (request: LaneRequest) => {
  if ('drop' in request) {
    streams.delete(request.stream);
    return;
  }
  const { checksums, crc32: whole } = sumsOf(request.stream, request.algorithms);
  if ('end' in request) {
    streams.delete(request.stream);
    const digests = [...checksums, ...(whole ? ([['crc32', whole]] as const) : [])].map(
      ([name, checksum]) => [name, checksum.digest().toString('hex')] as const,
    );
    parentPort!.postMessage({ digests: Object.fromEntries(digests) } satisfies LaneAnswer);
    return;
  }
  const crcs: number[] = [];
  for (let at = 0; at < request.bytes; at += cachedBytes) {
    const part = new Uint8Array(memory, request.offset + at, Math.min(cachedBytes, request.bytes - at));
    for (const checksum of checksums.values()) checksum.update(part);
    if (!request.blocks) continue;
    for (let from = 0; from < part.length; from += blockBytes) {
      const block = part.subarray(from, from + blockBytes);
      const crc = crc32(block);
      crcs.push(crc);
      whole?.add(crc, block.length);
    }
  }
  parentPort!.postMessage({ crcs } satisfies LaneAnswer);
});

function sumsOf(stream: number, algorithms: readonly ChecksumAlgorithm[]): Sums {
  let sums = streams.get(stream);
  if (!sums) {
    const byBytes = algorithms.filter((algorithm) => algorithm !== 'crc32');
    sums = {
      checksums: new Map(byBytes.map((algorithm) => [algorithm, startChecksum(algorithm)])),
      crc32: byBytes.length < algorithms.length ? new CrcOfBlocks() : undefined,
    };
    streams.set(stream, sums);
  }
  return sums;
}

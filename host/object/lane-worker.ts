/** A thread that computes what is to be known of pieces of shared memory. */
import { setPriority } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import type { ChecksumAlgorithm } from '../../protocols/checksum/index.ts';
import { Sums } from './sums.ts';

export interface LaneData {
  memory: SharedArrayBuffer;
  priority: number;
}

/** A stream is begun by its first piece, which names its algorithms (sums.ts); ended by `end` (with its digests), or given up. */
export type LaneRequest =
  | { stream: number; algorithms: readonly ChecksumAlgorithm[]; offset: number; bytes: number; blocks: boolean }
  | { stream: number; end: true; algorithms: readonly ChecksumAlgorithm[] }
  | { stream: number; drop: true };

/** In the order of the requests; of one that is dropped none. */
export type LaneAnswer = { crcs: number[] } | { digests: Record<string, string> };

/** Said once, before the first answer. */
export interface LaneReady {
  ready: true;
}

const { memory, priority } = workerData as LaneData;
const streams = new Map<number, Sums>();

// On Linux a priority is a thread's, and this one's alone.
setPriority(priority);

parentPort!.on('message', (request: LaneRequest) => {
  if ('drop' in request) {
    streams.delete(request.stream);
    return;
  }
  const sums = streams.get(request.stream) ?? new Sums(request.algorithms);
  if ('end' in request) {
    streams.delete(request.stream);
    parentPort!.postMessage({ digests: sums.digests() } satisfies LaneAnswer);
    return;
  }
  streams.set(request.stream, sums);
  const crcs = sums.add(new Uint8Array(memory, request.offset, request.bytes), request);
  parentPort!.postMessage({ crcs } satisfies LaneAnswer);
});
parentPort!.postMessage({ ready: true } satisfies LaneReady);

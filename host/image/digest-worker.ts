/** A thread that digests pieces of shared memory, in the order in which it is told of them. */
import { createHash, type Hash } from 'node:crypto';
import { setPriority } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';

export interface DigestWorkerData {
  algorithms: readonly string[];
  memory: SharedArrayBuffer;
  priority: number;
}

/** A piece to add, or the end. */
export type DigestRequest = { offset: number; bytes: number } | 'end';
/** In the order of the requests: null, or the digests by algorithm. */
export type DigestAnswer = Record<string, string> | null;

/** What the second algorithm still finds in the processor's cache. */
const cachedBytes = 128 * 1024;

const { algorithms, memory, priority } = workerData as DigestWorkerData;
let hashes: Hash[] | undefined;

// On Linux a priority is a thread's, and this one's alone.
setPriority(priority);

parentPort!.on('message', (request: DigestRequest) => {
  hashes ??= algorithms.map((algorithm) => createHash(algorithm));
  if (request === 'end') {
    const digests = hashes.map((hash) => hash.digest('hex'));
    hashes = undefined;
    parentPort!.postMessage(Object.fromEntries(algorithms.map((algorithm, index) => [algorithm, digests[index]!])));
  } else {
    add(hashes, request.offset, request.bytes);
    parentPort!.postMessage(null);
  }
});

function add(to: readonly Hash[], offset: number, bytes: number): void {
  for (let at = 0; at < bytes; at += cachedBytes) {
    const part = new Uint8Array(memory, offset + at, Math.min(cachedBytes, bytes - at));
    for (const hash of to) hash.update(part);
  }
}

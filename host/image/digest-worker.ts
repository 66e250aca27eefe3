/** A thread that digests pieces of shared memory, in the order in which it is told of them. */
import { createHash, type Hash } from 'node:crypto';
import { setPriority } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';

export interface DigestWorkerData {
  algorithm: 'md5' | 'sha256' | 'sha512';
  memory: SharedArrayBuffer;
  priority: number;
}

/** A piece to add, or the end; answered in order by null, or by the digest. */
export type DigestRequest = { offset: number; bytes: number } | 'end';

const { algorithm, memory, priority } = workerData as DigestWorkerData;
let hash: Hash | undefined;

// On Linux a priority is a thread's, and this one's alone.
setPriority(priority);

parentPort!.on('message', (request: DigestRequest) => {
  hash ??= createHash(algorithm);
  if (request === 'end') {
    parentPort!.postMessage(hash.digest('hex'));
    hash = undefined;
  } else {
    hash.update(new Uint8Array(memory, request.offset, request.bytes));
    parentPort!.postMessage(null);
  }
});

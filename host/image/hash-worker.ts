/** A thread that digests a growing file: told how far it may read, answers the digest when told that this is the end. */
import { createHash, type Hash } from 'node:crypto';
import { readSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';

export interface HashRequest {
  algorithm: 'md5' | 'sha256';
  fd: number;
  upTo: number;
  last: boolean;
}

const buffer = Buffer.allocUnsafeSlow(1024 * 1024);
let hash: Hash | undefined;
let position = 0;

parentPort!.on('message', ({ algorithm, fd, upTo, last }: HashRequest) => {
  try {
    hash ??= createHash(algorithm);
    while (position < upTo) {
      const read = readSync(fd, buffer, 0, Math.min(buffer.length, upTo - position), position);
      if (read === 0) throw new Error('the file became shorter');
      hash.update(read === buffer.length ? buffer : buffer.subarray(0, read));
      position += read;
    }
    if (!last) return;
    parentPort!.postMessage({ digest: hash.digest('hex') });
  } catch (error) {
    parentPort!.postMessage({ error: String(error) });
  }
  hash = undefined;
  position = 0;
});

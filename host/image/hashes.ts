/**
 * Digests of files while they are written, on threads of their own: MD5 and SHA-256 of 64 MiB take 90 and 40 ms of a
 * processor, and the event loop has guests to look after. Threads are kept for a while for the next image, then ended.
 */
import { createHash } from 'node:crypto';
import { Worker } from 'node:worker_threads';
import type { HashRequest } from './hash-worker.ts';

type Algorithm = HashRequest['algorithm'];

/** The file grows to `bytes`; told as often as is useful. */
export interface GrowingHash {
  grown(bytes: number): void;
  finish(bytes: number): Promise<string>;
  abandon(): void;
}

export class HashThreads {
  readonly #idle: Worker[] = [];
  readonly #idleMs: number;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: { idleMs?: number } = {}) {
    this.#idleMs = options.idleMs ?? 10_000;
  }

  start(algorithm: Algorithm, fd: number): GrowingHash {
    const worker = this.#take();
    const result = new Promise<string>((resolve, reject) => {
      // Each listener goes by name: removeAllListeners would take those of Node itself, and nothing would arrive again.
      const settle = (act: () => void) => {
        worker.off('message', message).off('error', failed);
        act();
      };
      const message = ({ digest, error }: { digest?: string; error?: string }) =>
        settle(() =>
          digest !== undefined ? resolve(digest) : reject(new Error(`computing ${algorithm} failed: ${error}`)),
        );
      const failed = (error: Error) => settle(() => reject(error));
      worker.on('message', message).on('error', failed);
    });
    result.catch(() => {});
    const send = (upTo: number, last: boolean) => {
      worker.postMessage({ algorithm, fd, upTo, last } satisfies HashRequest);
    };
    return {
      grown: (bytes) => send(bytes, false),
      finish: async (bytes) => {
        send(bytes, true);
        const digest = await result;
        this.#giveBack(worker);
        return digest;
      },
      abandon: () => void worker.terminate(),
    };
  }

  close(): void {
    clearTimeout(this.#timer);
    for (const worker of this.#idle.splice(0)) void worker.terminate();
  }

  #take(): Worker {
    clearTimeout(this.#timer);
    const idle = this.#idle.pop();
    if (idle) return idle;
    const limits = { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 16 };
    const worker = new Worker(new URL('./hash-worker.ts', import.meta.url), { resourceLimits: limits });
    worker.unref();
    // One that breaks while nobody waits for it is merely not used again.
    worker.on('error', () => this.#drop(worker));
    return worker;
  }

  #drop(worker: Worker): void {
    const index = this.#idle.indexOf(worker);
    if (index >= 0) this.#idle.splice(index, 1);
  }

  #giveBack(worker: Worker): void {
    this.#idle.push(worker);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.close(), this.#idleMs).unref();
  }
}

/** For what is small: a thread would take longer to wake than the work does. */
export function hashBytes(bytes: Buffer): { md5: string; sha256: string } {
  return {
    md5: createHash('md5').update(bytes).digest('hex'),
    sha256: createHash('sha256').update(bytes).digest('hex'),
  };
}

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
      worker.once('message', ({ digest, error }: { digest?: string; error?: string }) => {
        if (digest !== undefined) resolve(digest);
        else reject(new Error(`computing ${algorithm} failed: ${error}`));
      });
      worker.once('error', reject);
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
    return worker;
  }

  #giveBack(worker: Worker): void {
    worker.removeAllListeners();
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

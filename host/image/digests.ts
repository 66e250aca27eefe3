/**
 * MD5, SHA-256 and SHA-512 of what streams through, on threads of their own: for 64 MiB they take 85, 37 and 80 ms of a processor,
 * and the event loop has guests to look after. The threads read a piece of shared memory that lies on page boundaries, so that the
 * disk can take the same bytes directly. A set of memory and threads is kept for a while for the next image.
 */
import { createHash } from 'node:crypto';
import { constants } from 'node:os';
import { Worker } from 'node:worker_threads';
import type { DigestAnswer, DigestRequest, DigestWorkerData } from './digest-worker.ts';

/** By threads: as much work in each. Waking one costs as much as a tenth of a piece, so there are no more. */
const shares = [['md5'], ['sha256', 'sha512']] as const;
export type Algorithm = (typeof shares)[number][number];
export type Digests = Record<Algorithm, string>;

export interface DigestOptions {
  memoryBytes: number;
  /** Of the threads, see os.constants.priority; default: below normal, for guests and APIs come first. */
  priority?: number;
  idleMs?: number;
}

export class DigestSet {
  /** Of the memory, from its start on. */
  readonly memory: SharedArrayBuffer;
  readonly #threads: readonly DigestThread[];

  constructor({ memoryBytes, priority = constants.priority.PRIORITY_BELOW_NORMAL }: DigestOptions) {
    // The only memory on page boundaries that JavaScript can have.
    const pages = Math.ceil(memoryBytes / 65_536);
    this.memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true }).buffer as SharedArrayBuffer;
    this.#threads = shares.map((algorithms) => new DigestThread({ algorithms, memory: this.memory, priority }));
  }

  /** Resolves when the threads no longer need that piece of the memory. */
  async add(offset: number, bytes: number): Promise<void> {
    await Promise.all(this.#threads.map((thread) => thread.ask({ offset, bytes })));
  }

  /** After it the set is as new. */
  async end(): Promise<Digests> {
    return Object.assign({}, ...(await Promise.all(this.#threads.map((thread) => thread.ask('end')))));
  }

  close(): void {
    for (const thread of this.#threads) thread.close();
  }
}

/** Sets that nobody uses now. */
export class DigestSets {
  readonly #options: DigestOptions;
  readonly #idle: DigestSet[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(options: DigestOptions) {
    this.#options = options;
  }

  take(): DigestSet {
    return this.#idle.pop() ?? new DigestSet(this.#options);
  }

  /** For what is small: a thread would take longer to wake than the work does. */
  digest(bytes: Uint8Array): Digests {
    const digest = (algorithm: Algorithm) => createHash(algorithm).update(bytes).digest('hex');
    return { md5: digest('md5'), sha256: digest('sha256'), sha512: digest('sha512') };
  }

  /** Only one that has come to its end; any other is closed by who took it. */
  giveBack(set: DigestSet): void {
    this.#idle.push(set);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.close(), this.#options.idleMs ?? 10_000).unref();
  }

  close(): void {
    clearTimeout(this.#timer);
    for (const set of this.#idle.splice(0)) set.close();
  }
}

declare const WebAssembly: {
  Memory: new (pages: { initial: number; maximum: number; shared: true }) => { buffer: unknown };
};

interface Asked {
  resolve(answer: DigestAnswer): void;
  reject(error: Error): void;
}

class DigestThread {
  readonly #worker: Worker;
  readonly #asked: Asked[] = [];
  #broken: Error | undefined;

  constructor(workerData: DigestWorkerData) {
    const resourceLimits = { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 16 };
    this.#worker = new Worker(new URL('./digest-worker.ts', import.meta.url), { workerData, resourceLimits });
    this.#worker.unref();
    this.#worker.on('message', (answer: DigestAnswer) => this.#asked.shift()?.resolve(answer));
    this.#worker.on('error', (cause) => this.#break(new Error('computing a digest failed', { cause })));
    this.#worker.on('exit', () => this.#break(new Error('the digest thread has ended')));
  }

  ask(request: DigestRequest): Promise<DigestAnswer> {
    return new Promise((resolve, reject) => {
      if (this.#broken) return reject(this.#broken);
      this.#asked.push({ resolve, reject });
      this.#worker.postMessage(request);
    });
  }

  close(): void {
    void this.#worker.terminate();
  }

  #break(error: Error): void {
    this.#broken ??= error;
    for (const { reject } of this.#asked.splice(0)) reject(error);
  }
}

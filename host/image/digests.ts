/**
 * MD5 and SHA-256 of what streams through, on threads of their own: for 64 MiB they take 85 and 37 ms of a processor, and the
 * event loop has guests to look after. The threads read a piece of shared memory that lies on page boundaries, so that the
 * disk can take the same bytes directly. A set of memory and threads is kept for a while for the next image.
 */
import { createHash } from 'node:crypto';
import { Worker } from 'node:worker_threads';
import type { DigestRequest, DigestWorkerData } from './digest-worker.ts';

export interface Digests {
  md5: string;
  sha256: string;
}

export class DigestSet {
  /** Of the memory, from its start on. */
  readonly memory: SharedArrayBuffer;
  readonly #md5: DigestThread;
  readonly #sha256: DigestThread;

  constructor(memoryBytes: number) {
    // The only memory on page boundaries that JavaScript can have.
    const pages = Math.ceil(memoryBytes / 65_536);
    this.memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true }).buffer as SharedArrayBuffer;
    this.#md5 = new DigestThread({ algorithm: 'md5', memory: this.memory });
    this.#sha256 = new DigestThread({ algorithm: 'sha256', memory: this.memory });
  }

  /** Resolves when the threads no longer need that piece of the memory. */
  async add(offset: number, bytes: number): Promise<void> {
    await Promise.all([this.#md5.ask({ offset, bytes }), this.#sha256.ask({ offset, bytes })]);
  }

  /** After it the set is as new. */
  async end(): Promise<Digests> {
    const [md5, sha256] = await Promise.all([this.#md5.ask('end'), this.#sha256.ask('end')]);
    return { md5: md5!, sha256: sha256! };
  }

  close(): void {
    this.#md5.close();
    this.#sha256.close();
  }
}

/** Sets that nobody uses now. */
export class DigestSets {
  readonly #memoryBytes: number;
  readonly #idleMs: number;
  readonly #idle: DigestSet[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(options: { memoryBytes: number; idleMs?: number }) {
    this.#memoryBytes = options.memoryBytes;
    this.#idleMs = options.idleMs ?? 10_000;
  }

  take(): DigestSet {
    return this.#idle.pop() ?? new DigestSet(this.#memoryBytes);
  }

  /** Only one that has come to its end; any other is closed by who took it. */
  giveBack(set: DigestSet): void {
    this.#idle.push(set);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.close(), this.#idleMs).unref();
  }

  close(): void {
    clearTimeout(this.#timer);
    for (const set of this.#idle.splice(0)) set.close();
  }
}

/** For what is small: a thread would take longer to wake than the work does. */
export function digestBytes(bytes: Uint8Array): Digests {
  return {
    md5: createHash('md5').update(bytes).digest('hex'),
    sha256: createHash('sha256').update(bytes).digest('hex'),
  };
}

declare const WebAssembly: {
  Memory: new (pages: { initial: number; maximum: number; shared: true }) => { buffer: unknown };
};

interface Asked {
  resolve(digest: string | null): void;
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
    this.#worker.on('message', (digest: string | null) => this.#asked.shift()?.resolve(digest));
    this.#worker.on('error', (cause) => this.#break(new Error('computing a digest failed', { cause })));
    this.#worker.on('exit', () => this.#break(new Error('the digest thread has ended')));
  }

  ask(request: DigestRequest): Promise<string | null> {
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

/**
 * Memory that blobs pass through on their way to the disk, and the threads that compute checksums of it meanwhile: MD5 alone takes 85 ms of a
 * processor for 64 MiB, and the event loop has guests to look after. All streams share one memory and two threads. A stream has a slot only while
 * the disk and the threads are at work in it, never while it waits for its sender: however many are slow, the others get theirs.
 *
 * The slots lie on page boundaries, so that the disk can take them directly. Threads and memory are kept for a while for the next stream.
 */
import { constants } from 'node:os';
import { Worker } from 'node:worker_threads';
import type { ChecksumAlgorithm } from '../../protocols/checksum/index.ts';
import type { LaneAnswer, LaneData, LaneReady, LaneRequest } from './lane-worker.ts';
import { Sums } from './sums.ts';

export const slotBytes = 512 * 1024;
const slotCount = 16;
const laneCount = 2;
const idleMs = 120_000;
/** As long as the threads have not begun, which may take a second, a stream that is no longer is summed here. */
const smallBytes = 2 * 2 ** 20;
/** Of more streams each gathers less. */
const manyStreams = 16;

declare const WebAssembly: {
  Memory: new (pages: { initial: number; maximum: number; shared: true }) => { buffer: unknown };
};

/** Of one set of memory and threads, while streams use it. */
export class Lanes {
  readonly memory: SharedArrayBuffer;
  readonly #lanes: readonly Lane[];
  readonly #free = Array.from({ length: slotCount }, (_, index) => index * slotBytes);
  readonly #waiting: ((slot: number) => void)[] = [];
  #streams = 0;
  #open = 0;

  constructor({ priority = constants.priority.PRIORITY_NORMAL } = {}) {
    // The only memory on page boundaries that JavaScript can have.
    const pages = (slotCount * slotBytes) / 65_536;
    this.memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true }).buffer as SharedArrayBuffer;
    this.#lanes = Array.from({ length: laneCount }, () => new Lane({ memory: this.memory, priority }));
  }

  get busy(): boolean {
    return this.#open > 0;
  }

  /** How much a stream gathers before it takes a slot: at least a slot's worth costs the least. */
  get gatherBytes(): number {
    return this.#open > manyStreams ? slotBytes / 4 : slotBytes;
  }

  /** A thread has ended, and what it knew. */
  get broken(): boolean {
    return this.#lanes.some(({ broken }) => broken);
  }

  /** Where a slot begins that is the caller's until it gives it back. Others that wait have theirs before. */
  takeSlot(): Promise<number> | number {
    return this.#free.pop() ?? new Promise((resolve) => this.#waiting.push(resolve));
  }

  giveBack(slot: number): void {
    const next = this.#waiting.shift();
    if (next) next(slot);
    else this.#free.push(slot);
  }

  /** @param algorithms of the whole stream @param sizeBytes where it is known */
  begin(algorithms: readonly ChecksumAlgorithm[], sizeBytes: number | undefined): StreamSums {
    const stream = this.#streams++;
    // As much work in each; a stream's alternate with the next one's.
    const first = this.#lanes[stream % laneCount]!;
    const second = this.#lanes[(stream + 1) % laneCount]!;
    const [slow, others] = [algorithms.filter((each) => each === 'md5'), algorithms.filter((each) => each !== 'md5')];
    this.#open++;
    const over = () => this.#open--;
    const small = sizeBytes !== undefined && sizeBytes <= smallBytes;
    if (small && !(first.online && second.online)) return new OwnSums(this.memory, algorithms, over);
    return new SharedSums(stream, { lane: first, algorithms: slow }, { lane: second, algorithms: others }, over);
  }

  close(): void {
    for (const lane of this.#lanes) lane.close();
  }
}

interface Share {
  lane: Lane;
  algorithms: readonly ChecksumAlgorithm[];
}

/** What is computed of one stream. */
export interface StreamSums {
  /** In their order. Resolves with the CRC of each block when nobody needs the slot for it any more. */
  add(offset: number, bytes: number): Promise<number[]>;
  end(): Promise<Record<string, string>>;
  /** Nothing more comes of it; instead of `end`, or where that failed. */
  drop(): void;
}

/** On this thread. */
class OwnSums implements StreamSums {
  readonly #memory: SharedArrayBuffer;
  readonly #sums: Sums;
  readonly #over: () => void;

  constructor(memory: SharedArrayBuffer, algorithms: readonly ChecksumAlgorithm[], over: () => void) {
    this.#memory = memory;
    this.#sums = new Sums(algorithms);
    this.#over = over;
  }

  async add(offset: number, bytes: number): Promise<number[]> {
    return this.#sums.add(new Uint8Array(this.#memory, offset, bytes), { blocks: true });
  }

  async end(): Promise<Record<string, string>> {
    this.#over();
    return this.#sums.digests();
  }

  drop(): void {
    this.#over();
  }
}

class SharedSums implements StreamSums {
  readonly #stream: number;
  readonly #slow: Share;
  readonly #others: Share;
  readonly #over: () => void;

  constructor(stream: number, slow: Share, others: Share, over: () => void) {
    this.#over = over;
    this.#stream = stream;
    this.#slow = slow;
    this.#others = others;
  }

  async add(offset: number, bytes: number): Promise<number[]> {
    const [stream, slow, others] = [this.#stream, this.#slow, this.#others];
    const asked = others.lane.ask({ stream, algorithms: others.algorithms, offset, bytes, blocks: true });
    const [answer] = await Promise.all([
      asked,
      slow.algorithms.length > 0 &&
        slow.lane.ask({ stream, algorithms: slow.algorithms, offset, bytes, blocks: false }),
    ]);
    return (answer as { crcs: number[] }).crcs;
  }

  async end(): Promise<Record<string, string>> {
    const answers = await Promise.all(
      [this.#slow, this.#others].map(({ lane, algorithms }) =>
        lane.ask({ stream: this.#stream, end: true, algorithms }),
      ),
    );
    this.#over();
    return Object.assign({}, ...answers.map((answer) => (answer as { digests: object }).digests));
  }

  drop(): void {
    this.#over();
    for (const { lane } of [this.#slow, this.#others]) lane.tell({ stream: this.#stream, drop: true });
  }
}

/** The lanes as long as somebody needs them, and a while beyond. */
export class LaneKeeper {
  #lanes: Lanes | undefined;
  #timer: NodeJS.Timeout | undefined;

  get(): Lanes {
    if (this.#lanes?.broken) this.close();
    this.#lanes ??= new Lanes();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#rest(), idleMs).unref();
    return this.#lanes;
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#lanes?.close();
    this.#lanes = undefined;
  }

  #rest(): void {
    if (this.#lanes?.busy) this.#timer = setTimeout(() => this.#rest(), idleMs).unref();
    else this.close();
  }
}

interface Asked {
  resolve(answer: LaneAnswer): void;
  reject(error: Error): void;
}

class Lane {
  readonly #worker: Worker;
  readonly #asked: Asked[] = [];
  /** It has read its code. */
  online = false;
  #broken: Error | undefined;

  constructor(workerData: LaneData) {
    const resourceLimits = { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 24 };
    this.#worker = new Worker(new URL('./lane-worker.ts', import.meta.url), { workerData, resourceLimits });
    this.#worker.unref();
    this.#worker.on('message', (answer: LaneAnswer | LaneReady) => {
      if ('ready' in answer) this.online = true;
      else this.#asked.shift()?.resolve(answer);
    });
    this.#worker.on('error', (cause) => this.#break(new Error('computing a checksum failed', { cause })));
    this.#worker.on('exit', () => this.#break(new Error('the checksum thread has ended')));
  }

  get broken(): boolean {
    return this.#broken !== undefined;
  }

  ask(request: LaneRequest): Promise<LaneAnswer> {
    return new Promise((resolve, reject) => {
      if (this.#broken) return reject(this.#broken);
      this.#asked.push({ resolve, reject });
      this.#worker.postMessage(request);
    });
  }

  tell(request: LaneRequest): void {
    if (!this.#broken) this.#worker.postMessage(request);
  }

  close(): void {
    void this.#worker.terminate();
  }

  #break(error: Error): void {
    this.#broken ??= error;
    for (const { reject } of this.#asked.splice(0)) reject(error);
  }
}

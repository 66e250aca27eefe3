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
import type { LaneAnswer, LaneData, LaneRequest } from './lane-worker.ts';

export const slotBytes = 512 * 1024;
const slotCount = 16;
const laneCount = 2;
const idleMs = 10_000;
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

  /** @param algorithms of the whole stream */
  begin(algorithms: readonly ChecksumAlgorithm[]): StreamSums {
    const stream = this.#streams++;
    // As much work in each; a stream's alternate with the next one's.
    const first = this.#lanes[stream % laneCount]!;
    const second = this.#lanes[(stream + 1) % laneCount]!;
    const [slow, others] = [algorithms.filter((each) => each === 'md5'), algorithms.filter((each) => each !== 'md5')];
    this.#open++;
    const over = () => this.#open--;
    return new StreamSums(stream, { lane: first, algorithms: slow }, { lane: second, algorithms: others }, over);
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
export class StreamSums {
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

  /** In their order. Resolves with the CRC of each block when the threads need the slot no more. */
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

  /** Nothing more comes of it; instead of `end`, or where that failed. */
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
  #broken: Error | undefined;

  constructor(workerData: LaneData) {
    const resourceLimits = { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 24 };
    this.#worker = new Worker(new URL('./lane-worker.ts', import.meta.url), { workerData, resourceLimits });
    this.#worker.unref();
    this.#worker.on('message', (answer: LaneAnswer) => this.#asked.shift()?.resolve(answer));
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

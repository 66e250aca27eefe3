/**
 * What the caches of this host's guests do, counted: reads, what of them came from below the cache, what came into it, how long a hot spot takes until it
 * is there, and how far apart the uses of a cluster are (reuse.ts). Owns a timer while a guest has a volume with a cache, and memory; what was counted is told
 * to control, which keeps it. If this process dies the next one counts from nothing, under another name, and control adds that up.
 *
 * What a generation grows by came into it: because it was read, or written for the first time. QEMU does not say which; as many as were read are
 * counted as misses, so hits are what is sure.
 */
import { randomUUID } from 'node:crypto';
import { stat } from 'node:fs/promises';
import type { CacheUse } from '../../../contract/host/index.ts';
import type { LayerId, VolumeId } from '../../../contract/ids.ts';
import type { Execute } from '../../../protocols/qmp/index.ts';
import { allocatedClusters, clusterBytes } from './allocated.ts';
import { remembered, reuseOf } from './reuse.ts';
import { neverWarmed, type Warming, warmedBy } from './warming.ts';

/** A cache that a guest has. */
export interface UsedCache {
  volumeId: VolumeId;
  layerId: LayerId;
  execute: Execute;
  /** The file that fills, when it is full, and the size of the volume. */
  fills: { path: string; bytes: number };
  sizeBytes: number;
}

export interface MeterOptions {
  /** Those of now. */
  caches(): UsedCache[];
  /** What was counted of a volume since this process knows it. */
  tell(layerId: LayerId, use: CacheUse): void;
}

const [lookMs, restMs, tellMs] = [1000, 10_000, 10_000];
/** So many looks without a read, and the next ones are further apart. */
const idleLooks = 10;
/** Of a generation so many clusters are looked at, whose share is right within 1/√ of it. */
const samples = 2048;

interface Counted {
  fills: string;
  fileBytes: number;
  /** Of its device; it begins anew with another QEMU. */
  reads: number;
  atMs: number;
  warming: Warming;
  history: ReadonlySet<number>[];
  use: CacheUse;
  toldMs: number;
  news: boolean;
}

export class CacheMeter {
  readonly #options: MeterOptions;
  readonly #counted = new Map<VolumeId, Counted>();
  #timer: NodeJS.Timeout | undefined;
  #idle = 0;
  #closed = false;

  constructor(options: MeterOptions) {
    this.#options = options;
  }

  /** A guest has opened a volume with a cache. */
  wake(): void {
    this.#idle = 0;
    this.#timer ??= this.#in(lookMs);
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  #in(ms: number): NodeJS.Timeout | undefined {
    if (this.#closed) return undefined;
    return setTimeout(() => {
      void this.look().then((caches) => {
        this.#timer = caches > 0 ? this.#in(this.#idle < idleLooks ? lookMs : restMs) : undefined;
      });
    }, ms).unref();
  }

  /** @returns how many caches there are */
  async look(nowMs: number = Date.now()): Promise<number> {
    const caches = this.#options.caches();
    const here = new Set(caches.map(({ volumeId }) => volumeId));
    for (const id of this.#counted.keys()) if (!here.has(id)) this.#counted.delete(id);
    let reads = 0;
    // A QEMU that does not answer is asked again.
    for (const cache of caches) reads += await this.#count(cache, nowMs).catch(() => 0);
    this.#idle = reads > 0 ? 0 : this.#idle + 1;
    return caches.length;
  }

  async #count(cache: UsedCache, nowMs: number): Promise<number> {
    const { volumeId, fills } = cache;
    const [fileBytes, reads] = [await bytesOf(fills.path), await readsOf(cache)];
    const known = this.#counted.get(volumeId);
    if (!known) {
      const at = { fills: fills.path, fileBytes, reads, atMs: nowMs, toldMs: nowMs, news: false };
      this.#counted.set(volumeId, { ...at, warming: neverWarmed, history: [], use: nothingYet() });
      return 0;
    }
    const read = reads >= known.reads ? reads - known.reads : reads;
    const grown = Math.max(0, known.fills === fills.path ? fileBytes - known.fileBytes : fileBytes);
    if (known.fills !== fills.path) await this.#passed(known, cache);
    const misses = Math.min(read, Math.round(grown / clusterBytes));
    known.warming = warmedBy(known.warming, { atMs: nowMs, sinceMs: known.atMs, reads: read, misses });
    const { use } = known;
    known.use = {
      ...use,
      ...{ reads: use.reads + read, misses: use.misses + misses, promotedBytes: use.promotedBytes + grown },
      ...{ warmings: known.warming.count, lastWarmingMs: known.warming.lastMs },
    };
    Object.assign(known, { fills: fills.path, fileBytes, reads, atMs: nowMs, news: known.news || read + grown > 0 });
    if (known.news && nowMs - known.toldMs >= tellMs) {
      Object.assign(known, { toldMs: nowMs, news: false });
      this.#options.tell(cache.layerId, known.use);
    }
    return read;
  }

  /** Another file fills: what came into the one before is compared with those before it. */
  async #passed(known: Counted, { fills, sizeBytes }: UsedCache): Promise<void> {
    const every = Math.max(1, Math.floor(fills.bytes / clusterBytes / samples));
    const clusters = await allocatedClusters(known.fills, { sizeBytes, every }).catch(() => undefined);
    if (!clusters) return;
    const { again, fresh } = reuseOf(clusters, known.history, every);
    known.history = [clusters, ...known.history].slice(0, remembered);
    const { use } = known;
    known.use = {
      ...use,
      generations: use.generations + 1,
      againBytes: use.againBytes.map((bytes, at) => bytes + again[at]! * clusterBytes),
      freshBytes: use.freshBytes + fresh * clusterBytes,
    };
  }
}

const nothingYet = (): CacheUse => ({
  ...{ run: randomUUID(), reads: 0, misses: 0, promotedBytes: 0, warmings: 0, lastWarmingMs: null },
  ...{ generations: 0, againBytes: Array.from({ length: remembered }, () => 0), freshBytes: 0 },
});

const bytesOf = (path: string): Promise<number> =>
  stat(path).then(
    ({ blocks }) => blocks * 512,
    () => 0,
  );

/** What its guest has asked for. */
async function readsOf({ execute, volumeId }: UsedCache): Promise<number> {
  const all = await execute<{ qdev?: string; stats: { rd_operations: number } }[]>('query-blockstats');
  return all.find(({ qdev }) => qdev?.includes(volumeId))?.stats.rd_operations ?? 0;
}

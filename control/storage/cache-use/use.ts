/** Sums of what hosts have counted, and what follows from them. Pure. */
import type { CacheUse } from '../../../contract/host/index.ts';

/** What a cache has done since its volume was made. */
export interface CacheTotals {
  reads: number;
  misses: number;
  promoted_bytes: number;
  sunk_bytes: number;
  warmings: number;
  last_warming_ms: number | null;
  generations: number;
  again_bytes: number[];
  fresh_bytes: number;
}

export const noUse: CacheTotals = {
  ...{ reads: 0, misses: 0, promoted_bytes: 0, sunk_bytes: 0, warmings: 0, last_warming_ms: null },
  ...{ generations: 0, again_bytes: [], fresh_bytes: 0 },
};

/**
 * A host counts from nothing with each life of its process, and says so by another name; within one life it never counts back, and what it says
 * less is not believed.
 */
export function addUse(totals: CacheTotals, seen: CacheUse | null, now: CacheUse): CacheTotals {
  const before = seen?.run === now.run ? seen : null;
  const more = (after: number, earlier: number | undefined) => Math.max(0, after - (earlier ?? 0));
  const sum = (total: number, after: number, earlier: number | undefined) =>
    Math.min(Number.MAX_SAFE_INTEGER, total + more(after, earlier));
  return {
    reads: sum(totals.reads, now.reads, before?.reads),
    misses: sum(totals.misses, now.misses, before?.misses),
    promoted_bytes: sum(totals.promoted_bytes, now.promotedBytes, before?.promotedBytes),
    sunk_bytes: totals.sunk_bytes,
    warmings: sum(totals.warmings, now.warmings, before?.warmings),
    last_warming_ms: now.lastWarmingMs ?? totals.last_warming_ms,
    generations: sum(totals.generations, now.generations, before?.generations),
    again_bytes: now.againBytes.map((bytes, at) => sum(totals.again_bytes[at] ?? 0, bytes, before?.againBytes[at])),
    fresh_bytes: sum(totals.fresh_bytes, now.freshBytes, before?.freshBytes),
  };
}

export interface CurvePoint {
  cache_bytes: number;
  /** Share of the reads that would have gone below a cache of that size. */
  miss_ratio: number;
}

/**
 * The miss ratio by the size of the cache, at multiples of a generation: a cache of k of them finds again what came into one of the k - 1 before. Of the
 * uses that were further apart than is remembered nothing is known: they count as misses. Empty where nothing is known yet.
 */
export function missCurve(
  { reads, misses, again_bytes, fresh_bytes }: CacheTotals,
  generationBytes: number,
): CurvePoint[] {
  const all = fresh_bytes + again_bytes.reduce((sum, bytes) => sum + bytes, 0);
  if (all === 0 || reads === 0) return [];
  let below = all;
  return [0, ...again_bytes].map((found, at) => {
    below -= found;
    return { cache_bytes: (at + 1) * generationBytes, miss_ratio: (misses / reads) * (below / all) };
  });
}

/** Between two points the curve is straight, and beyond the last it is flat. */
export function missRatioAt(curve: readonly CurvePoint[], bytes: number): number | null {
  const [first] = curve;
  if (!first) return null;
  const at = curve.findIndex(({ cache_bytes }) => cache_bytes >= bytes);
  if (at <= 0) return at === 0 ? first.miss_ratio : curve.at(-1)!.miss_ratio;
  const [below, above] = [curve[at - 1]!, curve[at]!];
  const part = (bytes - below.cache_bytes) / (above.cache_bytes - below.cache_bytes);
  return below.miss_ratio + part * (above.miss_ratio - below.miss_ratio);
}

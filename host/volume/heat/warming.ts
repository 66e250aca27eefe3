/** How long it takes from the start of a hot spot until most of what is read is found in the cache. Pure. */

/** What was read in a while, and how much of it came from below the cache. */
export interface Look {
  atMs: number;
  sinceMs: number;
  reads: number;
  misses: number;
}

export interface Warming {
  /** Since when what is read is mostly not there; null: it is. */
  coldSinceMs: number | null;
  /** How often it was, and is again. */
  count: number;
  /** How long the last time. */
  lastMs: number | null;
}

export const neverWarmed: Warming = { coldSinceMs: null, count: 0, lastMs: null };

/** Of fewer reads nothing is said. */
const fewestReads = 50;
const [cold, warm] = [0.5, 0.8];

export function warmedBy(before: Warming, { atMs, sinceMs, reads, misses }: Look): Warming {
  if (reads < fewestReads) return before;
  const hits = 1 - Math.min(reads, misses) / reads;
  const coldSinceMs = before.coldSinceMs ?? (hits < cold ? sinceMs : null);
  if (hits < warm || coldSinceMs === null) return { ...before, coldSinceMs };
  return { coldSinceMs: null, count: before.count + 1, lastMs: atMs - coldSinceMs };
}

/**
 * How far apart in time the uses of one cluster are, counted in generations: what a larger cache would have spared, and a smaller one cost.
 *
 * QEMU names no block to us. But a generation's file says which clusters came into it, and each generation is as large as the one before. A cluster
 * that comes into one and was last in the k-th before it would have been found by a cache that keeps k older generations. Of all clusters
 * always the same ones are looked at, chosen by a hash of their place (as SHARDS does: Waldspurger et al., FAST 2015), so the looks stay cheap and the
 * share is right. Pure.
 */

/** So many older generations are remembered. */
export const remembered = 8;

/** In clusters: those that were last in the generation so many before (the first: the one before), and those in none of the remembered ones. */
export interface Reuse {
  again: number[];
  fresh: number;
}

/** One of so many, always the same. */
export const isSampled = (cluster: number, every: number): boolean => every <= 1 || mixed(cluster) % every === 0;

/** Of neighbours the results are far apart (the finalizer of MurmurHash3), since hot spots are neighbours. */
function mixed(value: number): number {
  let hash = (value ^ Math.floor(value / 2 ** 32)) >>> 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b) >>> 0;
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35) >>> 0;
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** @param history the latest first */
export function reuseOf(now: ReadonlySet<number>, history: readonly ReadonlySet<number>[], every: number): Reuse {
  const again = Array.from({ length: remembered }, () => 0);
  let fresh = 0;
  for (const cluster of now) {
    const at = history.findIndex((generation) => generation.has(cluster));
    if (at < 0) fresh += every;
    else again[at]! += every;
  }
  return { again, fresh };
}

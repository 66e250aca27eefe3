/** What the cache of a volume has done, what it would do if it were larger, and what is wrong with it. */
import { sql } from 'kysely';
import type { Caller } from '../../kit/caller.ts';
import type { Queryable } from '../../kit/database/database.ts';
import { type CacheTotals, type CurvePoint, missCurve, missRatioAt, readUse } from '../cache-use/index.ts';
import { findVolume, reachOf } from './store.ts';
import { gibBytes, type ListedVolume } from './volume.ts';

export interface CacheReport extends CacheTotals {
  policy: NonNullable<ListedVolume['cache_policy']>;
  size_bytes: number;
  pool_name: string;
  /** In the words of its host, of what does not go on; null: nothing. */
  problem: string | null;
  /** Of the present size. */
  miss_ratio: number | null;
  curve: CurvePoint[];
  next_gib: { cache_bytes: number; miss_ratio: number } | null;
}

/** Null: it has none. @throws CloudError `not_found`, also for a volume that is hidden from the caller */
export async function cacheReport(db: Queryable, caller: Caller, volumeId: string): Promise<CacheReport | null> {
  const { id, cache_pool_id, cache_bytes, cache_policy } = await findVolume(db, reachOf(caller), volumeId);
  if (cache_pool_id === null || cache_bytes === null || cache_policy === null) return null;
  const [totals, { rows }] = await Promise.all([
    readUse(db, id),
    sql<{ name: string; problem: string | null }>`select name, (select observed_error ->> 'message' from volume_layer
        where volume_id = ${id} and desired_presence = 'present' and observed_error is not null order by updated_at desc limit 1) as problem
      from storage_pool where id = ${cache_pool_id}`.execute(db),
  ]);
  const { name: pool_name, problem } = rows[0]!;
  const curve = missCurve(totals, Math.floor(cache_bytes / 2));
  const larger = cache_bytes + gibBytes;
  const next = missRatioAt(curve, larger);
  return {
    ...totals,
    ...{ policy: cache_policy, size_bytes: cache_bytes, pool_name, problem, curve },
    miss_ratio: missRatioAt(curve, cache_bytes),
    next_gib: next === null ? null : { cache_bytes: larger, miss_ratio: next },
  };
}

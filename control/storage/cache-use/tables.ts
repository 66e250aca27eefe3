/** What the caches of volumes have done, as Kysely sees it. */
import type { Generated } from 'kysely';
import type { CacheUse } from '../../../contract/host/index.ts';
import type { Json, Timestamp } from '../../kit/database/schema.ts';

export interface VolumeCacheUseTable {
  volume_id: string;
  /** What its host said last, of which the rest is the sum. */
  seen: Json<CacheUse> | null;
  reads: Generated<number>;
  /** Reads that brought something into the cache, or may have. */
  misses: Generated<number>;
  promoted_bytes: Generated<number>;
  /** What was in generations that have sunk. */
  sunk_bytes: Generated<number>;
  warmings: Generated<number>;
  last_warming_ms: number | null;
  /** Of which it is known what came into them: what was last in the one before, in the one before that, …, and in none of those. */
  generations: Generated<number>;
  again_bytes: Generated<number[]>;
  fresh_bytes: Generated<number>;
  updated_at: Timestamp;
}

interface CacheUseTables {
  volume_cache_use: VolumeCacheUseTable;
}

declare module '../../kit/database/schema.ts' {
  interface Schema extends CacheUseTables {}
}

/** The pool's tables as Kysely sees it; the columns' meaning stands in migrations 0300, 0311, 0312, 0510 and 0581. */
import type { Generated, Selectable } from 'kysely';
import type { Timestamp } from '../../kit/database/schema.ts';

export type PoolTier = 'ram' | 'flash' | 'disk';

export type PoolKind = 'directory' | 'file-system' | 'block-device' | 'rbd';

export interface StoragePoolTable {
  id: string;
  host_id: string;
  name: string;
  tier: PoolTier;
  kind: PoolKind;
  total_bytes: number;
  free_bytes: number;
  problem: string | null;
  disabled: Generated<boolean>;
  disabled_reason: string | null;
  over_subscription: Generated<number>;
  reserved_percentage: Generated<number>;
  /** By API, and not by its host's settings. */
  declared: Generated<boolean>;
  /** Of a declared one: where it lies, see contract/host/pool.ts. */
  source: string | null;
  /** Of a declared one: so many reads and writes a second the cache of one volume may ask it for. */
  iops_per_volume: number | null;
  /** Reads and writes a second that it gives to guests; null: nobody has said. */
  iops: number | null;
  iops_over_subscription: Generated<number>;
  generation: Generated<number>;
  created_at: Timestamp;
  updated_at: Timestamp;
}

export type StoragePoolRow = Selectable<StoragePoolTable>;

interface PoolTables {
  storage_pool: StoragePoolTable;
  storage_pool_usage: { pool_id: string; promised_bytes: Generated<number> };
}

declare module '../../kit/database/schema.ts' {
  interface Schema extends PoolTables {}
}

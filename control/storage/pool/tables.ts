/** The pool's table as Kysely sees it; the columns' meaning stands in migration 0300. */
import type { Generated } from 'kysely';
import type { Timestamp } from '../../kit/database/schema.ts';

export type PoolTier = 'ram' | 'flash' | 'disk';

export interface StoragePoolTable {
  id: string;
  host_id: string;
  name: string;
  tier: PoolTier;
  kind: 'directory' | 'file-system' | 'block-device';
  total_bytes: number;
  free_bytes: number;
  problem: string | null;
  disabled: Generated<boolean>;
  disabled_reason: string | null;
  generation: Generated<number>;
  created_at: Timestamp;
  updated_at: Timestamp;
}

interface PoolTables {
  storage_pool: StoragePoolTable;
}

declare module '../../kit/database/schema.ts' {
  interface Schema extends PoolTables {}
}

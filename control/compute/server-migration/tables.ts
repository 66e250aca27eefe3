/** Servers' migrations as Kysely sees them; the columns' meaning stands in migrations 0241 and 0900. */
import type { Generated } from 'kysely';
import type { Json, Timestamp } from '../../kit/database/schema.ts';

export type MigrationKind = 'resize' | 'migration' | 'live-migration' | 'evacuation';

export type MigrationCause = 'maintenance' | 'rebalance';

/** See README.md. */
export type MigrationPhase = 'preparing' | 'copying' | 'handing-over' | 'cancelling' | 'moved' | 'reverting' | 'ended';

export type MigrationEnd = 'completed' | 'confirmed' | 'reverted' | 'cancelled' | 'failed';

export interface MigrationTable {
  id: string;
  number: Generated<number>;
  project_id: string;
  user_id: string;
  server_id: string;
  server_generation: number;
  kind: Generated<MigrationKind>;
  host_id: string | null;
  target_host_id: string | null;
  target_epoch: number | null;
  phase: MigrationPhase | null;
  other_host_id: string | null;
  other_epoch: number | null;
  other_size: Json<Record<string, unknown>> | null;
  forced: Generated<boolean>;
  target: Json<Record<string, unknown>> | null;
  source_state: string | null;
  target_state: string | null;
  progress: Json<Record<string, unknown>> | null;
  reached: Generated<number>;
  reached_at: Timestamp | null;
  downtime_ms: number | null;
  error: Json<{ code: string; message: string }> | null;
  old_flavor_id: string;
  new_flavor_id: string;
  ended: MigrationEnd | null;
  /** Why the cloud itself moves it; null: a person asked for it. */
  cause: MigrationCause | null;
  /** Of an evacuation: by what it was certain that its guest did not run any more where it was. */
  evidence: Json<Record<string, unknown>> | null;
  created_at: Timestamp;
  updated_at: Timestamp;
}

export interface MigrationKeyTable {
  migration_id: string;
  /** In hex. */
  key: string;
  /** See migrations/0982-migration-proof.sql. */
  proved_at: string | null;
}

interface MigrationTables {
  server_migration: MigrationTable;
  server_migration_key: MigrationKeyTable;
}

declare module '../../kit/database/schema.ts' {
  interface Schema extends MigrationTables {}
}

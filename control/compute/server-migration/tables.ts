/** Servers' migrations as Kysely sees it; the columns' meaning stands in migrations/0241-server-migration.sql. */
import type { Generated } from 'kysely';
import type { Timestamp } from '../../kit/database/schema.ts';

export interface MigrationTable {
  id: string;
  number: Generated<number>;
  project_id: string;
  user_id: string;
  server_id: string;
  server_generation: number;
  host_id: string | null;
  old_flavor_id: string;
  new_flavor_id: string;
  ended: 'confirmed' | 'reverted' | null;
  created_at: Timestamp;
  updated_at: Timestamp;
}

interface MigrationTables {
  server_migration: MigrationTable;
}

declare module '../../kit/database/schema.ts' {
  interface Schema extends MigrationTables {}
}

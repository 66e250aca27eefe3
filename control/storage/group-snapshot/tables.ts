/** The table of snapshots of groups as Kysely sees it; the columns' meaning stands in migration 0381. */
import type { Generated } from 'kysely';
import type { Json, Timestamp } from '../../kit/database/schema.ts';
import type { StorageFault } from '../volume/index.ts';

export interface GroupSnapshotTable {
  id: string;
  project_id: string;
  user_id: string;
  group_id: string;
  group_type_id: string;
  name: Generated<string>;
  description: string | null;
  fault: Json<StorageFault> | null;
  generation: Generated<number>;
  created_at: Timestamp;
  updated_at: Timestamp;
}

interface GroupSnapshotTables {
  group_snapshot: GroupSnapshotTable;
}

declare module '../../kit/database/schema.ts' {
  interface Schema extends GroupSnapshotTables {}
}

/** The group's table as Kysely sees it; the columns' meaning stands in migration 0380. */
import type { Generated } from 'kysely';
import type { Json, Timestamp } from '../../kit/database/schema.ts';
import type { StorageFault } from '../volume/index.ts';

export interface VolumeGroupTable {
  id: string;
  project_id: string;
  user_id: string;
  name: Generated<string>;
  description: string | null;
  group_type_id: string;
  volume_type_ids: string[];
  availability_zone: string | null;
  source_group_id: string | null;
  source_group_snapshot_id: string | null;
  fault: Json<StorageFault> | null;
  generation: Generated<number>;
  created_at: Timestamp;
  updated_at: Timestamp;
}

interface GroupTables {
  volume_group: VolumeGroupTable;
}

declare module '../../kit/database/schema.ts' {
  interface Schema extends GroupTables {}
}

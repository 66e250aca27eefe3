/** The snapshot's table as Kysely sees it; the columns' meaning stands in migration 0304. */
import type { Generated } from 'kysely';
import type { Json, Timestamp } from '../../kit/database/schema.ts';
import type { StorageFault } from '../volume/tables.ts';

export interface VolumeSnapshotTable {
  id: string;
  project_id: string;
  user_id: string;
  volume_id: string;
  layer_id: string | null;
  name: Generated<string>;
  description: string | null;
  size_gib: number;
  consumes_quota: Generated<boolean>;
  metadata: Json<Record<string, string>>;
  desired_presence: Generated<'present' | 'absent'>;
  generation: Generated<number>;
  fault: Json<StorageFault> | null;
  group_snapshot_id: string | null;
  ready_at: Timestamp | null;
  created_at: Timestamp;
  updated_at: Timestamp;
}

interface SnapshotTables {
  volume_snapshot: VolumeSnapshotTable;
}

declare module '../../kit/database/schema.ts' {
  interface Schema extends SnapshotTables {}
}

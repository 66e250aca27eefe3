/** The volume's table as Kysely sees it; the columns' meaning stands in migration 0303. */
import type { Generated } from 'kysely';
import type { Json, Timestamp } from '../../kit/database/schema.ts';

/** Of a volume or a snapshot; without a generation that it ended, it lasts until something new is asked. */
export interface StorageFault {
  code: string;
  message: string;
  generation: number;
}

/** The one thing that holds a volume, until it is done; other fields are each kind's own. */
export interface VolumeTask {
  kind: string;
  [field: string]: unknown;
}

export interface VolumeTable {
  id: string;
  project_id: string;
  user_id: string;
  name: Generated<string>;
  description: string | null;
  size_gib: number;
  volume_type_id: string;
  availability_zone: string | null;
  host_id: string | null;
  pool_id: string | null;
  layer_id: string | null;
  bootable: Generated<boolean>;
  read_only: Generated<boolean>;
  multiattach: Generated<boolean>;
  consumes_quota: Generated<boolean>;
  metadata: Json<Record<string, string>>;
  image_metadata: Json<Record<string, string>> | null;
  source_volume_id: string | null;
  source_snapshot_id: string | null;
  source_image_id: string | null;
  desired_task: Json<VolumeTask> | null;
  desired_presence: Generated<'present' | 'absent'>;
  generation: Generated<number>;
  fault: Json<StorageFault> | null;
  launched_at: Timestamp | null;
  created_at: Timestamp;
  updated_at: Timestamp;
}

interface VolumeTables {
  volume: VolumeTable;
}

declare module '../../kit/database/schema.ts' {
  interface Schema extends VolumeTables {}
}

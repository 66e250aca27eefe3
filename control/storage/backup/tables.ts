/** The table of backups as Kysely sees it; the columns' meaning stands in migrations 0461 and 0505. */
import type { Generated } from 'kysely';
import type { Json, Timestamp } from '../../kit/database/schema.ts';
import type { StorageFault } from '../volume/index.ts';

/** What a volume was when it was backed up, for one that is made of it. */
export interface BackedUpVolume {
  name: string;
  description: string | null;
  bootable: boolean;
  metadata: Record<string, string>;
  image_metadata: Record<string, string> | null;
  /** Absent: it was not kept yet. */
  type_id?: string;
}

export interface BackupTable {
  id: string;
  project_id: string;
  user_id: string;
  name: Generated<string>;
  description: string | null;
  volume_id: string;
  snapshot_id: string | null;
  parent_id: string | null;
  size_gib: number;
  volume: Json<BackedUpVolume>;
  metadata: Json<Record<string, string>>;
  container: string | null;
  availability_zone: string | null;
  host_id: string | null;
  file_name: string;
  file_bytes: number | null;
  sha256: string | null;
  key_id: string | null;
  layer_id: string | null;
  data_at: Timestamp;
  desired_presence: Generated<'present' | 'absent'>;
  generation: Generated<number>;
  fault: Json<StorageFault> | null;
  ready_at: Timestamp | null;
  created_at: Timestamp;
  updated_at: Timestamp;
}

interface BackupTables {
  backup: BackupTable;
}

declare module '../../kit/database/schema.ts' {
  interface Schema extends BackupTables {}
}

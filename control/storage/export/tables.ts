/** The table of exports as Kysely sees it; the columns' meaning stands in migration 0560. */
import type { Generated } from 'kysely';
import type { Timestamp } from '../../kit/database/schema.ts';

export interface VolumeExportTable {
  attachment_id: string;
  host_id: string;
  port: number;
  initiator: string;
  secret_id: string;
  sealed: Buffer;
  desired_presence: Generated<'present' | 'absent'>;
  created_at: Timestamp;
}

declare module '../../kit/database/schema.ts' {
  interface Schema {
    volume_export: VolumeExportTable;
  }
}

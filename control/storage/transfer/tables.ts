/** The table of transfers as Kysely sees it; the columns' meaning stands in migration 0370. */
import type { Generated } from 'kysely';
import type { Timestamp } from '../../kit/database/schema.ts';

export interface VolumeTransferTable {
  id: string;
  project_id: string;
  volume_id: string;
  name: string;
  key_salt: string;
  key_digest: string;
  with_snapshots: boolean;
  generation: Generated<number>;
  created_at: Timestamp;
  updated_at: Timestamp;
}

interface TransferTables {
  volume_transfer: VolumeTransferTable;
}

declare module '../../kit/database/schema.ts' {
  interface Schema extends TransferTables {}
}

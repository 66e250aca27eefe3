/** The table of keys as Kysely sees it; the columns' meaning stands in migration 0450. */
import type { LayerEncryption } from '../../../contract/host/index.ts';
import type { Timestamp } from '../../kit/database/schema.ts';

export interface VolumeKeyTable {
  id: string;
  cipher: LayerEncryption['cipher'];
  key_size_bits: LayerEncryption['keySizeBits'];
  sealed: Buffer | null;
  created_at: Timestamp;
}

declare module '../../kit/database/schema.ts' {
  interface Schema {
    volume_key: VolumeKeyTable;
  }
}

/** The tables of volume types as Kysely sees them; the columns' meaning stands in migrations 0301 and 0330 to 0332. */
import type { Generated } from 'kysely';
import type { Json, Timestamp } from '../../kit/database/schema.ts';

export interface VolumeTypeTable {
  id: string;
  name: string;
  description: string | null;
  public: Generated<boolean>;
  extra_specs: Json<Record<string, string>>;
  qos_specs_id: string | null;
  generation: Generated<number>;
  created_at: Timestamp;
  updated_at: Timestamp;
}

export interface VolumeTypeEncryptionTable {
  volume_type_id: string;
  id: string;
  provider: string;
  control_location: 'front-end' | 'back-end';
  cipher: string | null;
  key_size: number | null;
  created_at: Timestamp;
  updated_at: Timestamp | null;
}

interface VolumeTypeTables {
  volume_type: VolumeTypeTable;
  volume_type_encryption: VolumeTypeEncryptionTable;
  volume_type_default: { project_id: string; volume_type_id: string };
  volume_type_access: { volume_type_id: string; project_id: string };
}

declare module '../../kit/database/schema.ts' {
  interface Schema extends VolumeTypeTables {}
}

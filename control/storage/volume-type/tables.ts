/** The tables of volume types as Kysely sees them; the columns' meaning stands in migration 0301. */
import type { Generated } from 'kysely';
import type { Json, Timestamp } from '../../kit/database/schema.ts';

export interface VolumeTypeTable {
  id: string;
  name: string;
  description: string | null;
  public: Generated<boolean>;
  extra_specs: Json<Record<string, string>>;
  generation: Generated<number>;
  created_at: Timestamp;
  updated_at: Timestamp;
}

interface VolumeTypeTables {
  volume_type: VolumeTypeTable;
  volume_type_access: { volume_type_id: string; project_id: string };
}

declare module '../../kit/database/schema.ts' {
  interface Schema extends VolumeTypeTables {}
}

/** The flavor's tables as Kysely sees them; the columns' meaning stands in migration 0005. */
import type { Generated } from 'kysely';
import type { Json, Timestamp } from '../../kit/database/schema.ts';

export interface FlavorTable {
  /** The key in the database; callers never see it. */
  id: string;
  /** The id that callers see and may choose. */
  flavor_id: string;
  name: string;
  description: string | null;
  vcpus: number;
  memory_mib: number;
  disk_gib: number;
  ephemeral_gib: Generated<number>;
  swap_mib: Generated<number>;
  rxtx_factor: Generated<number>;
  public: Generated<boolean>;
  disabled: Generated<boolean>;
  extra_specs: Json<Record<string, string>>;
  created_at: Timestamp;
  updated_at: Timestamp;
}

export interface FlavorAccessTable {
  flavor_id: string;
  project_id: string;
}

interface FlavorTables {
  flavor: FlavorTable;
  flavor_access: FlavorAccessTable;
}

declare module '../../kit/database/schema.ts' {
  interface Schema extends FlavorTables {}
}

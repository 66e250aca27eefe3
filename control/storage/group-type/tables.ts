/** The table of group types as Kysely sees it; the columns' meaning stands in migration 0333. */
import type { Generated } from 'kysely';
import type { Json, Timestamp } from '../../kit/database/schema.ts';

export interface GroupTypeTable {
  id: string;
  name: string;
  description: string | null;
  public: Generated<boolean>;
  group_specs: Json<Record<string, string>>;
  generation: Generated<number>;
  created_at: Timestamp;
  updated_at: Timestamp;
}

interface GroupTypeTables {
  group_type: GroupTypeTable;
}

declare module '../../kit/database/schema.ts' {
  interface Schema extends GroupTypeTables {}
}

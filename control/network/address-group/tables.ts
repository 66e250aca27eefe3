import type { Generated } from 'kysely';
import type { Timestamp } from '../../kit/database/schema.ts';

export interface AddressGroupTable {
  id: string;
  project_id: string;
  name: Generated<string>;
  description: Generated<string>;
  /** Prefixes of both IP versions, in order, each once. */
  addresses: Generated<string[]>;
  /** With everybody, by a policy. */
  shared: Generated<boolean>;
  tags: Generated<string[]>;
  generation: Generated<number>;
  created_at: Timestamp;
  updated_at: Timestamp;
}

interface AddressGroupTables {
  address_group: AddressGroupTable;
}

declare module '../../kit/database/schema.ts' {
  interface Schema extends AddressGroupTables {}
}

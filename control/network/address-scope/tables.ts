import type { Generated } from 'kysely';
import type { Timestamp } from '../../kit/database/schema.ts';

export interface AddressScopeTable {
  id: string;
  project_id: string;
  name: Generated<string>;
  ip_version: 4 | 6;
  shared: Generated<boolean>;
  generation: Generated<number>;
  created_at: Timestamp;
  updated_at: Timestamp;
}

interface AddressScopeTables {
  address_scope: AddressScopeTable;
}

declare module '../../kit/database/schema.ts' {
  interface Schema extends AddressScopeTables {}
}

import type { Generated } from 'kysely';
import type { Timestamp } from '../../kit/database/schema.ts';

export interface SubnetPoolTable {
  id: string;
  project_id: string;
  name: Generated<string>;
  description: Generated<string>;
  ip_version: 4 | 6;
  /** In order, none within another, neighbours joined. */
  prefixes: string[];
  min_prefix_length: number;
  max_prefix_length: number;
  default_prefix_length: number;
  /** What one project may have of it: IPv4 addresses, or IPv6 networks of 64 bits. Null or 0: no limit. */
  default_quota: number | null;
  /** At most one for each IP version. */
  is_default: Generated<boolean>;
  shared: Generated<boolean>;
  address_scope_id: string | null;
  tags: Generated<string[]>;
  generation: Generated<number>;
  created_at: Timestamp;
  updated_at: Timestamp;
}

interface SubnetPoolTables {
  subnet_pool: SubnetPoolTable;
}

declare module '../../kit/database/schema.ts' {
  interface Schema extends SubnetPoolTables {}
}

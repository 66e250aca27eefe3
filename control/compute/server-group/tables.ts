/** The server group's table as Kysely sees it; the columns' meaning stands in migration 0240. */
import type { Generated } from 'kysely';
import type { Timestamp } from '../../kit/database/schema.ts';

export type ServerGroupPolicy = 'affinity' | 'anti-affinity' | 'soft-affinity' | 'soft-anti-affinity';

export interface ServerGroupTable {
  id: string;
  project_id: string;
  user_id: string;
  name: string;
  policy: ServerGroupPolicy;
  max_servers_per_host: number | null;
  generation: Generated<number>;
  created_at: Timestamp;
  updated_at: Timestamp;
}

interface ServerGroupTables {
  server_group: ServerGroupTable;
}

declare module '../../kit/database/schema.ts' {
  interface Schema extends ServerGroupTables {}
}

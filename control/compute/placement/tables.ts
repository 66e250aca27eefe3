import type { Generated } from 'kysely';

/** See migrations/0090-host-usage.sql: a trigger's, nobody else writes it. */
export interface HostUsageTable {
  host_id: string;
  servers: number;
  vcpus: number;
  memory_mib: number;
  disk_gib: number;
  /** See migrations/0140-placement-changed.sql. */
  changed_in: Generated<string>;
}

interface PlacementTables {
  host_usage: HostUsageTable;
}

declare module '../../kit/database/schema.ts' {
  interface Schema extends PlacementTables {}
}

import type { Generated } from 'kysely';
import type { Json, Timestamp } from '../../kit/database/schema.ts';

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

/** See migrations/0885-server-claim.sql. */
export interface ServerClaimTable {
  server_id: string;
  host_id: string;
  vcpus: number;
  memory_mib: number;
  disk_gib: number;
  /** What its ports are promised at least, by physical network; see migrations/0981-claimed-bandwidth.sql. */
  bandwidth: Json<{ physical_network: string; egress_kbps: number; ingress_kbps: number }[]> | null;
  created_at: Timestamp;
}

/** See migrations/0888-host-inventory.sql. */
export interface CustomTraitTable {
  name: string;
  created_at: Timestamp;
}

/** `host`: of any one host; `domain`: also of all that share a failure domain with it. */
export type Survive = 'none' | 'host' | 'domain';

/** One row; see migrations/1040-reserve-policy.sql. */
export interface ReservePolicyTable {
  id: Generated<string>;
  survive: Generated<Survive>;
  created_at: Timestamp;
  updated_at: Timestamp;
}

/** See migrations/1041-server-refuge.sql. */
export interface ServerRefugeTable {
  server_id: string;
  lost_host_id: string;
  refuge_host_id: string;
  vcpus: number;
  memory_mib: number;
  disk_gib: number;
  created_at: Timestamp;
}

/** A trigger's, nobody else writes it. */
export interface HostReserveTable {
  host_id: string;
  vcpus: number;
  memory_mib: number;
  disk_gib: number;
  changed_in: Generated<string>;
}

interface PlacementTables {
  reserve_policy: ReservePolicyTable;
  server_refuge: ServerRefugeTable;
  host_reserve: HostReserveTable;
  custom_trait: CustomTraitTable;
  host_usage: HostUsageTable;
  server_claim: ServerClaimTable;
}

declare module '../../kit/database/schema.ts' {
  interface Schema extends PlacementTables {}
}

import type { Generated } from 'kysely';
import type { Json, Timestamp } from '../../kit/database/schema.ts';
import type { Ipv6Mode } from '../address/plan.ts';

export interface SubnetTable {
  id: string;
  project_id: string;
  network_id: string;
  /** Whose prefix it has. */
  subnet_pool_id: string | null;
  /** Which hosts its addresses work on; null: all of the network's. */
  segment_id: string | null;
  name: Generated<string>;
  description: Generated<string>;
  ip_version: 4 | 6;
  cidr: string;
  gateway_ip: string | null;
  enable_dhcp: Generated<boolean>;
  ipv6_address_mode: Ipv6Mode | null;
  ipv6_ra_mode: Ipv6Mode | null;
  allocation_pools: Json<{ start: string; end: string }[]>;
  dns_nameservers: Generated<string[]>;
  host_routes: Json<{ destination: string; nexthop: string }[]>;
  service_types: Generated<string[]>;
  tags: Generated<string[]>;
  generation: Generated<number>;
  created_at: Timestamp;
  updated_at: Timestamp;
}

interface SubnetTables {
  subnet: SubnetTable;
}

declare module '../../kit/database/schema.ts' {
  interface Schema extends SubnetTables {}
}

import type { Generated } from 'kysely';
import type { Timestamp } from '../../kit/database/schema.ts';

export interface FloatingIpTable {
  id: string;
  project_id: string;
  floating_network_id: string;
  floating_port_id: string;
  floating_ip: string;
  port_id: string | null;
  fixed_ip: string | null;
  router_id: string | null;
  qos_policy_id: string | null;
  description: Generated<string>;
  dns_name: Generated<string>;
  dns_domain: Generated<string>;
  tags: Generated<string[]>;
  generation: Generated<number>;
  created_at: Timestamp;
  updated_at: Timestamp;
}

interface FloatingIpTables {
  floating_ip: FloatingIpTable;
}

declare module '../../kit/database/schema.ts' {
  interface Schema extends FloatingIpTables {}
}

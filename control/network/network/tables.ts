/** Tables of migrations/0004-network.sql that belong to networks themselves. */
import type { Generated } from 'kysely';
import type { Timestamp } from '../../kit/database/schema.ts';

export interface NetworkTable {
  id: string;
  project_id: string;
  name: Generated<string>;
  description: Generated<string>;
  admin_state_up: Generated<boolean>;
  shared: Generated<boolean>;
  external: Generated<boolean>;
  is_default: Generated<boolean>;
  port_security_enabled: Generated<boolean>;
  mtu: Generated<number>;
  provider_network_type: Generated<'geneve' | 'flat' | 'vlan' | 'local'>;
  provider_physical_network: string | null;
  provider_segmentation_id: number | null;
  dns_domain: Generated<string>;
  /** Of its ports that name none. */
  qos_policy_id: string | null;
  tags: Generated<string[]>;
  generation: Generated<number>;
  created_at: Timestamp;
  updated_at: Timestamp;
}

interface NetworkTables {
  network: NetworkTable;
}

declare module '../../kit/database/schema.ts' {
  interface Schema extends NetworkTables {}
}

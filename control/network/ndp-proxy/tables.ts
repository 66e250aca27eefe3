import type { Generated } from 'kysely';
import type { Timestamp } from '../../kit/database/schema.ts';

export interface NdpProxyTable {
  id: string;
  project_id: string;
  name: Generated<string>;
  description: Generated<string>;
  router_id: string;
  port_id: string;
  /** One of the port's, of IPv6; the proxy goes with it. */
  ip_address: string;
  generation: Generated<number>;
  created_at: Timestamp;
  updated_at: Timestamp;
}

interface NdpProxyTables {
  ndp_proxy: NdpProxyTable;
}

declare module '../../kit/database/schema.ts' {
  interface Schema extends NdpProxyTables {}
}

import type { Generated } from 'kysely';
import type { Json, Timestamp } from '../../kit/database/schema.ts';

export interface Route {
  destination: string;
  nexthop: string;
}

export interface RouterTable {
  id: string;
  project_id: string;
  name: Generated<string>;
  description: Generated<string>;
  admin_state_up: Generated<boolean>;
  gateway_network_id: string | null;
  enable_snat: Generated<boolean>;
  gateway_qos_policy_id: string | null;
  /** Default routes of all of its gateways count, not only of the first. */
  default_route_ecmp: Generated<boolean>;
  /** IPv6 towards a prefix is translated to IPv4 (contract/host/nat64.ts). */
  nat64: Generated<boolean>;
  /** Its gateway answers neighbour solicitations for guests with an NDP proxy. */
  ndp_proxy: Generated<boolean>;
  /** Floating IPs are handled on the hosts of their guests, where these have the physical network; else all by the gateway. */
  distributed: Generated<boolean>;
  /** Further hosts stand by for the gateway. */
  ha: Generated<boolean>;
  /** Zones of the hosts that may carry its gateway; none: all. Never changes. */
  availability_zone_hints: Generated<string[]>;
  /** Never changes. */
  flavor_id: string | null;
  routes: Json<Route[]>;
  tags: Generated<string[]>;
  generation: Generated<number>;
  created_at: Timestamp;
  updated_at: Timestamp;
}

interface RouterTables {
  router: RouterTable;
}

declare module '../../kit/database/schema.ts' {
  interface Schema extends RouterTables {}
}

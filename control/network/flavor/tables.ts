import type { Generated } from 'kysely';
import type { Timestamp } from '../../kit/database/schema.ts';

export interface NetworkFlavorTable {
  id: string;
  name: Generated<string>;
  description: Generated<string>;
  service_type: 'L3_ROUTER_NAT';
  enabled: Generated<boolean>;
  generation: Generated<number>;
  created_at: Timestamp;
  updated_at: Timestamp;
}

export interface ServiceProfileTable {
  id: string;
  description: Generated<string>;
  /** '': none; what it is for is in `metainfo` then. */
  driver: Generated<string>;
  metainfo: Generated<string>;
  enabled: Generated<boolean>;
  generation: Generated<number>;
  created_at: Timestamp;
  updated_at: Timestamp;
}

export interface NetworkFlavorProfileTable {
  network_flavor_id: string;
  service_profile_id: string;
}

interface NetworkFlavorTables {
  network_flavor: NetworkFlavorTable;
  service_profile: ServiceProfileTable;
  network_flavor_profile: NetworkFlavorProfileTable;
}

declare module '../../kit/database/schema.ts' {
  interface Schema extends NetworkFlavorTables {}
}

import type { Generated } from 'kysely';
import type { Timestamp } from '../../kit/database/schema.ts';

export interface PortForwardingTable {
  id: string;
  /** The floating IP's. */
  project_id: string;
  floating_ip_id: string;
  /** The same for all of a floating IP. */
  router_id: string;
  protocol: 'tcp' | 'udp';
  external_first: number;
  external_last: number;
  port_id: string;
  /** One of the port's addresses; the forwarding goes with it. */
  fixed_ip: string;
  /** One port for all of the external ones, or as many as those. */
  internal_first: number;
  internal_last: number;
  description: Generated<string>;
  generation: Generated<number>;
  created_at: Timestamp;
  updated_at: Timestamp;
}

interface PortForwardingTables {
  port_forwarding: PortForwardingTable;
}

declare module '../../kit/database/schema.ts' {
  interface Schema extends PortForwardingTables {}
}

import type { Generated } from 'kysely';
import type { Timestamp } from '../../kit/database/schema.ts';

/** What becomes of the address on the way: it is made the port's, or stays, and the guest has it itself. */
export type LocalIpMode = 'translate' | 'passthrough';

export interface LocalIpTable {
  id: string;
  project_id: string;
  /** Of the local port. */
  network_id: string;
  name: Generated<string>;
  description: Generated<string>;
  /** Whose address it is: of the local IP's own port (`network:local_ip`), or of somebody's at other hosts. */
  local_port_id: string;
  local_ip_address: string;
  ip_mode: Generated<LocalIpMode>;
  tags: Generated<string[]>;
  generation: Generated<number>;
  created_at: Timestamp;
  updated_at: Timestamp;
}

export interface LocalIpAssociationTable {
  id: string;
  /** The local IP's. */
  project_id: string;
  local_ip_id: string;
  /** The local IP's, and the port's. */
  network_id: string;
  fixed_port_id: string;
  /** One of the port's addresses; the association goes with it. */
  fixed_ip: string;
  created_at: Timestamp;
}

interface LocalIpTables {
  local_ip: LocalIpTable;
  local_ip_association: LocalIpAssociationTable;
}

declare module '../../kit/database/schema.ts' {
  interface Schema extends LocalIpTables {}
}

import type { Generated } from 'kysely';
import type { Timestamp } from '../../kit/database/schema.ts';

export interface TrunkTable {
  id: string;
  project_id: string;
  name: Generated<string>;
  description: Generated<string>;
  /** False: its subports stay as they are. */
  admin_state_up: Generated<boolean>;
  /** That carries the others. */
  port_id: string;
  tags: Generated<string[]>;
  generation: Generated<number>;
  created_at: Timestamp;
  updated_at: Timestamp;
}

export interface SubportTable {
  port_id: string;
  trunk_id: string;
  segmentation_type: Generated<'vlan'>;
  /** The tag of its frames on the card. */
  segmentation_id: number;
}

interface TrunkTables {
  trunk: TrunkTable;
  subport: SubportTable;
}

declare module '../../kit/database/schema.ts' {
  interface Schema extends TrunkTables {}
}

/** The table of migrations/0761-segment.sql. */
import type { Generated } from 'kysely';
import type { Timestamp } from '../../kit/database/schema.ts';
import type { NetworkType } from './provider.ts';

export interface SegmentTable {
  id: string;
  network_id: string;
  /** Their order on the network. */
  position: number;
  name: string | null;
  description: Generated<string>;
  network_type: NetworkType;
  physical_network: string | null;
  segmentation_id: number | null;
  generation: Generated<number>;
  created_at: Timestamp;
  updated_at: Timestamp;
}

interface SegmentTables {
  segment: SegmentTable;
}

declare module '../../kit/database/schema.ts' {
  interface Schema extends SegmentTables {}
}

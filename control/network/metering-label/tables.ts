import type { Generated } from 'kysely';
import type { Timestamp } from '../../kit/database/schema.ts';
import type { MeteringDirection } from './prefixes.ts';

export interface MeteringLabelTable {
  id: string;
  project_id: string;
  name: Generated<string>;
  description: Generated<string>;
  /** Counts on the routers of all projects. */
  shared: Generated<boolean>;
  generation: Generated<number>;
  created_at: Timestamp;
  updated_at: Timestamp;
}

/** Prefixes are as they were given, host bits too. */
export interface MeteringLabelRuleTable {
  id: string;
  metering_label_id: string;
  direction: MeteringDirection;
  remote_ip_prefix: string | null;
  source_ip_prefix: string | null;
  destination_ip_prefix: string | null;
  excluded: Generated<boolean>;
}

interface MeteringLabelTables {
  metering_label: MeteringLabelTable;
  metering_label_rule: MeteringLabelRuleTable;
}

declare module '../../kit/database/schema.ts' {
  interface Schema extends MeteringLabelTables {}
}

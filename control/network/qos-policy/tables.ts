import type { Generated } from 'kysely';
import type { Timestamp } from '../../kit/database/schema.ts';
import type { QosDirection, QosRuleKind } from './rule.ts';

export interface QosPolicyTable {
  id: string;
  project_id: string;
  name: Generated<string>;
  description: Generated<string>;
  /** For networks of its project that are made without one. */
  is_default: Generated<boolean>;
  /** With everybody, by a policy of rights. */
  shared: Generated<boolean>;
  tags: Generated<string[]>;
  generation: Generated<number>;
  created_at: Timestamp;
  updated_at: Timestamp;
}

export interface QosRuleTable {
  id: string;
  qos_policy_id: string;
  kind: QosRuleKind;
  direction: Generated<QosDirection>;
  max_kbps: number | null;
  max_burst_kbps: number | null;
  dscp_mark: number | null;
  min_kbps: number | null;
}

interface QosPolicyTables {
  qos_policy: QosPolicyTable;
  qos_rule: QosRuleTable;
}

declare module '../../kit/database/schema.ts' {
  interface Schema extends QosPolicyTables {}
}

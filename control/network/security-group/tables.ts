import type { Generated, GeneratedAlways } from 'kysely';
import type { Timestamp } from '../../kit/database/schema.ts';

export interface SecurityGroupTable {
  id: string;
  project_id: string;
  name: string;
  description: Generated<string>;
  stateful: Generated<boolean>;
  is_default: Generated<boolean>;
  /** With everybody, by a policy. */
  shared: Generated<boolean>;
  tags: Generated<string[]>;
  generation: Generated<number>;
  created_at: Timestamp;
  updated_at: Timestamp;
}

export interface SecurityGroupRuleTable {
  id: string;
  project_id: string;
  security_group_id: string;
  direction: 'ingress' | 'egress';
  ethertype: 'IPv4' | 'IPv6';
  protocol: string | null;
  port_range_min: number | null;
  port_range_max: number | null;
  remote_group_id: string | null;
  remote_ip_prefix: string | null;
  remote_address_group_id: string | null;
  normalized_cidr: GeneratedAlways<string | null>;
  description: Generated<string>;
  generation: Generated<number>;
  created_at: Timestamp;
  updated_at: Timestamp;
}

export interface DefaultSecurityGroupRuleTable {
  id: string;
  direction: 'ingress' | 'egress';
  ethertype: 'IPv4' | 'IPv6';
  protocol: string | null;
  port_range_min: number | null;
  port_range_max: number | null;
  remote_ip_prefix: string | null;
  /** The remote group is the one that the rule becomes part of. */
  remote_own_group: Generated<boolean>;
  remote_group_id: string | null;
  remote_address_group_id: string | null;
  description: Generated<string>;
  used_in_default_group: Generated<boolean>;
  used_in_other_groups: Generated<boolean>;
  generation: Generated<number>;
  created_at: Timestamp;
  updated_at: Timestamp;
}

interface SecurityGroupTables {
  security_group: SecurityGroupTable;
  security_group_rule: SecurityGroupRuleTable;
  default_security_group_rule: DefaultSecurityGroupRuleTable;
}

declare module '../../kit/database/schema.ts' {
  interface Schema extends SecurityGroupTables {}
}

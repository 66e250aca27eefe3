/** Security groups and their rules as they are read: their project's, and theirs who were given the use of the group. */
import { type Selectable, sql } from 'kysely';
import type { Column, Listing } from '../../kit/listing.ts';
import { type Grant, goesWith, grantsOf, sharedCondition } from '../access.ts';
import type { SecurityGroupRuleTable, SecurityGroupTable } from './tables.ts';

export interface SecurityGroupRuleRow extends Selectable<SecurityGroupRuleTable> {
  /** Its group is a project's default group. */
  of_default_group: boolean;
}

/** A rule inside its group: as `to_jsonb` gives it, so its times are text. */
export type NestedRule = Omit<SecurityGroupRuleRow, 'of_default_group' | 'created_at' | 'updated_at'> & {
  created_at: string;
  updated_at: string;
};

export interface SecurityGroupRow extends Selectable<SecurityGroupTable> {
  rules: NestedRule[];
  grants: Grant[];
}

const common: Record<string, Column> = {
  id: { kind: 'uuid', sortable: true },
  project_id: { kind: 'uuid', sortable: true },
  description: { kind: 'text' },
  generation: { kind: 'integer' },
  created_at: { kind: 'time', sortable: true },
  updated_at: { kind: 'time', sortable: true },
};

export const securityGroupListing: Listing<SecurityGroupRow> = {
  noun: 'security_group',
  select: sql<SecurityGroupRow>`t.*, coalesce((select jsonb_agg(to_jsonb(r) order by r.id)
    from security_group_rule r where r.security_group_id = t.id), '[]') as rules, ${grantsOf('security_group', 't')} as grants`,
  from: sql`security_group t`,
  visible: (caller) => sharedCondition(caller, 't', 'security_group'),
  columns: {
    ...common,
    name: { kind: 'text', sortable: true },
    stateful: { kind: 'boolean' },
    shared: { kind: 'boolean' },
  },
};

const ofDefaultGroup = sql<boolean>`(select g.is_default from security_group g where g.id = t.security_group_id)`;

export const securityGroupRuleListing: Listing<SecurityGroupRuleRow> = {
  noun: 'security_group_rule',
  select: sql<SecurityGroupRuleRow>`t.*, ${ofDefaultGroup} as of_default_group`,
  from: sql`security_group_rule t`,
  visible: (caller) => goesWith(caller, 't', 'security_group'),
  columns: {
    ...common,
    security_group_id: { kind: 'uuid', sortable: true },
    direction: { kind: 'text', sortable: true },
    ethertype: { kind: 'text', sortable: true },
    protocol: { kind: 'text', sortable: true },
    port_range_min: { kind: 'integer', sortable: true },
    port_range_max: { kind: 'integer', sortable: true },
    remote_group_id: { kind: 'uuid', sortable: true },
    remote_address_group_id: { kind: 'uuid', sortable: true },
    remote_ip_prefix: { kind: 'text', sortable: true },
    normalized_cidr: { kind: 'cidr', sortable: true },
    of_default_group: { kind: 'boolean', expression: ofDefaultGroup },
  },
};

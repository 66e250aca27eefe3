/** Rules of the template as they are read, by everybody. */
import { type Selectable, sql } from 'kysely';
import type { Listing } from '../../kit/listing.ts';
import type { DefaultSecurityGroupRuleTable } from './tables.ts';

export type DefaultSecurityGroupRuleRow = Selectable<DefaultSecurityGroupRuleTable>;

/** As a rule's remote group: the group that the rule becomes part of. Neutron's word. */
export const ownGroup = 'PARENT';

export const defaultSecurityGroupRuleListing: Listing<DefaultSecurityGroupRuleRow> = {
  noun: 'default_security_group_rule',
  select: sql<DefaultSecurityGroupRuleRow>`t.*`,
  from: sql`default_security_group_rule t`,
  visible: () => sql`true`,
  columns: {
    id: { kind: 'uuid', sortable: true },
    description: { kind: 'text' },
    direction: { kind: 'text', sortable: true },
    ethertype: { kind: 'text', sortable: true },
    protocol: { kind: 'text', sortable: true },
    port_range_min: { kind: 'integer', sortable: true },
    port_range_max: { kind: 'integer', sortable: true },
    remote_group_id: {
      kind: 'text',
      expression: sql`case when t.remote_own_group then ${ownGroup} else t.remote_group_id::text end`,
      sortable: true,
    },
    remote_address_group_id: { kind: 'uuid', sortable: true },
    remote_ip_prefix: { kind: 'text', sortable: true },
    used_in_default_group: { kind: 'boolean' },
    used_in_other_groups: { kind: 'boolean' },
  },
};

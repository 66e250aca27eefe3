/** Labels and rules as they are read: their project's. That a label is shared says where it counts, not who sees it, as with Neutron. */
import { type Selectable, sql } from 'kysely';
import type { Listing } from '../../kit/listing.ts';
import { ownCondition } from '../access.ts';
import type { MeteringLabelRuleTable, MeteringLabelTable } from './tables.ts';

export type MeteringLabelRow = Selectable<MeteringLabelTable>;
export type MeteringLabelRuleRow = Selectable<MeteringLabelRuleTable>;

export const meteringLabelListing: Listing<MeteringLabelRow> = {
  noun: 'metering_label',
  select: sql<MeteringLabelRow>`t.*`,
  from: sql`metering_label t`,
  visible: (caller) => ownCondition(caller, 't'),
  columns: {
    id: { kind: 'uuid', sortable: true },
    project_id: { kind: 'uuid', sortable: true },
    name: { kind: 'text', sortable: true },
    description: { kind: 'text', sortable: true },
    shared: { kind: 'boolean', sortable: true },
  },
};

const prefix = (name: string) => ({
  kind: 'text' as const,
  expression: sql`${sql.ref(`t.${name}`)}::text`,
  sortable: true,
});

/** Who sees a label sees its rules. */
export const meteringLabelRuleListing: Listing<MeteringLabelRuleRow> = {
  noun: 'metering_label_rule',
  select: sql<MeteringLabelRuleRow>`t.id, t.metering_label_id, t.direction, t.excluded, t.remote_ip_prefix::text as remote_ip_prefix,
    t.source_ip_prefix::text as source_ip_prefix, t.destination_ip_prefix::text as destination_ip_prefix`,
  from: sql`metering_label_rule t join metering_label l on l.id = t.metering_label_id`,
  visible: (caller) => ownCondition(caller, 'l'),
  columns: {
    id: { kind: 'uuid', sortable: true },
    metering_label_id: { kind: 'uuid', sortable: true },
    direction: { kind: 'text', sortable: true },
    excluded: { kind: 'boolean', sortable: true },
    remote_ip_prefix: prefix('remote_ip_prefix'),
    source_ip_prefix: prefix('source_ip_prefix'),
    destination_ip_prefix: prefix('destination_ip_prefix'),
  },
};

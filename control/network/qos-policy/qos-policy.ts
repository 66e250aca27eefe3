/** A policy and its rules as they are read: its project's, and theirs who were given the use of it. */
import { type Selectable, sql } from 'kysely';
import type { Listing } from '../../kit/listing.ts';
import { type Grant, grantsOf, sharedCondition } from '../access.ts';
import type { QosPolicyTable, QosRuleTable } from './tables.ts';

export type QosRuleRow = Selectable<QosRuleTable>;

export interface QosPolicyRow extends Selectable<QosPolicyTable> {
  grants: Grant[];
  rules: QosRuleRow[];
}

export const qosPolicyListing: Listing<QosPolicyRow> = {
  noun: 'qos_policy',
  select: sql<QosPolicyRow>`t.*, ${grantsOf('qos_policy', 't')} as grants, coalesce((
    select jsonb_agg(to_jsonb(r) order by r.kind, r.direction) from qos_rule r where r.qos_policy_id = t.id), '[]') as rules`,
  from: sql`qos_policy t`,
  visible: (caller) => sharedCondition(caller, 't', 'qos_policy'),
  columns: {
    id: { kind: 'uuid', sortable: true },
    project_id: { kind: 'uuid', sortable: true },
    name: { kind: 'text', sortable: true },
    description: { kind: 'text', sortable: true },
    shared: { kind: 'boolean' },
    is_default: { kind: 'boolean', sortable: true },
    generation: { kind: 'integer' },
    created_at: { kind: 'time', sortable: true },
    updated_at: { kind: 'time', sortable: true },
  },
};

/** Who sees a policy sees its rules. */
export const qosRuleListing: Listing<QosRuleRow> = {
  noun: 'qos_rule',
  select: sql<QosRuleRow>`t.*`,
  from: sql`qos_rule t join qos_policy p on p.id = t.qos_policy_id`,
  visible: (caller) => sharedCondition(caller, 'p', 'qos_policy'),
  columns: {
    id: { kind: 'uuid', sortable: true },
    qos_policy_id: { kind: 'uuid' },
    kind: { kind: 'text' },
    direction: { kind: 'text', sortable: true },
    max_kbps: { kind: 'integer', sortable: true },
    max_burst_kbps: { kind: 'integer', sortable: true },
    dscp_mark: { kind: 'integer', sortable: true },
    min_kbps: { kind: 'integer', sortable: true },
  },
};

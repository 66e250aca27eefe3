/** A policy as it is read: its own project's, which is whose resource it gives. */
import { type Selectable, sql } from 'kysely';
import type { Listing } from '../../kit/listing.ts';
import { ownCondition, type Shareable } from '../access.ts';
import type { RbacPolicyTable } from './tables.ts';

export interface RbacPolicyRow extends Selectable<RbacPolicyTable> {
  object_type: Shareable;
  object_id: string;
}

const objectId = sql`coalesce(t.network_id, t.subnet_pool_id, t.address_scope_id, t.security_group_id, t.address_group_id,
  t.qos_policy_id)`;

const objectType = sql`case when t.network_id is not null then 'network' when t.subnet_pool_id is not null then 'subnet_pool'
  when t.address_scope_id is not null then 'address_scope' when t.security_group_id is not null then 'security_group'
  when t.address_group_id is not null then 'address_group' else 'qos_policy' end`;

export const rbacPolicyListing: Listing<RbacPolicyRow> = {
  noun: 'rbac_policy',
  select: sql<RbacPolicyRow>`t.*, ${objectId} as object_id, ${objectType} as object_type`,
  from: sql`rbac_policy t`,
  visible: (caller) => ownCondition(caller, 't'),
  columns: {
    id: { kind: 'uuid', sortable: true },
    project_id: { kind: 'uuid', sortable: true },
    object_type: { kind: 'text', sortable: true, expression: objectType },
    object_id: { kind: 'uuid', sortable: true, expression: objectId },
    action: { kind: 'text', sortable: true },
    target_project_id: { kind: 'uuid', sortable: true },
  },
};

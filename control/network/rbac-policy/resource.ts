import { sql } from 'kysely';
import type { ResourceDescriptor } from '../../kit/resource.ts';

export const rbacPolicy = {
  noun: 'rbac_policy',
  memberColumns: [
    'network_id',
    'subnet_pool_id',
    'address_scope_id',
    'security_group_id',
    'address_group_id',
    'qos_policy_id',
    'action',
    'target_project_id',
  ],
  usage: { rbac_policies: (p) => sql`select count(*) as used from rbac_policy where project_id = ${p}` },
  keepsProject: {},
} satisfies ResourceDescriptor;

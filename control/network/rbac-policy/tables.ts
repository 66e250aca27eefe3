import type { Generated } from 'kysely';
import type { Timestamp } from '../../kit/database/schema.ts';
import type { GrantAction } from '../access.ts';

export interface RbacPolicyTable {
  id: string;
  project_id: string;
  /** Exactly one of the six: what it gives. */
  network_id: string | null;
  subnet_pool_id: string | null;
  address_scope_id: string | null;
  security_group_id: string | null;
  address_group_id: string | null;
  qos_policy_id: string | null;
  action: GrantAction;
  /** To whom; null: everybody. */
  target_project_id: string | null;
  generation: Generated<number>;
  created_at: Timestamp;
  updated_at: Timestamp;
}

interface RbacPolicyTables {
  rbac_policy: RbacPolicyTable;
}

declare module '../../kit/database/schema.ts' {
  interface Schema extends RbacPolicyTables {}
}

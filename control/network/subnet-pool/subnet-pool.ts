/** A subnet pool as it is read: its project's, and everyone's where it is shared. */
import { type Selectable, sql } from 'kysely';
import type { Listing } from '../../kit/listing.ts';
import { type Grant, grantsOf, sharedCondition } from '../access.ts';
import type { SubnetPoolTable } from './tables.ts';

export interface SubnetPoolRow extends Selectable<SubnetPoolTable> {
  grants: Grant[];
}

export const subnetPoolListing: Listing<SubnetPoolRow> = {
  noun: 'subnet_pool',
  select: sql<SubnetPoolRow>`t.*, t.prefixes::text[] as prefixes, ${grantsOf('subnet_pool', 't')} as grants`,
  from: sql`subnet_pool t`,
  visible: (caller) => sharedCondition(caller, 't', 'subnet_pool'),
  columns: {
    id: { kind: 'uuid', sortable: true },
    project_id: { kind: 'uuid', sortable: true },
    name: { kind: 'text', sortable: true },
    description: { kind: 'text' },
    ip_version: { kind: 'integer', sortable: true },
    min_prefix_length: { kind: 'integer', sortable: true },
    max_prefix_length: { kind: 'integer', sortable: true },
    default_prefix_length: { kind: 'integer', sortable: true },
    default_quota: { kind: 'integer', sortable: true },
    is_default: { kind: 'boolean', sortable: true },
    shared: { kind: 'boolean', sortable: true },
    address_scope_id: { kind: 'uuid', sortable: true },
    generation: { kind: 'integer' },
    created_at: { kind: 'time', sortable: true },
    updated_at: { kind: 'time', sortable: true },
  },
};

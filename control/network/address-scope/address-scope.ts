/** An address scope as it is read: its project's, and everyone's where it is shared. */
import type { Selectable } from 'kysely';
import { sql } from 'kysely';
import type { Listing } from '../../kit/listing.ts';
import { type Grant, grantsOf, sharedCondition } from '../access.ts';
import type { AddressScopeTable } from './tables.ts';

export interface AddressScopeRow extends Selectable<AddressScopeTable> {
  grants: Grant[];
}

export const addressScopeListing: Listing<AddressScopeRow> = {
  noun: 'address_scope',
  select: sql<AddressScopeRow>`t.*, ${grantsOf('address_scope', 't')} as grants`,
  from: sql`address_scope t`,
  visible: (caller) => sharedCondition(caller, 't', 'address_scope'),
  columns: {
    id: { kind: 'uuid', sortable: true },
    project_id: { kind: 'uuid', sortable: true },
    name: { kind: 'text', sortable: true },
    ip_version: { kind: 'integer', sortable: true },
    shared: { kind: 'boolean', sortable: true },
  },
};

/** An address group as it is read: its project's, and theirs who were given the use of it. */
import { type Selectable, sql } from 'kysely';
import type { Listing } from '../../kit/listing.ts';
import { type Grant, grantsOf, sharedCondition } from '../access.ts';
import type { AddressGroupTable } from './tables.ts';

export interface AddressGroupRow extends Selectable<AddressGroupTable> {
  grants: Grant[];
}

export const addressGroupListing: Listing<AddressGroupRow> = {
  noun: 'address_group',
  select: sql<AddressGroupRow>`t.*, t.addresses::text[] as addresses, ${grantsOf('address_group', 't')} as grants`,
  from: sql`address_group t`,
  visible: (caller) => sharedCondition(caller, 't', 'address_group'),
  columns: {
    id: { kind: 'uuid', sortable: true },
    project_id: { kind: 'uuid', sortable: true },
    name: { kind: 'text', sortable: true },
    description: { kind: 'text', sortable: true },
    shared: { kind: 'boolean' },
    generation: { kind: 'integer' },
    created_at: { kind: 'time', sortable: true },
    updated_at: { kind: 'time', sortable: true },
  },
};

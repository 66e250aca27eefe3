/** Reachability assertions as they are read: their project's. */
import { type Selectable, sql } from 'kysely';
import type { Listing } from '../../kit/listing.ts';
import { ownCondition } from '../access.ts';
import type { ReachabilityAssertionTable } from './tables.ts';

export type ReachabilityAssertionRow = Selectable<ReachabilityAssertionTable>;

export const reachabilityAssertionListing: Listing<ReachabilityAssertionRow> = {
  noun: 'reachability_assertion',
  select: sql<ReachabilityAssertionRow>`t.*`,
  from: sql`reachability_assertion t`,
  visible: (caller) => ownCondition(caller, 't'),
  columns: {
    id: { kind: 'uuid', sortable: true },
    state: { kind: 'text', sortable: true },
  },
};

/** Segments as they are read: by administrators alone, as in Neutron. */
import { type Selectable, sql } from 'kysely';
import { isAdmin } from '../../kit/caller.ts';
import type { Listing } from '../../kit/listing.ts';
import type { SegmentTable } from './tables.ts';

export type SegmentRow = Selectable<SegmentTable>;

export const segmentListing: Listing<SegmentRow> = {
  noun: 'segment',
  select: sql<SegmentRow>`t.*`,
  from: sql`segment t`,
  visible: (caller) => (isAdmin(caller) ? sql`true` : sql`false`),
  columns: {
    id: { kind: 'uuid', sortable: true },
    network_id: { kind: 'uuid', sortable: true },
    name: { kind: 'text', sortable: true },
    description: { kind: 'text' },
    network_type: { kind: 'text', sortable: true },
    physical_network: { kind: 'text', sortable: true },
    segmentation_id: { kind: 'integer', sortable: true },
    generation: { kind: 'integer' },
    created_at: { kind: 'time', sortable: true },
    updated_at: { kind: 'time', sortable: true },
  },
};

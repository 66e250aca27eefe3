/** Meters as they are read: their project's. */
import { type Selectable, sql } from 'kysely';
import type { Listing } from '../../kit/listing.ts';
import { ownCondition } from '../access.ts';
import type { MeterTable } from './tables.ts';

/** Bytes and packets, as the metered thing sees them: what it receives is `rx`. */
export interface Passed {
  rx_bytes: number;
  rx_packets: number;
  tx_bytes: number;
  tx_packets: number;
}

export type MeterRow = Selectable<MeterTable>;

export const meterListing: Listing<MeterRow> = {
  noun: 'meter',
  select: sql<MeterRow>`t.*`,
  from: sql`meter t`,
  visible: (caller) => ownCondition(caller, 't'),
  columns: {
    id: { kind: 'uuid', sortable: true },
    resource_type: { kind: 'text', sortable: true },
    project_id: { kind: 'uuid', sortable: true },
  },
};

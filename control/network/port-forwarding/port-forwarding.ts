/** A port forwarding as it is read: its floating IP's project's. */
import { type Selectable, sql } from 'kysely';
import type { Listing } from '../../kit/listing.ts';
import { ownCondition } from '../access.ts';
import type { PortForwardingTable } from './tables.ts';

export type PortForwardingRow = Selectable<PortForwardingTable>;

export const portForwardingListing: Listing<PortForwardingRow> = {
  noun: 'port_forwarding',
  select: sql<PortForwardingRow>`t.*`,
  from: sql`port_forwarding t`,
  visible: (caller) => ownCondition(caller, 't'),
  columns: {
    id: { kind: 'uuid', sortable: true },
    floating_ip_id: { kind: 'uuid' },
    protocol: { kind: 'text', sortable: true },
    port_id: { kind: 'uuid', sortable: true },
    external_port: {
      kind: 'integer',
      sortable: true,
      expression: sql`case when t.external_first = t.external_last then t.external_first end`,
    },
    external_port_range: {
      kind: 'text',
      sortable: true,
      expression: sql`(t.external_first || ':' || t.external_last)`,
    },
    description: { kind: 'text' },
  },
};

/** A network as it is read: the row, and the ids of its subnets. */
import { type Selectable, sql } from 'kysely';
import type { Listing } from '../../kit/listing.ts';
import { networkCondition } from '../access.ts';
import type { NetworkTable } from './tables.ts';

export interface NetworkRow extends Selectable<NetworkTable> {
  subnets: string[];
}

export const networkListing: Listing<NetworkRow> = {
  noun: 'network',
  select: sql<NetworkRow>`t.*, array(select s.id from subnet s where s.network_id = t.id order by s.created_at, s.id) as subnets`,
  from: sql`network t`,
  visible: (caller) => networkCondition(caller, 't'),
  columns: {
    id: { kind: 'uuid', sortable: true },
    project_id: { kind: 'uuid', sortable: true },
    name: { kind: 'text', sortable: true },
    description: { kind: 'text' },
    admin_state_up: { kind: 'boolean', sortable: true },
    status: { kind: 'text', sortable: true, expression: sql`'ACTIVE'::text` },
    shared: { kind: 'boolean' },
    external: { kind: 'boolean' },
    is_default: { kind: 'boolean' },
    port_security_enabled: { kind: 'boolean' },
    mtu: { kind: 'integer', sortable: true },
    provider_network_type: { kind: 'text' },
    provider_physical_network: { kind: 'text' },
    provider_segmentation_id: { kind: 'integer' },
    dns_domain: { kind: 'text' },
    generation: { kind: 'integer' },
    created_at: { kind: 'time', sortable: true },
    updated_at: { kind: 'time', sortable: true },
  },
};

/** An NDP proxy as it is read: its project's alone. */
import { type Selectable, sql } from 'kysely';
import type { Listing } from '../../kit/listing.ts';
import { ownCondition } from '../access.ts';
import type { NdpProxyTable } from './tables.ts';

export type NdpProxyRow = Selectable<NdpProxyTable>;

export const ndpProxyListing: Listing<NdpProxyRow> = {
  noun: 'ndp_proxy',
  select: sql<NdpProxyRow>`t.*, host(t.ip_address) as ip_address`,
  from: sql`ndp_proxy t`,
  visible: (caller) => ownCondition(caller, 't'),
  columns: {
    id: { kind: 'uuid', sortable: true },
    project_id: { kind: 'uuid', sortable: true },
    name: { kind: 'text', sortable: true },
    description: { kind: 'text' },
    router_id: { kind: 'uuid', sortable: true },
    port_id: { kind: 'uuid', sortable: true },
    ip_address: { kind: 'ip', sortable: true },
    generation: { kind: 'integer' },
    created_at: { kind: 'time', sortable: true },
    updated_at: { kind: 'time', sortable: true },
  },
};

/** A trunk as it is read: with its subports, and up as its port is. */
import { type Selectable, sql } from 'kysely';
import type { Listing } from '../../kit/listing.ts';
import { ownCondition } from '../access.ts';
import type { TrunkTable } from './tables.ts';

export interface SubportRow {
  port_id: string;
  segmentation_type: string;
  segmentation_id: number;
}

export interface TrunkRow extends Selectable<TrunkTable> {
  status: 'ACTIVE' | 'DOWN';
  sub_ports: SubportRow[];
}

const status = sql`case when parent.observed_up then 'ACTIVE' else 'DOWN' end`;

export const trunkListing: Listing<TrunkRow> = {
  noun: 'trunk',
  select: sql<TrunkRow>`t.*, ${status} as status, coalesce((select jsonb_agg(jsonb_build_object('port_id', s.port_id,
    'segmentation_type', s.segmentation_type, 'segmentation_id', s.segmentation_id) order by s.segmentation_id)
    from subport s where s.trunk_id = t.id), '[]') as sub_ports`,
  from: sql`trunk t join port parent on parent.id = t.port_id`,
  visible: (caller) => ownCondition(caller, 't'),
  columns: {
    id: { kind: 'uuid', sortable: true },
    project_id: { kind: 'uuid', sortable: true },
    name: { kind: 'text', sortable: true },
    description: { kind: 'text' },
    admin_state_up: { kind: 'boolean', sortable: true },
    port_id: { kind: 'uuid', sortable: true },
    status: { kind: 'text', sortable: false, expression: status },
    generation: { kind: 'integer' },
    created_at: { kind: 'time', sortable: true },
    updated_at: { kind: 'time', sortable: true },
  },
};

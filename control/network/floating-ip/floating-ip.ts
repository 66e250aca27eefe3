/** A floating IP as it is read, with what Neutron tells of the port that it is associated with. */
import { type Selectable, sql } from 'kysely';
import type { Listing } from '../../kit/listing.ts';
import { ownCondition } from '../access.ts';
import type { FloatingIpTable } from './tables.ts';

export interface PortDetails {
  name: string;
  network_id: string;
  mac_address: string;
  admin_state_up: boolean;
  observed_up: boolean;
  device_id: string;
  device_owner: string;
}

export interface FloatingIpRow extends Selectable<FloatingIpTable> {
  port_details: PortDetails | null;
}

const status = sql`case when t.router_id is null then 'DOWN' else 'ACTIVE' end`;

export const floatingIpListing: Listing<FloatingIpRow> = {
  noun: 'floating_ip',
  select: sql<FloatingIpRow>`t.*, case when p.id is not null then jsonb_build_object('name', p.name,
    'network_id', p.network_id, 'mac_address', p.mac, 'admin_state_up', p.admin_state_up, 'observed_up', p.observed_up,
    'device_id', p.device_id, 'device_owner', p.device_owner) end as port_details`,
  from: sql`floating_ip t left join port p on p.id = t.port_id`,
  visible: (caller) => ownCondition(caller, 't'),
  columns: {
    id: { kind: 'uuid', sortable: true },
    project_id: { kind: 'uuid', sortable: true },
    floating_network_id: { kind: 'uuid', sortable: true },
    floating_ip: { kind: 'ip', sortable: true },
    fixed_ip: { kind: 'ip', sortable: true },
    port_id: { kind: 'uuid', sortable: true },
    router_id: { kind: 'uuid', sortable: true },
    status: { kind: 'text', sortable: true, expression: status },
    description: { kind: 'text' },
    generation: { kind: 'integer' },
    created_at: { kind: 'time', sortable: true },
    updated_at: { kind: 'time', sortable: true },
  },
};

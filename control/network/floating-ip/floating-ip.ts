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

export interface ForwardingDetails {
  id: string;
  protocol: 'tcp' | 'udp';
  external_first: number;
  external_last: number;
  port_id: string;
  fixed_ip: string;
  internal_first: number;
  internal_last: number;
}

export interface FloatingIpRow extends Selectable<FloatingIpTable> {
  port_details: PortDetails | null;
  port_forwardings: ForwardingDetails[];
  /** Of the external network, which holds where it has none. */
  qos_network_policy_id: string | null;
}

/** Of one in parts, the router of these. */
const router = sql`coalesce(t.router_id, (select f.router_id from port_forwarding f where f.floating_ip_id = t.id limit 1))`;
const status = sql`case when ${router} is null then 'DOWN' else 'ACTIVE' end`;

export const floatingIpListing: Listing<FloatingIpRow> = {
  noun: 'floating_ip',
  select: sql<FloatingIpRow>`t.*, ${router} as router_id,
    coalesce((select jsonb_agg(jsonb_build_object('id', f.id, 'protocol', f.protocol, 'external_first', f.external_first,
      'external_last', f.external_last, 'port_id', f.port_id, 'fixed_ip', host(f.fixed_ip), 'internal_first', f.internal_first,
      'internal_last', f.internal_last) order by f.id) from port_forwarding f where f.floating_ip_id = t.id), '[]') as port_forwardings,
    case when p.id is not null then jsonb_build_object('name', p.name,
    'network_id', p.network_id, 'mac_address', p.mac, 'admin_state_up', p.admin_state_up, 'observed_up', p.observed_up,
    'device_id', p.device_id, 'device_owner', p.device_owner) end as port_details,
    (select n.qos_policy_id from network n where n.id = t.floating_network_id) as qos_network_policy_id`,
  from: sql`floating_ip t left join port p on p.id = t.port_id`,
  visible: (caller) => ownCondition(caller, 't'),
  columns: {
    id: { kind: 'uuid', sortable: true },
    project_id: { kind: 'uuid', sortable: true },
    floating_network_id: { kind: 'uuid', sortable: true },
    floating_ip: { kind: 'ip', sortable: true },
    fixed_ip: { kind: 'ip', sortable: true },
    port_id: { kind: 'uuid', sortable: true },
    router_id: { kind: 'uuid', sortable: true, expression: router },
    status: { kind: 'text', sortable: true, expression: status },
    qos_policy_id: { kind: 'uuid' },
    description: { kind: 'text' },
    generation: { kind: 'integer' },
    created_at: { kind: 'time', sortable: true },
    updated_at: { kind: 'time', sortable: true },
  },
};

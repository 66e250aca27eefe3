/** A router as it is read: the row and the addresses of its gateway. */
import { type Selectable, sql } from 'kysely';
import type { Listing } from '../../kit/listing.ts';
import { ownCondition } from '../access.ts';
import type { RouterTable } from './tables.ts';

export interface RouterRow extends Selectable<RouterTable> {
  /** The first one first. */
  gateways: { network_id: string; ips: { subnet_id: string; ip_address: string }[] }[];
}

export const routerListing: Listing<RouterRow> = {
  noun: 'router',
  select: sql<RouterRow>`t.*, coalesce((
    select jsonb_agg(jsonb_build_object('network_id', p.network_id, 'ips', coalesce((
        select jsonb_agg(jsonb_build_object('subnet_id', i.subnet_id, 'ip_address', host(i.ip)) order by i.position)
        from port_ip i where i.port_id = p.id), '[]'))
      order by p.network_id <> t.gateway_network_id, p.created_at, p.id)
    from port p
    where p.device_id <> '' and p.device_id = t.id::text and p.device_owner = 'network:router_gateway'), '[]') as gateways`,
  from: sql`router t`,
  visible: (caller) => ownCondition(caller, 't'),
  columns: {
    id: { kind: 'uuid', sortable: true },
    project_id: { kind: 'uuid', sortable: true },
    name: { kind: 'text', sortable: true },
    description: { kind: 'text' },
    admin_state_up: { kind: 'boolean', sortable: true },
    status: { kind: 'text', sortable: true, expression: sql`'ACTIVE'::text` },
    gateway_network_id: { kind: 'uuid' },
    distributed: { kind: 'boolean' },
    ha: { kind: 'boolean' },
    default_route_ecmp: { kind: 'boolean' },
    nat64: { kind: 'boolean' },
    ndp_proxy: { kind: 'boolean' },
    flavor_id: { kind: 'uuid', sortable: true },
    generation: { kind: 'integer' },
    created_at: { kind: 'time', sortable: true },
    updated_at: { kind: 'time', sortable: true },
  },
};

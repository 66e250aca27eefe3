import { sql } from 'kysely';
import type { ResourceDescriptor } from '../../kit/resource.ts';

export const router = {
  noun: 'router',
  memberColumns: [
    'admin_state_up',
    'gateway_network_id',
    'enable_snat',
    'gateway_qos_policy_id',
    'default_route_ecmp',
    'nat64',
    'ndp_proxy',
    'distributed',
    'ha',
    'availability_zone_hints',
    'flavor_id',
    'routes',
  ],
  usage: { routers: (p) => sql`select count(*) as used from router where project_id = ${p}` },
  keepsProject: {},
  wakes: { northbound: (touched, { resource_id: id }) => touched.unit('router', id) },
} satisfies ResourceDescriptor;

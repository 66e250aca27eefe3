import { sql } from 'kysely';
import type { ResourceDescriptor } from '../../kit/resource.ts';

export const floatingIp = {
  noun: 'floating_ip',
  memberColumns: [
    ...['floating_network_id', 'floating_ip', 'port_id', 'fixed_ip', 'router_id', 'dns_name', 'dns_domain'],
    'qos_policy_id',
  ],
  usage: { floating_ips: (p) => sql`select count(*) as used from floating_ip where project_id = ${p}` },
  keepsProject: {},
  wakes: { northbound: (touched, { body }) => touched.unit('router', body.router_id) },
} satisfies ResourceDescriptor;

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
  wakes: {
    hosts: (look, { body }) => {
      if (body.dns_name) look.namesOf(body.project_id);
    },
    northbound: (touched, { resource_id: id, action, body }) => {
      touched.unit('router', body.router_id);
      // One that is given to ports in parts names no router; its policy acts there all the same.
      if (body.router_id === null && action === 'updated') touched.routersOfForwardingIps.add(id);
    },
  },
} satisfies ResourceDescriptor;

import { sql } from 'kysely';
import type { ResourceDescriptor } from '../../kit/resource.ts';

export const network = {
  noun: 'network',
  memberColumns: [
    'admin_state_up',
    'shared',
    'external',
    'is_default',
    'port_security_enabled',
    'mtu',
    'dns_domain',
    'qos_policy_id',
  ],
  usage: { networks: (p) => sql`select count(*) as used from network where project_id = ${p}` },
  keepsProject: {},
  wakes: {
    hosts: (look, { resource_id: id }) => look.network(id),
    northbound: (touched, { resource_id: id, action }) => {
      touched.unit('network', id);
      if (action !== 'updated') return;
      touched.routersOfNetworks.add(id);
      // Its MTU is in DHCP answers, and whether it is up in every port.
      touched.portsOfNetworks.add(id);
    },
  },
} satisfies ResourceDescriptor;

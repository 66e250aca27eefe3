import { sql } from 'kysely';
import type { ResourceDescriptor } from '../../kit/resource.ts';

export const subnet = {
  noun: 'subnet',
  memberColumns: [
    'network_id',
    'subnet_pool_id',
    'ip_version',
    'cidr',
    'gateway_ip',
    'enable_dhcp',
    'ipv6_address_mode',
    'ipv6_ra_mode',
    'allocation_pools',
    'dns_nameservers',
    'host_routes',
    'service_types',
  ],
  usage: { subnets: (p) => sql`select count(*) as used from subnet where project_id = ${p}` },
  keepsProject: {},
  wakes: {
    hosts: (look, { body }) => look.network(String(body.network_id)),
    northbound: (touched, { body }) => {
      const network = String(body.network_id);
      touched.unit('network', network);
      touched.portsOfNetworks.add(network);
      touched.routersOfNetworks.add(network);
    },
  },
} satisfies ResourceDescriptor;

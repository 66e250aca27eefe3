import { sql } from 'kysely';
import type { ResourceDescriptor } from '../../kit/resource.ts';

export const subnetPool = {
  noun: 'subnet_pool',
  memberColumns: [
    'ip_version',
    'prefixes',
    'min_prefix_length',
    'max_prefix_length',
    'default_prefix_length',
    'default_quota',
    'is_default',
    'shared',
    'address_scope_id',
  ],
  usage: { subnet_pools: (p) => sql`select count(*) as used from subnet_pool where project_id = ${p}` },
  keepsProject: {},
  wakes: {
    northbound: (touched, { resource_id: id, action }) => {
      // With its scope changes what routers translate.
      if (action === 'updated') touched.routersOfSubnetPools.add(id);
    },
  },
} satisfies ResourceDescriptor;

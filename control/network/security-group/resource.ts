import { sql } from 'kysely';
import type { ResourceDescriptor } from '../../kit/resource.ts';

export const securityGroup = {
  noun: 'security_group',
  memberColumns: ['stateful', 'is_default', 'shared'],
  usage: { security_groups: (p) => sql`select count(*) as used from security_group where project_id = ${p}` },
  keepsProject: { except: sql`is_default` },
  wakes: { northbound: (touched, { resource_id: id }) => touched.unit('security_group', id) },
} satisfies ResourceDescriptor;

export const securityGroupRule = {
  noun: 'security_group_rule',
  memberColumns: [
    'security_group_id',
    'direction',
    'ethertype',
    'protocol',
    'port_range_min',
    'port_range_max',
    'remote_group_id',
    'remote_ip_prefix',
    'remote_address_group_id',
  ],
  usage: {
    security_group_rules: (p) => sql`select count(*) as used from security_group_rule where project_id = ${p}`,
  },
  wakes: { northbound: (touched, { body }) => touched.unit('security_group', body.security_group_id) },
} satisfies ResourceDescriptor;

export const defaultSecurityGroupRule = { noun: 'default_security_group_rule' } satisfies ResourceDescriptor;

import { sql } from 'kysely';
import type { ResourceDescriptor } from '../../kit/resource.ts';

export const serverGroup = {
  noun: 'server_group',
  memberColumns: ['user_id', 'policy', 'max_servers_per_host'],
  usage: { server_groups: (p) => sql`select count(*) as used from server_group where project_id = ${p}` },
} satisfies ResourceDescriptor;

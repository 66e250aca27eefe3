import { sql } from 'kysely';
import type { ResourceDescriptor } from '../../kit/resource.ts';

export const volumeGroup = {
  noun: 'volume_group',
  memberColumns: ['user_id', 'group_type_id', 'volume_type_ids', 'availability_zone', 'fault'],
  usage: { volume_groups: (p) => sql`select count(*) as used from volume_group where project_id = ${p}` },
  keepsProject: {},
} satisfies ResourceDescriptor;

import type { ResourceDescriptor } from '../../kit/resource.ts';

export const groupSnapshot = {
  noun: 'group_snapshot',
  memberColumns: ['user_id', 'group_id', 'group_type_id', 'fault'],
  keepsProject: {},
} satisfies ResourceDescriptor;

import type { ResourceDescriptor } from '../../kit/resource.ts';

export const addressScope = {
  noun: 'address_scope',
  memberColumns: ['ip_version', 'shared'],
  keepsProject: {},
} satisfies ResourceDescriptor;

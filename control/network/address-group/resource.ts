import type { ResourceDescriptor } from '../../kit/resource.ts';

export const addressGroup = {
  noun: 'address_group',
  memberColumns: ['addresses', 'shared'],
  keepsProject: {},
  wakes: { northbound: (touched, { resource_id: id }) => touched.unit('address_group', id) },
} satisfies ResourceDescriptor;

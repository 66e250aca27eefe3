import type { ResourceDescriptor } from '../../kit/resource.ts';

export const segment = {
  noun: 'segment',
  wakes: { northbound: (touched, { body }) => touched.unit('network', body.network_id) },
} satisfies ResourceDescriptor;

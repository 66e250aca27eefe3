import type { ResourceDescriptor } from '../../kit/resource.ts';

export const storagePool = {
  noun: 'storage_pool',
  wakes: {
    hosts: (look, { body }) => {
      if (body.declared) look.pools(body.host_id);
    },
  },
} satisfies ResourceDescriptor;

import type { ResourceDescriptor } from '../../kit/resource.ts';

export const volumeLayer = {
  noun: 'volume_layer',
  wakes: {
    // What a host has reported is in no document; of one whose row is gone the host has said so itself.
    hosts: (look, { resource_id: id, body, action, observed_only }) => {
      if (!observed_only && action !== 'deleted') look.layer(id, body.host_id);
    },
  },
} satisfies ResourceDescriptor;

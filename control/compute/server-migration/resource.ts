import type { ResourceDescriptor } from '../../kit/resource.ts';

/** Administrators' alone. */
export const serverMigration: ResourceDescriptor = {
  noun: 'server_migration',
  wakes: {
    // The owner's document and that of the host beside it.
    hosts: (look, { body, action, observed_only }) => {
      if (!observed_only) look.server(String(body.server_id), body.other_host_id, { deleted: action === 'deleted' });
    },
  },
};

import type { ResourceDescriptor } from '../../kit/resource.ts';

export const metadefNamespace: ResourceDescriptor = {
  noun: 'metadef_namespace',
  memberColumns: ['display_name', 'description', 'visibility', 'protected'],
};

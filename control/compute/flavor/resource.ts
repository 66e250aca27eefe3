import type { ResourceDescriptor } from '../../kit/resource.ts';

export const flavor: ResourceDescriptor = { noun: 'flavor' };

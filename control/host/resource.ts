import type { ResourceDescriptor } from '../kit/resource.ts';

export const host: ResourceDescriptor = { noun: 'host' };

import type { ResourceDescriptor } from '../../kit/resource.ts';

/** Administrators' alone. */
export const aggregate: ResourceDescriptor = { noun: 'aggregate' };

import type { ResourceDescriptor } from '../resource.ts';

/** An administrator's decision on what a new history of the database did not account for; see incarnation.ts. */
export const accountedIncarnation: ResourceDescriptor = { noun: 'accounted_incarnation' };

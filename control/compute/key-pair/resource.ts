import type { ResourceDescriptor } from '../../kit/resource.ts';

/** A user's, not a project's. */
export const keyPair: ResourceDescriptor = { noun: 'key_pair', aboutUser: ['user_id'] };

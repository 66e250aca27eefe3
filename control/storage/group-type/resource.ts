import type { ResourceDescriptor } from '../../kit/resource.ts';

export const groupType = { noun: 'group_type' } satisfies ResourceDescriptor;

import type { ResourceDescriptor } from '../../kit/resource.ts';

export const reservePolicy = { noun: 'reserve_policy' } satisfies ResourceDescriptor;

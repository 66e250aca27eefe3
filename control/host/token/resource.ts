import type { ResourceDescriptor } from '../../kit/resource.ts';

export const hostToken = { noun: 'host_token' } satisfies ResourceDescriptor;

import type { ResourceDescriptor } from '../../kit/resource.ts';

export const volumeType = { noun: 'volume_type' } satisfies ResourceDescriptor;

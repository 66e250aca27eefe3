import type { ResourceDescriptor } from '../../kit/resource.ts';

export const volumeLayer = { noun: 'volume_layer' } satisfies ResourceDescriptor;

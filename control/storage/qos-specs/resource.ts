import type { ResourceDescriptor } from '../../kit/resource.ts';

export const qosSpecs = { noun: 'qos_specs' } satisfies ResourceDescriptor;

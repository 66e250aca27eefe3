import type { ResourceDescriptor } from '../../kit/resource.ts';

export const networkFlavor = { noun: 'network_flavor' } satisfies ResourceDescriptor;

export const serviceProfile = { noun: 'service_profile' } satisfies ResourceDescriptor;

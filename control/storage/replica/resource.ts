import type { ResourceDescriptor } from '../../kit/resource.ts';

/** Where it lies and how it fares is for administrators; what its owner may know is in the volume. */
export const volumeReplica = { noun: 'volume_replica' } satisfies ResourceDescriptor;

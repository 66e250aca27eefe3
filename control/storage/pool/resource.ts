import type { ResourceDescriptor } from '../../kit/resource.ts';

export const storagePool = { noun: 'storage_pool' } satisfies ResourceDescriptor;

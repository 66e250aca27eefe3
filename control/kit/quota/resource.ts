import type { ResourceDescriptor } from '../resource.ts';

export const quota: ResourceDescriptor = { noun: 'quota', memberColumns: ['resource', 'maximum'] };

import type { ResourceDescriptor } from '../resource.ts';

export const userQuota: ResourceDescriptor = { noun: 'user_quota' };

export const quota: ResourceDescriptor = { noun: 'quota', memberColumns: ['resource', 'maximum'] };

import type { ResourceDescriptor } from '../../kit/resource.ts';

export const hostStandby = { noun: 'host_standby' } satisfies ResourceDescriptor;

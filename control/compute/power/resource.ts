import type { ResourceDescriptor } from '../../kit/resource.ts';

export const hostBmc = { noun: 'host_bmc' } satisfies ResourceDescriptor;
export const hostPowerOff = { noun: 'host_power_off' } satisfies ResourceDescriptor;

export type { HostConfiguration } from './configuration.ts';
export { type CpuGroups, openCpuGroups, purgeCpuGroups } from './guest/cpu-groups.ts';
export { Host, type HostDependencies } from './host.ts';
export type { HostNetworkPort } from './host-network.ts';
export type { HostLogger } from './logger.ts';
export { type QemuMachine, qemuMachine } from './qemu-machine.ts';
export { findGuests, stopExports, stopGuests } from './stop-guests.ts';
export type { PoolSetting, StorageSetting } from './volume/pool.ts';
export { purgePools } from './volume/purge.ts';

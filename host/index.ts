export { openCpuGroups, purgeCpuGroups } from './guest/cpu-groups.ts';
export { Host } from './host.ts';
export { HostFault } from './host-error.ts';
export type { ObjectDiskSetting, ObjectsSetting } from './object/disks.ts';
export { keepsObjects, purgeObjectDisks } from './object/purge.ts';
export { qemuMachine } from './qemu-machine.ts';
export type { PoolSetting, StorageSetting } from './volume/pool.ts';
export { keepsLayers, purgePools } from './volume/purge.ts';

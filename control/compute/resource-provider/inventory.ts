/** What a host has of each resource class, what of it is kept back and how often it is given out, from its row. Pure. */
import { usuallyReservedMiB, usualRatios } from '../../host/capacity.ts';

export const resourceClasses = ['VCPU', 'MEMORY_MB', 'DISK_GB'] as const;
export type ResourceClass = (typeof resourceClasses)[number];

export interface Inventory {
  total: number;
  reserved: number;
  ratio: number;
  /** What may be handed out, all servers together. */
  capacity: number;
  used: number;
}

/** As {@link providerColumns} reads it. */
export interface InventoryRow {
  /** Null: the host has not said yet what it has; then it has nothing. */
  cpus: number | null;
  total_memory_mib: number | null;
  total_disk_gib: number | null;
  vcpus: number;
  memory_mib: number;
  disk_gib: number;
  vcpus_ratio: number | null;
  memory_ratio: number | null;
  disk_ratio: number | null;
  vcpus_reserved: number | null;
  memory_reserved_mib: number | null;
  disk_reserved_gib: number | null;
  used_vcpus: number;
  used_memory_mib: number;
  used_disk_gib: number;
}

export function inventoriesOf(row: InventoryRow): Record<ResourceClass, Inventory> {
  const memory = row.total_memory_mib ?? 0;
  return {
    VCPU: {
      ...{ total: row.cpus ?? 0, reserved: row.vcpus_reserved ?? 0, ratio: row.vcpus_ratio ?? usualRatios.vcpus },
      ...{ capacity: row.vcpus, used: row.used_vcpus },
    },
    MEMORY_MB: {
      ...{ total: memory, reserved: row.memory_reserved_mib ?? usuallyReservedMiB(memory) },
      ...{ ratio: row.memory_ratio ?? usualRatios.memory, capacity: row.memory_mib, used: row.used_memory_mib },
    },
    DISK_GB: {
      ...{ total: row.total_disk_gib ?? 0, reserved: row.disk_reserved_gib ?? 0 },
      ...{ ratio: row.disk_ratio ?? usualRatios.disk, capacity: row.disk_gib, used: row.used_disk_gib },
    },
  };
}

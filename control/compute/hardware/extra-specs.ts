/**
 * Flavors' extra specs, one a line; names and values are Nova's (nova/api/validation/extra_specs). One with a scope that is not here
 * is refused; a key without a scope is a note.
 */
import { type Asked, already, cpuNumber, flag, notServed, number, type Reader, watchdog, words } from './values.ts';

/** A second; 0 is no limit. */
const diskLimit = (key: keyof NonNullable<Asked['limits']>): Reader =>
  number({ min: 0, max: Number.MAX_SAFE_INTEGER }, (value) => ({ limits: { [key]: value } }));

export const extraSpecs: Readonly<Record<string, Reader>> = {
  'hw:cpu_sockets': cpuNumber('sockets'),
  'hw:cpu_cores': cpuNumber('cores'),
  'hw:cpu_threads': cpuNumber('threads'),
  'hw:cpu_max_sockets': cpuNumber('maxSockets'),
  'hw:cpu_max_cores': cpuNumber('maxCores'),
  'hw:cpu_max_threads': cpuNumber('maxThreads'),
  'hw:max_cpu_sockets': cpuNumber('maxSockets'),
  'hw:max_cpu_cores': cpuNumber('maxCores'),
  'hw:max_cpu_threads': cpuNumber('maxThreads'),
  'hw:cpu_policy': already('shared'),
  'hw:cpu_thread_policy': already('prefer'),
  'hw:emulator_threads_policy': already('share'),
  'hw:cpu_realtime': notServed,
  'hw:mem_page_size': already('small', 'any'),
  'hw:mem_encryption': notServed,
  'hw:locked_memory': notServed,
  'hw:numa_nodes': number({ min: 1, max: 1 }, () => ({})),
  'hw:pci_numa_affinity_policy': already('legacy', 'preferred'),
  'hw:hide_hypervisor_id': flag((hidden) => ({ hidden })),
  'hw:pmu': flag((pmu) => ({ pmu })),
  'hw:boot_menu': flag((bootMenu) => ({ bootMenu })),
  'hw:serial_port_count': number({ min: 1, max: 1 }, () => ({})),
  'hw:tpm_model': words(['tpm-tis', 'tpm-crb'], (tpmModel) => ({ tpmModel })),
  'hw:tpm_version': words(['1.2', '2.0'], (tpmVersion) => ({ tpmVersion })),
  'hw:watchdog_action': watchdog,
  'hw:vif_multiqueue_enabled': notServed,
  'hw:virtio_packed_ring': notServed,
  'hw:viommu_model': already('none'),
  'hw:input_bus': words(['usb', 'virtio'], (input) => ({ tablet: true, input })),
  'hw_rng:allowed': already('true', 'yes', '1'),
  'hw_rng:rate_bytes': number({ min: 1, max: 2 ** 31 - 1 }, (rngBytes) => ({ rngBytes })),
  'hw_rng:rate_period': number({ min: 1, max: 2 ** 31 - 1 }, (rngPeriodMs) => ({ rngPeriodMs })),
  'hw_video:ram_max_mb': number({ min: 0, max: 1024 }, (videoRamMaxMiB) => ({ videoRamMaxMiB })),
  'os:secure_boot': words(['disabled', 'optional', 'required'], (secureBoot) => ({ secureBoot })),
  'quota:disk_read_bytes_sec': diskLimit('bps_rd'),
  'quota:disk_write_bytes_sec': diskLimit('bps_wr'),
  'quota:disk_total_bytes_sec': diskLimit('bps'),
  'quota:disk_read_iops_sec': diskLimit('iops_rd'),
  'quota:disk_write_iops_sec': diskLimit('iops_wr'),
  'quota:disk_total_iops_sec': diskLimit('iops'),
};

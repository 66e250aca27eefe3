/**
 * Flavors' extra specs, one a line; names and values are Nova's (nova/api/validation/extra_specs). Of a scope that Nova knows each one
 * that is not here is refused, with the reason that its scope has. Other scopes, and keys without one, are notes of the operator's own.
 */
import type { UnservedWhy } from '../reasons.ts';
import {
  type Asked,
  already,
  cpuNumber,
  flag,
  never,
  notServed,
  number,
  orNothing,
  type Reader,
  watchdog,
  words,
} from './values.ts';

/** A second; 0 is no limit. */
const diskLimit = (key: keyof NonNullable<Asked['limits']>): Reader =>
  number({ min: 0, max: Number.MAX_SAFE_INTEGER }, (value) => ({ limits: { [key]: value } }));

/** As libvirt takes them, and no more than OVN's meters count; 0 is no limit. */
const cardLimit = (key: keyof NonNullable<Asked['cards']>): Reader =>
  orNothing(
    ['0'],
    number({ min: 1, max: 500_000_000 }, (value) => ({ cards: { [key]: value } })),
  );
/** A meter has one rate and a burst; none beside that. */
const cardPeak = orNothing(['0'], never('no_card_peak'));

/** Less than nothing is no limit; so are numbers beyond what is written out here. */
const cpuQuota: Reader = (text) =>
  /^-\d{1,20}$/.test(text.trim()) ? {} : number({ min: 1000, max: 1e15 }, (cpuQuotaUs) => ({ cpuQuotaUs }))(text);

const hidden = flag((hidden) => ({ hidden }));

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
  'hw:cpu_policy': already('shared_processors', 'shared'),
  'hw:cpu_dedicated_mask': never('shared_processors'),
  'hw:cpu_thread_policy': already('shared_processors', 'prefer'),
  'hw:emulator_threads_policy': already('shared_processors', 'share'),
  'hw:cpu_realtime': notServed('shared_processors'),
  'hw:cpu_realtime_mask': never('shared_processors'),
  'hw:mem_page_size': already('small_pages', 'small', 'any'),
  'hw:mem_encryption': notServed('no_encryption'),
  'hw:mem_encryption_model': never('no_encryption'),
  'hw:ephemeral_encryption': notServed('no_encryption'),
  'hw:ephemeral_encryption_format': never('no_encryption'),
  'hw:locked_memory': notServed('small_pages'),
  'hw:numa_nodes': number({ min: 1, max: 1 }, () => ({}), 'one_numa_node'),
  'hw:pci_numa_affinity_policy': already('one_numa_node', 'legacy', 'preferred'),
  'hw:maxphysaddr_mode': never('value'),
  'hw:maxphysaddr_bits': never('value'),
  'hw:hide_hypervisor_id': hidden,
  // As it was called before it had a scope, which Nova still reads.
  hide_hypervisor_id: hidden,
  'hw:pmu': flag((pmu) => ({ pmu })),
  'hw:pmem': never('no_passthrough'),
  'hw:boot_menu': flag((bootMenu) => ({ bootMenu })),
  'hw:serial_port_count': number({ min: 1, max: 1 }, () => ({})),
  'hw:tpm_model': words(['tpm-tis', 'tpm-crb'], (tpmModel) => ({ tpmModel })),
  'hw:tpm_version': words(['1.2', '2.0'], (tpmVersion) => ({ tpmVersion })),
  // Where a TPM's secret lies: with its host, as its other state.
  'hw:tpm_secret_security': already('value', 'host'),
  'hw:watchdog_action': watchdog,
  'hw:vif_multiqueue_enabled': notServed('no_device'),
  'hw:virtio_packed_ring': notServed('no_device'),
  'hw:viommu_model': already('no_device', 'none'),
  'hw:sound_model': never('no_device'),
  'hw:usb_model': already('no_device', 'none'),
  'hw:redirected_usb_ports': number({ min: 0, max: 0 }, () => ({}), 'no_device'),
  'hw:input_bus': words(['usb', 'virtio'], (input) => ({ tablet: true, input })),
  'hw_rng:allowed': already('value', 'true', 'yes', '1'),
  'hw_rng:rate_bytes': number({ min: 1, max: 2 ** 31 - 1 }, (rngBytes) => ({ rngBytes })),
  'hw_rng:rate_period': number({ min: 1, max: 2 ** 31 - 1 }, (rngPeriodMs) => ({ rngPeriodMs })),
  'hw_video:ram_max_mb': number({ min: 0, max: 1024 }, (videoRamMaxMiB) => ({ videoRamMaxMiB })),
  'os:secure_boot': words(['disabled', 'optional', 'required'], (secureBoot) => ({ secureBoot })),
  // libvirt's bounds, which Nova leaves to it.
  'quota:cpu_shares': number({ min: 2, max: 2 ** 18 }, (cpuShares) => ({ cpuShares })),
  'quota:cpu_period': orNothing(
    ['0'],
    number({ min: 1000, max: 1_000_000 }, (cpuPeriodUs) => ({ cpuPeriodUs })),
  ),
  'quota:cpu_quota': cpuQuota,
  'quota:disk_read_bytes_sec': diskLimit('bps_rd'),
  'quota:disk_write_bytes_sec': diskLimit('bps_wr'),
  'quota:disk_total_bytes_sec': diskLimit('bps'),
  'quota:disk_read_iops_sec': diskLimit('iops_rd'),
  'quota:disk_write_iops_sec': diskLimit('iops_wr'),
  'quota:disk_total_iops_sec': diskLimit('iops'),
  'quota:vif_inbound_average': cardLimit('inboundAverage'),
  'quota:vif_inbound_burst': cardLimit('inboundBurst'),
  'quota:vif_inbound_peak': cardPeak,
  'quota:vif_outbound_average': cardLimit('outboundAverage'),
  'quota:vif_outbound_burst': cardLimit('outboundBurst'),
  'quota:vif_outbound_peak': cardPeak,
  // How numbered groups of `resources` are spread; nothing without them, and they are refused.
  group_policy: already('value', 'none', 'isolate'),
};

/** Nova's scopes, and why what has no line above is not served. The name of a group may follow `resources` and `trait`. */
const scopes: readonly [scope: RegExp, why: UnservedWhy][] = [
  [/^hw:numa_/, 'one_numa_node'],
  [/^(?:hw|hw_rng|hw_video|os|quota):/, 'unknown'],
  [/^(?:aggregate_instance_extra_specs|capabilities):/, 'no_host_filters'],
  [/^(?:resources|trait)(?:[a-zA-Z0-9_-]{1,64})?:/, 'no_host_filters'],
  [/^(?:accel|pci_passthrough):/, 'no_passthrough'],
  [/^(?:vmware|powervm):/, 'other_engine'],
];

/** What only VMware's driver reads (nova/api/validation/extra_specs/quota.py). */
const vmware = /^quota:(?:cpu|memory|disk_io|vif)_(?:limit|reservation|shares_level|shares_share)$/;

const scopeOf = (name: string) => scopes.find(([scope]) => scope.test(name));

export const asksFor = (name: string): boolean => Object.hasOwn(extraSpecs, name) || scopeOf(name) !== undefined;

export const unservedWhy = (name: string): UnservedWhy =>
  vmware.test(name) ? 'other_engine' : (scopeOf(name)?.[1] ?? 'unknown');

/**
 * What Nova takes as a flavor's extra spec from 2.86 on (nova/api/validation/extra_specs): in the scopes that it knows only names that it
 * knows, with values of their form. What of it a machine here serves is another question, which each server's creation answers
 * (control/compute/hardware).
 */
import { Refusal } from '../../boundary/refusal.ts';
import { looseBoolean } from './validate.ts';

/** @returns what is wrong with the value */
type Check = (value: string) => string | undefined;

const anything: Check = () => undefined;
const whole =
  (minimum = Number.NEGATIVE_INFINITY, maximum = Number.POSITIVE_INFINITY): Check =>
  (value) => {
    if (!/^\s*[+-]?\d+\s*$/.test(value)) return 'is not a valid integer value';
    if (Number(value) > maximum) return `is greater than the max value of '${maximum}'`;
    return Number(value) < minimum ? `is less than the min value of '${minimum}'` : undefined;
  };
/** A word that is no boolean to oslo is read as what it is told to read it as. */
const truth: Check = (value) =>
  looseBoolean(value, true) === looseBoolean(value, false) ? undefined : 'is not a valid boolean-like value';
const among =
  (...words: string[]): Check =>
  (value) =>
    words.includes(value) ? undefined : `is not one of: ${words.join(', ')}`;
/** Neither pattern goes back: each step is over characters of its own. */
const like =
  (pattern: RegExp): Check =>
  (value) =>
    pattern.test(value) ? undefined : `is not of the format '${pattern.source}'`;

const fromZero = whole(0);
const fromOne = whole(1);
const processors = like(/^\^?\d+(?:-\d+)?(?:,\^?\d+(?:-\d+)?)*$/);
const level = among('custom', 'high', 'normal', 'low');

const checks: Readonly<Record<string, Check>> = {
  hide_hypervisor_id: truth,
  group_policy: among('isolate', 'none'),
  'accel:device_profile': anything,
  'hw:cpu_realtime': truth,
  'hw:cpu_realtime_mask': processors,
  'hw:hide_hypervisor_id': truth,
  'hw:cpu_policy': among('dedicated', 'shared', 'mixed'),
  'hw:cpu_thread_policy': among('prefer', 'isolate', 'require'),
  'hw:emulator_threads_policy': among('isolate', 'share'),
  'hw:cpu_dedicated_mask': processors,
  'hw:mem_page_size': like(/^(?:large|small|any|\d+(?:[kKMGT]i?)?(?:b|bit|B)?)$/),
  'hw:locked_memory': truth,
  'hw:numa_nodes': fromOne,
  'hw:pci_numa_affinity_policy': among('required', 'preferred', 'legacy', 'socket'),
  'hw:cpu_sockets': fromOne,
  'hw:cpu_cores': fromOne,
  'hw:cpu_threads': fromOne,
  'hw:cpu_max_sockets': fromOne,
  'hw:cpu_max_cores': fromOne,
  'hw:cpu_max_threads': fromOne,
  'hw:boot_menu': truth,
  'hw:vif_multiqueue_enabled': truth,
  'hw:mem_encryption': truth,
  'hw:mem_encryption_model': among('amd-sev', 'amd-sev-es', 'amd-sev-snp'),
  'hw:pmem': like(/^[a-zA-Z0-9_]+(?:,[a-zA-Z0-9_]+)*,?$/),
  'hw:pmu': truth,
  'hw:serial_port_count': fromZero,
  'hw:tpm_model': among('tpm-tis', 'tpm-crb'),
  'hw:tpm_version': among('1.2', '2.0'),
  'hw:tpm_secret_security': among('user', 'host', 'deployment'),
  'hw:watchdog_action': among('none', 'pause', 'poweroff', 'reset', 'disabled'),
  'hw:viommu_model': among('intel', 'smmuv3', 'virtio', 'auto'),
  'hw:virtio_packed_ring': truth,
  'hw:sound_model': among('sb16', 'es1370', 'pcspk', 'ac97', 'ich6', 'ich9', 'usb', 'virtio'),
  'hw:usb_model': among('none', 'nec-xhci', 'qemu-xhci'),
  'hw:redirected_usb_ports': whole(0, 15),
  'hw:ephemeral_encryption': truth,
  'hw:ephemeral_encryption_format': among('plain', 'luks', 'luksv2'),
  'hw_rng:allowed': truth,
  'hw_rng:rate_bytes': fromZero,
  'hw_rng:rate_period': fromZero,
  'hw_video:ram_max_mb': fromZero,
  // Ours takes a third word, as images' own property has it.
  'os:secure_boot': among('disabled', 'optional', 'required'),
  'pci_passthrough:alias': like(/^[^:,]+:\d+(?:\s*,[^:,]+:\d+)*$/),
  'quota:cpu_shares': fromZero,
  'quota:cpu_period': fromZero,
  'quota:cpu_quota': whole(),
  ...Object.fromEntries(
    ['read', 'write', 'total'].flatMap((way) =>
      ['bytes', 'iops'].map((what) => [`quota:disk_${way}_${what}_sec`, fromZero] as const),
    ),
  ),
  ...Object.fromEntries(
    ['inbound', 'outbound'].flatMap((way) =>
      ['average', 'peak', 'burst'].map((what) => [`quota:vif_${way}_${what}`, fromZero] as const),
    ),
  ),
  ...Object.fromEntries(
    ['cpu', 'memory', 'disk_io', 'vif'].flatMap((what) => [
      [`quota:${what}_limit`, fromZero] as const,
      [`quota:${what}_reservation`, whole()] as const,
      [`quota:${what}_shares_level`, level] as const,
      [`quota:${what}_shares_share`, fromZero] as const,
    ]),
  ),
  'vmware:hw_version': anything,
  'vmware:storage_policy': anything,
};

/** What Nova's scheduler knows of a host; what has parts of its own may go on. */
const capabilities = new RegExp(
  `^capabilities:(?:${`id uuid service_id host vcpus memory_mb local_gb vcpus_used memory_mb_used local_gb_used hypervisor_type
  hypervisor_version hypervisor_hostname free_ram_mb free_disk_gb current_workload running_vms disk_available_least host_ip
  mapped cpu_allocation_ratio ram_allocation_ratio disk_allocation_ratio total_usable_ram_mb total_usable_disk_gb
  disk_mb_used free_disk_mb vcpus_total num_instances num_io_ops failed_builds aggregates cell_uuid updated`
    .split(/\s+/)
    .join('|')}|(?:${`cpu_info metrics stats numa_topology supported_hv_specs pci_device_pools nodename pci_stats
  supported_instances limits instances`
    .split(/\s+/)
    .join('|')})(?::\\w+)*)$`,
);

/** Names that say something themselves. */
const families: readonly [name: RegExp, check: Check][] = [
  [/^hw:numa_cpus\.\d+$/, processors],
  [/^hw:numa_mem\.\d+$/, fromOne],
  [/^aggregate_instance_extra_specs:.+$/, anything],
  [capabilities, anything],
  [/^resources[a-zA-Z0-9_-]{0,64}:[A-Z0-9_]+$/, whole()],
  [/^trait[a-zA-Z0-9_-]{0,64}:[A-Z0-9_]+$/, among('required', 'forbidden')],
];

const scope =
  /^(?:accel|aggregate_instance_extra_specs|capabilities|hw|hw_rng|hw_video|os|pci_passthrough|quota|resources[a-zA-Z0-9_-]{0,64}|trait[a-zA-Z0-9_-]{0,64}|vmware):/;

/** @throws Refusal in Nova's words */
export function requireExtraSpecs(specs: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(specs)) {
    const check = Object.hasOwn(checks, name) ? checks[name] : families.find(([form]) => form.test(name))?.[1];
    if (check === undefined) {
      if (!scope.test(name)) continue;
      throw new Refusal('invalid', `Validation failed; extra spec '${name}' does not appear to be a valid extra spec.`);
    }
    const wrong = check(value);
    if (wrong !== undefined) throw new Refusal('invalid', `Validation failed; '${value}' ${wrong}.`);
  }
}

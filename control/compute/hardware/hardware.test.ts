import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasReason } from '../../../contract/errors.ts';
import { guestHardware } from '../../../contract/host/index.ts';
import { read } from '../../../contract/schema/read.ts';
import type { UnservedWhy } from '../reasons.ts';
import { extraSpecs } from './extra-specs.ts';
import { hardwareDocument, hardwareOf, recoveredHardware, resizedHardware } from './hardware.ts';
import { imageProperties, legacyNames } from './image-properties.ts';
import { Unserved } from './values.ts';

const flavor = (extra_specs: Record<string, string> = {}, vcpus = 4) => ({ vcpus, extra_specs });

const served: [properties: Record<string, string>, specs: Record<string, string>, hardware: object][] = [
  [{}, {}, {}],
  [{ speed: '88mph', os_distro: 'debian', owner_specified: 'x' }, { note: 'mine' }, {}],
  [
    { hw_disk_bus: 'scsi', hw_scsi_model: 'virtio-scsi', hw_cdrom_bus: 'sata' },
    {},
    { diskBus: 'scsi', cdromBus: 'sata' },
  ],
  [{ hw_vif_model: 'e1000e' }, {}, { networkModel: 'e1000e' }],
  [{ hw_firmware_type: 'uefi' }, {}, { firmware: 'uefi' }],
  [{ hw_firmware_type: 'uefi', os_secure_boot: 'required' }, {}, { firmware: 'uefi-secure' }],
  [{ hw_firmware_type: 'uefi' }, { 'os:secure_boot': 'required' }, { firmware: 'uefi-secure' }],
  [{ os_secure_boot: 'optional' }, {}, {}],
  [{ hw_tpm_model: 'tpm-crb', hw_tpm_version: '2.0' }, {}, { tpm: { model: 'tpm-crb', version: '2.0' } }],
  [{}, { 'hw:tpm_version': '2.0' }, { tpm: { model: 'tpm-tis', version: '2.0' } }],
  [{ hw_machine_type: 'q35' }, {}, {}],
  [{ hw_machine_type: 'pc-q35-7.1' }, {}, { machine_type: 'pc-q35-7.1' }],
  [{ hw_video_model: 'vga', hw_video_ram: '64' }, { 'hw_video:ram_max_mb': '64' }, { video: 'vga', videoRamMiB: 64 }],
  [{ hw_pointer_model: 'usbtablet' }, {}, { pointer: 'usb' }],
  [{ hw_input_bus: 'virtio' }, {}, { pointer: 'virtio' }],
  [{ hw_watchdog_action: 'reset' }, {}, { watchdog: 'reset' }],
  [{ hw_watchdog_action: 'disabled' }, { 'hw:watchdog_action': 'pause' }, { watchdog: 'pause' }],
  [
    { hw_qemu_guest_agent: 'yes', os_type: 'windows' },
    {},
    { guest_agent: true, admin_user: 'Administrator', clock: 'localtime' },
  ],
  [{}, { 'hw:cpu_sockets': '1', 'hw:cpu_threads': '2' }, { topology: { sockets: 1, cores: 2, threads: 2 } }],
  [{ hw_cpu_max_sockets: '2' }, {}, { topology: { sockets: 2, cores: 2, threads: 1 } }],
  [{}, { 'hw_rng:rate_bytes': '10', 'hw_rng:rate_period': '20' }, { rng: { bytes: 10, periodMs: 20 } }],
  [
    {},
    { 'quota:disk_read_iops_sec': '100' },
    { diskLimits: { bps: 0, bps_rd: 0, bps_wr: 0, iops: 0, iops_rd: 100, iops_wr: 0 } },
  ],
  [{ architecture: 'x86_64', hypervisor_type: 'qemu', vm_mode: 'hvm' }, {}, {}],
  [{ os_shutdown_timeout: '30' }, {}, { shutdownSeconds: 30 }],
  [{}, { 'quota:cpu_shares': '512' }, { cpuLimits: { shares: 512 } }],
  [{}, { 'quota:cpu_quota': '10000' }, { cpuLimits: { quotaUs: 10_000, periodUs: 100_000 } }],
  [
    {},
    { 'quota:cpu_quota': '10000', 'quota:cpu_period': '20000', 'quota:cpu_shares': '2' },
    { cpuLimits: { shares: 2, quotaUs: 10_000, periodUs: 20_000 } },
  ],
  [{}, { 'quota:cpu_quota': '-1', 'quota:cpu_period': '0' }, {}],
  [{}, { 'quota:cpu_quota': '20000', 'quota:cpu_period': '20000' }, {}],
  [{ os_type: 'Windows', os_distro: '小屋' }, {}, { clock: 'localtime' }],
  [{ os_require_quiesce: 'yes' }, {}, { requireQuiesce: true }],
  [{ img_signature: 'x', img_use_agent: 'yes', root_device_name: '/dev/vda', bdm_v2: 'True', mappings: '[]' }, {}, {}],
  [{ img_config_drive: 'mandatory', os_command_line: '', kernel_id: 'nokernel', hw_floppy_bus: 'fdc' }, {}, {}],
  [{ img_hide: 'me', os_family: 'BSD', 'traits:X': 'required', hwloc: '1' }, {}, {}],
  [{}, { 'hw:cpu_policy': 'shared', 'hw:mem_page_size': 'small', 'hw:numa_nodes': '1' }, {}],
  [{}, { hide_hypervisor_id: 'true', group_policy: 'none' }, { hidden: true }],
  [
    {},
    { 'quota:vif_inbound_average': '1000', 'quota:vif_outbound_average': '32', 'quota:vif_outbound_burst': '64' },
    { card_limits: { inbound: { rate_kbit: 8000, burst_kbit: 6400 }, outbound: { rate_kbit: 256, burst_kbit: 525 } } },
  ],
  [{}, { 'quota:vif_inbound_average': '0', 'quota:vif_inbound_peak': '0' }, {}],
  [{}, { 'shop:price': '7', cores: '3', 'constructor:x': '1', toString: '' }, {}],
  [
    { hw_pmu: 'false', img_hide_hypervisor_id: 'True', hw_time_hpet: '1' },
    {},
    { pmu: false, hidden: true, hpet: true },
  ],
];

for (const [properties, specs, expected] of served) {
  test(`served: ${JSON.stringify({ ...properties, ...specs })}`, () => {
    const { image: _, ...hardware } = hardwareOf(properties, flavor(specs));
    assert.deepEqual(hardware, expected);
    assert.deepEqual(read(guestHardware, hardwareDocument(hardware)), hardwareDocument(hardware), 'a host is told it');
  });
}

type Refusal = [of: 'image' | 'flavor', name: string, value: string, why: UnservedWhy, beside?: Record<string, string>];

const refused: Refusal[] = [
  ['image', 'hw_machine_type', 'pc', 'value'],
  ['image', 'hw_disk_bus', 'xen', 'value'],
  ['image', 'hw_cpu_policy', 'dedicated', 'shared_processors'],
  ['image', 'hw_cpu_policy', 'mixed', 'shared_processors'],
  ['image', 'hw_cpu_thread_policy', 'isolate', 'shared_processors'],
  ['image', 'hw_emulator_threads_policy', 'isolate', 'shared_processors'],
  ['image', 'hw_cpu_realtime_mask', '^0', 'shared_processors'],
  ['image', 'hw_mem_page_size', 'large', 'small_pages'],
  ['image', 'hw_numa_nodes', '2', 'one_numa_node'],
  ['image', 'hw_numa_mem.0', '512', 'one_numa_node'],
  ['image', 'hw_what_is_to_come', 'x', 'unknown'],
  ['image', 'hw_qemu_guest_agent', 'perhaps', 'value'],
  ['image', 'hw_vif_multiqueue_enabled', 'true', 'no_device'],
  ['image', 'hw_sound_model', 'ich9', 'no_device'],
  ['image', 'hw_mem_encryption_model', 'amd-sev', 'no_encryption'],
  ['image', 'hw_tpm_model', 'tpm-tis', 'beside'],
  ['image', 'hw_tpm_version', '1.2', 'beside', { hw_tpm_model: 'tpm-crb' }],
  ['image', 'os_secure_boot', 'required', 'beside'],
  ['image', 'hw_video_ram', '64', 'beside'],
  ['image', 'hw_video_ram', '513', 'value'],
  ['image', 'hw_video_model', '__proto__', 'value'],
  ['image', 'hw_architecture', 'aarch64', 'value'],
  ['image', 'img_hv_type', 'vmware', 'other_engine'],
  ['image', 'img_hv_requested_version', '>=2.6', 'no_host_filters'],
  ['image', 'img_config_drive', 'sometimes', 'value'],
  ['image', 'img_block_device_mapping', '[{"snapshot_id": "x"}]', 'no_device'],
  ['image', 'os_type', 'plan9', 'value'],
  ['image', 'os_command_line', 'quiet', 'no_kernel'],
  ['image', 'kernel_id', 'b2173dd3-7ad6-4362-baa6-a68bce3565cb', 'no_kernel'],
  ['image', 'vmware_adaptertype', 'ide', 'other_engine'],
  ['image', 'trait:HW_CPU_X86_AVX', 'forbidden', 'value'],
  ['image', 'trait:hw_cpu', 'required', 'no_host_filters'],
  ['flavor', 'hw:cpu_policy', 'dedicated', 'shared_processors'],
  ['flavor', 'hw:cpu_policy', 'mixed', 'shared_processors'],
  ['flavor', 'hw:cpu_dedicated_mask', '^0', 'shared_processors'],
  ['flavor', 'hw:cpu_thread_policy', 'require', 'shared_processors'],
  ['flavor', 'hw:emulator_threads_policy', 'isolate', 'shared_processors'],
  ['flavor', 'hw:cpu_realtime', 'yes', 'shared_processors'],
  ['flavor', 'hw:mem_page_size', 'large', 'small_pages'],
  ['flavor', 'hw:mem_page_size', '2MB', 'small_pages'],
  ['flavor', 'hw:locked_memory', 'true', 'small_pages'],
  ['flavor', 'hw:numa_nodes', '2', 'one_numa_node'],
  ['flavor', 'hw:numa_cpus.0', '0,1', 'one_numa_node'],
  ['flavor', 'hw:no_such', '1', 'unknown'],
  ['flavor', 'quota:cpu_shares', '1', 'value'],
  ['flavor', 'quota:cpu_shares', '262145', 'value'],
  ['flavor', 'quota:cpu_period', '999', 'value'],
  ['flavor', 'quota:cpu_quota', '999', 'value'],
  ['flavor', 'quota:cpu_quota', 'half', 'value'],
  ['flavor', 'quota:cpu_limit', '10', 'other_engine'],
  ['flavor', 'quota:vif_inbound_peak', '10', 'no_card_peak', { 'quota:vif_inbound_average': '5' }],
  ['flavor', 'quota:vif_outbound_peak', '10', 'no_card_peak'],
  ['flavor', 'quota:vif_outbound_burst', '10', 'beside', { 'quota:vif_inbound_average': '10' }],
  ['flavor', 'quota:vif_outbound_average', '500000001', 'value'],
  ['flavor', 'quota:vif_outbound_average', '-1', 'value'],
  ['flavor', 'quota:vif_inbound_bursts', '10', 'unknown'],
  ['flavor', 'trait:HW_CPU_X86_AVX', 'preferred', 'value'],
  ['flavor', 'trait1:CUSTOM_GOLD', 'forbidden', 'no_host_filters'],
  ['flavor', 'resources:VCPU', '0', 'no_host_filters'],
  ['flavor', 'resources_A:CUSTOM_GOLD', '1', 'no_host_filters'],
  ['flavor', 'capabilities:hypervisor_type', 's== QEMU', 'no_host_filters'],
  ['flavor', 'aggregate_instance_extra_specs:ssd', '>=', 'value'],
  ['flavor', 'aggregate_instance_extra_specs:ssd', '', 'value'],
  ['flavor', 'accel:device_profile', 'gpu', 'no_passthrough'],
  ['flavor', 'pci_passthrough:alias', 'gpu:1', 'no_passthrough'],
  ['flavor', 'vmware:hw_version', 'vmx-13', 'other_engine'],
  ['flavor', 'quota:disk_read_iops_sec', '-1', 'value'],
];

for (const [of, name, value, why, beside] of refused) {
  test(`refused by name: ${name}=${value} of the ${of}`, () => {
    const texts = { [name]: value, ...beside };
    assert.throws(
      () => (of === 'image' ? hardwareOf(texts, flavor()) : hardwareOf({}, flavor(texts))),
      (error) => {
        assert.ok(hasReason(error, 'hardware_unserved'));
        assert.deepEqual([error.code, error.fields], ['invalid', { of, name, value, why }]);
        return true;
      },
    );
  });
}

test('an older name says the same as the present one, which goes before it', () => {
  assert.throws(() => hardwareOf({ architecture: 'aarch64' }, flavor()), { reason: 'hardware_unserved' });
  assert.deepEqual(hardwareOf({ architecture: 'aarch64', hw_architecture: 'x86_64' }, flavor()).image, {
    hw_architecture: 'x86_64',
  });
});

const together: [name: string, properties: Record<string, string>, specs: Record<string, string>][] = [
  [
    'quota:disk_total_bytes_sec',
    {},
    { 'quota:disk_total_bytes_sec': '10', 'quota:disk_read_bytes_sec': '5', 'quota:disk_write_bytes_sec': '0' },
  ],
  ['quota:disk_total_iops_sec', {}, { 'quota:disk_total_iops_sec': '10', 'quota:disk_write_iops_sec': '5' }],
  ['hw_video_ram', { hw_video_model: 'cirrus', hw_video_ram: '3' }, { 'hw_video:ram_max_mb': '64' }],
  ['hw_video_ram', { hw_video_model: 'cirrus', hw_video_ram: '32' }, { 'hw_video:ram_max_mb': '64' }],
];

for (const [name, properties, specs] of together) {
  test(`what QEMU does not start with is refused by name: ${JSON.stringify({ ...properties, ...specs })}`, () => {
    assert.throws(
      () => hardwareOf(properties, flavor(specs)),
      (error) => hasReason(error, 'hardware_unserved') && error.fields.name === name,
    );
  });
}

test('limits of a kind are those of all, or of what is read and what is written', () => {
  const limits = {
    'quota:disk_total_bytes_sec': '0',
    'quota:disk_read_bytes_sec': '5',
    'quota:disk_total_iops_sec': '9',
  };
  assert.deepEqual(hardwareOf({}, flavor(limits)).diskLimits, {
    ...{ bps: 0, bps_rd: 5, bps_wr: 0, iops: 9, iops_rd: 0, iops_wr: 0 },
  });
});

test('as many processors as there can be are divided at once', () => {
  const started = process.cpuUsage().user;
  assert.deepEqual(hardwareOf({}, flavor({ 'hw:cpu_threads': '2' }, 2 ** 30)).topology, {
    ...{ sockets: 2 ** 29, cores: 1, threads: 2 },
  });
  assert.throws(() => hardwareOf({}, flavor({ 'hw:cpu_threads': '2' }, 2 ** 31 - 1)), { reason: 'topology_unserved' });
  assert.ok(process.cpuUsage().user - started < 500_000);
});

test('processors that can not be divided as asked are refused', () => {
  assert.throws(() => hardwareOf({}, flavor({ 'hw:cpu_cores': '3' })), { reason: 'topology_unserved' });
});

test('what the image asked for stays with another flavor, what the flavor asked for does not', () => {
  const before = hardwareOf(
    { hw_disk_bus: 'sata', hw_qemu_guest_agent: 'yes', os_admin_user: '小屋' },
    flavor({ 'hw:boot_menu': 'yes' }),
  );
  const { image: _, ...after } = resizedHardware(before, flavor({ 'hw:watchdog_action': 'none' }));
  assert.deepEqual(after, { diskBus: 'sata', guest_agent: true, admin_user: '小屋', watchdog: 'none' });
  assert.deepEqual(resizedHardware({ guest_agent: true, admin_user: 'root' }, flavor()), {
    guest_agent: true,
    admin_user: 'root',
  });
});

test('what a host was told is known again from its document', () => {
  const { image: _, ...told } = hardwareOf({ hw_disk_bus: 'scsi', hw_qemu_guest_agent: 'yes' }, flavor());
  const { admin_user: __, ...expected } = told;
  assert.deepEqual(recoveredHardware(hardwareDocument(told)), expected);
});

/** nova/objects/image_meta.py, ImageMetaProps.fields: all that Nova reads of an image. */
const novasProperties =
  `hw_architecture hw_emulation_architecture hw_auto_disk_config hw_boot_menu hw_cdrom_bus hw_cpu_cores
  hw_cpu_sockets hw_cpu_max_cores hw_cpu_max_sockets hw_cpu_max_threads hw_cpu_policy hw_cpu_thread_policy hw_cpu_realtime_mask
  hw_cpu_threads hw_device_id hw_disk_bus hw_disk_type hw_floppy_bus hw_firmware_type hw_firmware_stateless hw_input_bus hw_ipxe_boot
  hw_locked_memory hw_machine_type hw_mem_encryption hw_mem_encryption_model hw_mem_page_size hw_numa_nodes
  hw_pci_numa_affinity_policy hw_pointer_model hw_pmu hw_qemu_guest_agent hw_rescue_bus hw_rescue_device hw_rng_model hw_time_hpet
  hw_serial_port_count hw_scsi_model hw_video_model hw_video_ram hw_vif_model hw_viommu_model hw_vm_mode hw_watchdog_action
  hw_vif_multiqueue_enabled hw_tpm_model hw_tpm_version hw_ephemeral_encryption hw_ephemeral_encryption_format
  hw_ephemeral_encryption_secret_uuid hw_virtio_packed_ring hw_maxphysaddr_mode hw_maxphysaddr_bits hw_sound_model hw_usb_model
  hw_redirected_usb_ports img_bittorrent img_bdm_v2 img_block_device_mapping img_cache_in_nova img_compression_level
  img_hv_requested_version img_hv_type img_config_drive img_linked_clone img_mappings img_owner_id img_root_device_name img_use_agent
  img_version img_signature img_signature_hash_method img_signature_certificate_uuid img_signature_key_type img_hide_hypervisor_id
  os_admin_user os_command_line os_distro os_require_quiesce os_secure_boot os_skip_agent_inject_files_at_boot
  os_skip_agent_inject_ssh os_type`.split(/\s+/);

test('every image property that Nova reads has its line, and every older name leads to one', () => {
  const lines = new Set(Object.keys(imageProperties));
  assert.deepEqual(new Set([...novasProperties, ...Object.values(legacyNames)]).difference(lines), new Set());
});

test('every text is read, or refused: none breaks a reader', () => {
  for (const reader of [...Object.values(imageProperties), ...Object.values(extraSpecs)]) {
    for (const value of ['', ' ', '0', '-1', '1e9', 'NaN', 'true', '小屋', '\u0000', 'x'.repeat(70_000)]) {
      try {
        reader(value);
      } catch (error) {
        assert.ok(error instanceof Unserved, String(error));
      }
    }
  }
});

test('what flavor and image ask of hosts is kept for placement, and no host hears of it', () => {
  const extra_specs = {
    'trait:CUSTOM_GOLD': 'required',
    'trait:CUSTOM_LOUD': 'forbidden',
    'aggregate_instance_extra_specs:ssd': '<or> true <or> yes',
  };
  const hardware = hardwareOf(
    { 'trait:HW_CPU_X86_AVX': 'required', 'trait:CUSTOM_GOLD': 'required' },
    { vcpus: 1, extra_specs },
  );
  assert.deepEqual(hardware.host_wish, {
    required: ['HW_CPU_X86_AVX', 'CUSTOM_GOLD'],
    forbidden: ['CUSTOM_LOUD'],
    aggregate: { ssd: '<or> true <or> yes' },
  });
  assert.equal(JSON.stringify(hardwareDocument(hardware)).includes('GOLD'), false);
});

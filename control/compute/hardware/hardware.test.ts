import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasReason } from '../../../contract/errors.ts';
import { guestHardware } from '../../../contract/host/index.ts';
import { read } from '../../../contract/schema/read.ts';
import { extraSpecs } from './extra-specs.ts';
import { hardwareDocument, hardwareOf, recoveredHardware, resizedHardware } from './hardware.ts';
import { imageProperties } from './image-properties.ts';

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
  [{ hw_qemu_guest_agent: 'yes', os_type: 'windows' }, {}, { guest_agent: true, admin_user: 'Administrator' }],
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

const refused: [of: 'image' | 'flavor', name: string, value: string, beside?: Record<string, string>][] = [
  ['image', 'hw_machine_type', 'pc'],
  ['image', 'hw_disk_bus', 'xen'],
  ['image', 'hw_cpu_policy', 'dedicated'],
  ['image', 'hw_numa_nodes', '2'],
  ['image', 'hw_what_is_to_come', 'x'],
  ['image', 'hw_qemu_guest_agent', 'perhaps'],
  ['image', 'hw_vif_multiqueue_enabled', 'true'],
  ['image', 'hw_tpm_model', 'tpm-tis'],
  ['image', 'hw_tpm_version', '1.2', { hw_tpm_model: 'tpm-crb' }],
  ['image', 'os_secure_boot', 'required'],
  ['image', 'hw_video_ram', '64'],
  ['image', 'hw_video_ram', '513'],
  ['image', 'hw_video_model', '__proto__'],
  ['image', 'hw_architecture', 'aarch64'],
  ['flavor', 'hw:mem_page_size', 'large'],
  ['flavor', 'quota:cpu_shares', '10'],
  ['flavor', 'quota:vif_inbound_average', '10'],
  ['flavor', 'trait:HW_CPU_X86_AVX', 'required'],
  ['flavor', 'quota:disk_read_iops_sec', '-1'],
  ['flavor', 'constructor:x', '1'],
];

for (const [of, name, value, beside] of refused) {
  test(`refused by name: ${name}=${value} of the ${of}`, () => {
    const texts = { [name]: value, ...beside };
    assert.throws(
      () => (of === 'image' ? hardwareOf(texts, flavor()) : hardwareOf({}, flavor(texts))),
      (error) => hasReason(error, 'hardware_unserved') && error.code === 'invalid' && error.fields.name === name,
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

test('no reader takes every word', () => {
  const free = new Set(['hw_disk_type', 'hw_auto_disk_config', 'hw_device_id']);
  for (const [name, reader] of Object.entries({ ...imageProperties, ...extraSpecs })) {
    if (!free.has(name)) assert.throws(() => reader('no such 小屋'), { message: /./ }, name);
  }
});

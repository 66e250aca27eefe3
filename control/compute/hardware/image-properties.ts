/**
 * Image properties that Nova knows, one a line; names and values are Nova's (nova/objects/image_meta.py). A property whose name begins
 * with `hw_` or `trait:` and that is not here is refused; any other is its owner's own, and says nothing, as in Nova.
 */
import { networkModels, videoModels } from '../../../contract/host/index.ts';
import type { UnservedWhy } from '../reasons.ts';
import {
  already,
  cpuNumber,
  empty,
  flag,
  never,
  notServed,
  number,
  ofOthers,
  type Reader,
  shownOnly,
  Unserved,
  watchdog,
  words,
} from './values.ts';

const machineType: Reader = (value) => {
  if (value === 'q35') return {};
  if (!/^pc-q35-\d{1,3}(\.\d{1,3}){1,2}$/.test(value)) throw new Unserved('value', 'no q35');
  return { machine_type: value };
};

const architecture = already('value', 'x86_64', 'amd64', 'i686', 'i386');

const machine: Readonly<Record<string, Reader>> = {
  hw_architecture: architecture,
  hw_emulation_architecture: architecture,
  hw_vm_mode: already('value', 'hvm'),
  hw_machine_type: machineType,
  hw_firmware_type: words(['bios', 'uefi'], (firmware) => ({ firmware })),
  hw_firmware_stateless: notServed('no_device'),
  hw_disk_bus: words(['virtio', 'scsi', 'sata'], (diskBus) => ({ diskBus })),
  hw_cdrom_bus: words(['scsi', 'sata'], (cdromBus) => ({ cdromBus })),
  // Where a floppy would be: no server has one.
  hw_floppy_bus: words(['fdc', 'ide', 'sata', 'scsi', 'usb', 'virtio'], () => ({})),
  hw_scsi_model: already('value', 'virtio-scsi'),
  hw_vif_model: words(networkModels, (networkModel) => ({ networkModel })),
  hw_vif_multiqueue_enabled: notServed('no_device'),
  hw_cpu_sockets: cpuNumber('sockets'),
  hw_cpu_cores: cpuNumber('cores'),
  hw_cpu_threads: cpuNumber('threads'),
  hw_cpu_max_sockets: cpuNumber('maxSockets'),
  hw_cpu_max_cores: cpuNumber('maxCores'),
  hw_cpu_max_threads: cpuNumber('maxThreads'),
  hw_cpu_policy: already('shared_processors', 'shared'),
  hw_cpu_thread_policy: already('shared_processors', 'prefer'),
  hw_emulator_threads_policy: already('shared_processors', 'share'),
  hw_cpu_realtime: notServed('shared_processors'),
  hw_cpu_realtime_mask: never('shared_processors'),
  hw_mem_page_size: already('small_pages', 'small', 'any'),
  hw_mem_encryption: notServed('no_encryption'),
  hw_mem_encryption_model: never('no_encryption'),
  hw_locked_memory: notServed('small_pages'),
  hw_numa_nodes: number({ min: 1, max: 1 }, () => ({}), 'one_numa_node'),
  hw_pci_numa_affinity_policy: already('one_numa_node', 'legacy', 'preferred'),
  hw_maxphysaddr_mode: never('value'),
  hw_maxphysaddr_bits: never('value'),
  hw_ephemeral_encryption: notServed('no_encryption'),
  hw_ephemeral_encryption_format: never('no_encryption'),
  hw_ephemeral_encryption_secret_uuid: never('no_encryption'),
  hw_pmu: flag((pmu) => ({ pmu })),
  hw_time_hpet: flag((hpet) => ({ hpet })),
  hw_tpm_model: words(['tpm-tis', 'tpm-crb'], (tpmModel) => ({ tpmModel })),
  hw_tpm_version: words(['1.2', '2.0'], (tpmVersion) => ({ tpmVersion })),
  hw_video_model: words(videoModels, (video) => ({ video })),
  // More than this QEMU's cards do not take, and say nothing.
  hw_video_ram: number({ min: 1, max: 512 }, (videoRamMiB) => ({ videoRamMiB })),
  hw_rng_model: already('value', 'virtio'),
  hw_watchdog_action: watchdog,
  hw_qemu_guest_agent: flag((guest_agent) => (guest_agent ? { guest_agent } : {})),
  hw_boot_menu: flag((bootMenu) => ({ bootMenu })),
  hw_pointer_model: words(['ps2mouse', 'usbtablet'], (model) => ({ tablet: model === 'usbtablet' })),
  hw_input_bus: words(['usb', 'virtio'], (input) => ({ tablet: true, input })),
  hw_serial_port_count: number({ min: 1, max: 1 }, () => ({})),
  hw_virtio_packed_ring: notServed('no_device'),
  hw_viommu_model: already('no_device', 'none'),
  hw_sound_model: never('no_device'),
  hw_usb_model: already('no_device', 'none'),
  hw_ipxe_boot: notServed('no_device'),
  hw_redirected_usb_ports: number({ min: 0, max: 0 }, () => ({}), 'no_device'),
  // Of the rescue that such an image is for: its disk is a disk like the first.
  hw_rescue_bus: already('value', 'virtio'),
  hw_rescue_device: already('value', 'disk'),
  // Glance's and other engines': VMware's, Xen's, Hyper-V's.
  hw_disk_type: ofOthers,
  hw_auto_disk_config: ofOthers,
  hw_device_id: ofOthers,
};

const useOfImage: Readonly<Record<string, Reader>> = {
  img_hv_type: already('other_engine', 'kvm', 'qemu'),
  img_hv_requested_version: empty('no_host_filters'),
  img_hide_hypervisor_id: flag((hidden) => ({ hidden })),
  // What asks for one is server/create.ts.
  img_config_drive: words(['mandatory', 'optional'], () => ({})),
  // Disks that an image brings along are snapshots of volumes, or names of Amazon's first machines.
  img_block_device_mapping: empty('no_device', '[]'),
  img_mappings: empty('no_device', '[]'),
  // How the list above is written; nothing without it.
  img_bdm_v2: flag(() => ({})),
  // Who QEMU's first disk is to a guest, the guest decides; Nova's driver too writes its own over it.
  img_root_device_name: shownOnly,
  img_owner_id: shownOnly,
  // Nova looks at them only where its operator has it do so (verify_glance_signatures); nobody asks by them for a check.
  img_signature: shownOnly,
  img_signature_hash_method: shownOnly,
  img_signature_certificate_uuid: shownOnly,
  img_signature_key_type: shownOnly,
  // VMware's and Xen's.
  img_bittorrent: ofOthers,
  img_cache_in_nova: ofOthers,
  img_compression_level: ofOthers,
  img_linked_clone: ofOthers,
  img_use_agent: ofOthers,
  img_version: ofOthers,
  // It would make of the disk's bus what no machine here has.
  vmware_adaptertype: never('other_engine'),
};

const guestSystem: Readonly<Record<string, Reader>> = {
  // Windows takes the machine's clock for its local time.
  os_type: words(['linux', 'windows'], (type) => (type === 'windows' ? { clock: 'localtime' } : {})),
  os_distro: shownOnly,
  os_version: shownOnly,
  // Whose password is meant, see hardware.ts.
  os_admin_user: shownOnly,
  os_secure_boot: words(['disabled', 'optional', 'required'], (secureBoot) => ({ secureBoot })),
  os_require_quiesce: flag((requireQuiesce) => (requireQuiesce ? { requireQuiesce } : {})),
  os_shutdown_timeout: number({ min: 1, max: 86_400 }, (shutdownSeconds) => ({ shutdownSeconds })),
  // A kernel of its own is no image of a disk.
  os_command_line: empty('no_kernel'),
  kernel_id: empty('no_kernel', 'nokernel'),
  ramdisk_id: empty('no_kernel'),
  // Of Xen's agent.
  os_skip_agent_inject_files_at_boot: ofOthers,
  os_skip_agent_inject_ssh: ofOthers,
};

export const imageProperties: Readonly<Record<string, Reader>> = { ...machine, ...useOfImage, ...guestSystem };

/** Families of which every name asks for something: one that is not above is refused. Traits are of hosts, in Nova's placement. */
export const askingFamilies = /^(?:hw_|trait:)/;

/** Why one of them that has no line is refused. */
export function unservedProperty(name: string): UnservedWhy {
  if (name.startsWith('trait:')) return 'no_host_filters';
  return name.startsWith('hw_numa_') ? 'one_numa_node' : 'unknown';
}

/** What they were called before (nova/objects/image_meta.py, _legacy_property_map). */
export const legacyNames: Readonly<Record<string, string>> = {
  architecture: 'hw_architecture',
  auto_disk_config: 'hw_auto_disk_config',
  bdm_v2: 'img_bdm_v2',
  bittorrent: 'img_bittorrent',
  block_device_mapping: 'img_block_device_mapping',
  cache_in_nova: 'img_cache_in_nova',
  hypervisor_type: 'img_hv_type',
  hypervisor_version_requires: 'img_hv_requested_version',
  ipxe_boot: 'hw_ipxe_boot',
  mappings: 'img_mappings',
  owner_id: 'img_owner_id',
  root_device_name: 'img_root_device_name',
  vm_mode: 'hw_vm_mode',
  vmware_disktype: 'hw_disk_type',
  vmware_image_version: 'img_version',
  vmware_linked_clone: 'img_linked_clone',
  vmware_ostype: 'os_distro',
  xenapi_device_id: 'hw_device_id',
  xenapi_image_compression_level: 'img_compression_level',
  xenapi_skip_agent_inject_files_at_boot: 'os_skip_agent_inject_files_at_boot',
  xenapi_skip_agent_inject_ssh: 'os_skip_agent_inject_ssh',
  xenapi_use_agent: 'img_use_agent',
};

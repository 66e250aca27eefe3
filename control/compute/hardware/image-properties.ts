/**
 * Image properties about the machine, one a line; names and values are Nova's (nova/objects/image_meta.py). A property whose name begins
 * with `hw_` and that is not here is refused.
 */
import { networkModels, videoModels } from '../../../contract/host/index.ts';
import {
  already,
  cpuNumber,
  flag,
  notServed,
  number,
  ofOthers,
  type Reader,
  Unserved,
  watchdog,
  words,
} from './values.ts';

const machineType: Reader = (value) => {
  if (value === 'q35') return {};
  if (!/^pc-q35-\d{1,3}(\.\d{1,3}){1,2}$/.test(value)) throw new Unserved('no q35');
  return { machine_type: value };
};

export const imageProperties: Readonly<Record<string, Reader>> = {
  hw_architecture: already('x86_64', 'amd64', 'i686', 'i386'),
  hw_vm_mode: already('hvm'),
  img_hv_type: already('kvm', 'qemu'),
  hw_machine_type: machineType,
  hw_firmware_type: words(['bios', 'uefi'], (firmware) => ({ firmware })),
  os_secure_boot: words(['disabled', 'optional', 'required'], (secureBoot) => ({ secureBoot })),
  hw_firmware_stateless: notServed,
  hw_disk_bus: words(['virtio', 'scsi', 'sata'], (diskBus) => ({ diskBus })),
  hw_cdrom_bus: words(['scsi', 'sata'], (cdromBus) => ({ cdromBus })),
  hw_scsi_model: already('virtio-scsi'),
  hw_vif_model: words(networkModels, (networkModel) => ({ networkModel })),
  hw_vif_multiqueue_enabled: notServed,
  hw_cpu_sockets: cpuNumber('sockets'),
  hw_cpu_cores: cpuNumber('cores'),
  hw_cpu_threads: cpuNumber('threads'),
  hw_cpu_max_sockets: cpuNumber('maxSockets'),
  hw_cpu_max_cores: cpuNumber('maxCores'),
  hw_cpu_max_threads: cpuNumber('maxThreads'),
  hw_cpu_policy: already('shared'),
  hw_cpu_thread_policy: already('prefer'),
  hw_emulator_threads_policy: already('share'),
  hw_cpu_realtime: notServed,
  hw_mem_page_size: already('small', 'any'),
  hw_mem_encryption: notServed,
  hw_locked_memory: notServed,
  hw_numa_nodes: number({ min: 1, max: 1 }, () => ({})),
  hw_pci_numa_affinity_policy: already('legacy', 'preferred'),
  hw_ephemeral_encryption: notServed,
  hw_pmu: flag((pmu) => ({ pmu })),
  img_hide_hypervisor_id: flag((hidden) => ({ hidden })),
  hw_time_hpet: flag((hpet) => ({ hpet })),
  hw_tpm_model: words(['tpm-tis', 'tpm-crb'], (tpmModel) => ({ tpmModel })),
  hw_tpm_version: words(['1.2', '2.0'], (tpmVersion) => ({ tpmVersion })),
  hw_video_model: words(videoModels, (video) => ({ video })),
  // More than this QEMU's cards do not take, and say nothing.
  hw_video_ram: number({ min: 1, max: 512 }, (videoRamMiB) => ({ videoRamMiB })),
  hw_rng_model: already('virtio'),
  hw_watchdog_action: watchdog,
  hw_qemu_guest_agent: flag((guest_agent) => (guest_agent ? { guest_agent } : {})),
  hw_boot_menu: flag((bootMenu) => ({ bootMenu })),
  hw_pointer_model: words(['ps2mouse', 'usbtablet'], (model) => ({ tablet: model === 'usbtablet' })),
  hw_input_bus: words(['usb', 'virtio'], (input) => ({ tablet: true, input })),
  hw_serial_port_count: number({ min: 1, max: 1 }, () => ({})),
  hw_virtio_packed_ring: notServed,
  hw_viommu_model: already('none'),
  hw_ipxe_boot: notServed,
  hw_redirected_usb_ports: number({ min: 0, max: 0 }, () => ({})),
  os_require_quiesce: notServed,
  os_shutdown_timeout: number({ min: 1, max: 86_400 }, (shutdownSeconds) => ({ shutdownSeconds })),
  // A kernel of its own is no image of a disk.
  os_command_line: () => {
    throw new Unserved('not served');
  },
  // Glance's and other engines': VMware's, Xen's, Hyper-V's.
  hw_disk_type: ofOthers,
  hw_auto_disk_config: ofOthers,
  hw_device_id: ofOthers,
  // Of the rescue that such an image is for: its disk is a disk like the first.
  hw_rescue_bus: already('virtio'),
  hw_rescue_device: already('disk'),
};

/** What they were called before (nova/objects/image_meta.py, _legacy_property_map). */
export const legacyNames: Readonly<Record<string, string>> = {
  architecture: 'hw_architecture',
  vm_mode: 'hw_vm_mode',
  hypervisor_type: 'img_hv_type',
  ipxe_boot: 'hw_ipxe_boot',
};

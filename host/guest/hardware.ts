/**
 * The part of QEMU's command line that says what a server's machine has beyond the least (contract/host/hardware.ts). Pure.
 *
 * Firmware: BIOS is QEMU's own; UEFI is Debian's ovmf, its code shared and read only, its variables a file of the server. With secure
 * boot the variables hold Microsoft's keys, and only firmware in system management mode may write them.
 */
import type { GuestHardware } from '../../contract/host/index.ts';
import type { ServerPaths } from '../paths.ts';
import { addresses } from './layout.ts';

export interface HardwareOfGuest {
  accelerator: 'kvm' | 'tcg';
  vcpus: number;
  cpuModel: string;
  hardware: GuestHardware;
  paths: Pick<ServerPaths, 'firmwareVariables' | 'tpmSocket'>;
  /** Its devices have addresses of their own (layout.ts). */
  fixed: boolean;
}

const firmwareDirectory = '/usr/share/OVMF';

/** Code and first variables, of Debian's package ovmf. */
export const firmwareFiles = {
  uefi: { code: `${firmwareDirectory}/OVMF_CODE_4M.fd`, variables: `${firmwareDirectory}/OVMF_VARS_4M.fd` },
  'uefi-secure': {
    code: `${firmwareDirectory}/OVMF_CODE_4M.secboot.fd`,
    variables: `${firmwareDirectory}/OVMF_VARS_4M.ms.fd`,
  },
} as const;

export function machineFlags({ firmware, hpet }: GuestHardware): string {
  const secure = firmware === 'uefi-secure';
  const flash =
    firmware === undefined || firmware === 'bios' ? '' : ',pflash0=firmware-code,pflash1=firmware-variables';
  return `usb=off,vmport=off,hpet=${hpet ? 'on' : 'off'},dump-guest-core=off${secure ? ',smm=on' : ''}${flash}`;
}

/** A machine that has lost KVM, whose model is the processor itself, gets the most that can be emulated. */
export function processor({ accelerator, cpuModel, hardware: { pmu, hidden } }: HardwareOfGuest): string {
  const model = accelerator === 'tcg' && cpuModel === 'host' ? 'max' : cpuModel;
  return `${model}${pmu === undefined ? '' : `,pmu=${pmu ? 'on' : 'off'}`}${hidden ? ',kvm=off,hypervisor=off' : ''}`;
}

export function processors({ vcpus, hardware: { topology } }: HardwareOfGuest): string {
  if (!topology) return String(vcpus);
  return `${vcpus},sockets=${topology.sockets},cores=${topology.cores},threads=${topology.threads}`;
}

export function randomness({ hardware: { rng } }: HardwareOfGuest): string {
  return rng ? `,max-bytes=${rng.bytes},period=${rng.periodMs}` : '';
}

/** What stands before the disks. */
export function hardwareArguments(guest: HardwareOfGuest): string[] {
  const { hardware, paths, fixed } = guest;
  return [
    ...firmware(hardware, paths.firmwareVariables),
    ...(hardware.bootMenu ? ['-boot', 'menu=on,splash-time=3000'] : []),
    ...video(hardware, fixed),
    ...watchdog(hardware, fixed),
    ...pointer(hardware, fixed),
    ...tpm(hardware, paths.tpmSocket),
  ];
}

function firmware({ firmware }: GuestHardware, variables: string): string[] {
  if (firmware === undefined || firmware === 'bios') return [];
  const node = (name: string, filename: string, readOnly: boolean) => [
    '-blockdev',
    JSON.stringify({ driver: 'raw', 'node-name': name, 'read-only': readOnly, file: { driver: 'file', filename } }),
  ];
  return [
    ...node('firmware-code', firmwareFiles[firmware].code, true),
    ...node('firmware-variables', variables, false),
    // Else the guest could write the variables that say what it may boot.
    ...(firmware === 'uefi-secure'
      ? ['-global', 'driver=cfi.pflash01,property=secure,value=on', '-global', 'ICH9-LPC.disable_s3=1']
      : []),
  ];
}

const videoDevices = {
  vga: 'VGA',
  cirrus: 'cirrus-vga',
  bochs: 'bochs-display',
  virtio: 'virtio-vga',
  vmvga: 'vmware-svga',
} as const;

/** A card where nobody said otherwise: without one a screen shows nothing. */
function video(hardware: GuestHardware, fixed: boolean): string[] {
  const { video = fixed ? 'vga' : 'none', videoRamMiB } = hardware;
  if (video === 'none') return [];
  // QEMU takes powers of two.
  const memory = videoRamMiB !== undefined && video !== 'virtio' && video !== 'bochs';
  const size = memory ? `,vgamem_mb=${2 ** Math.floor(Math.log2(videoRamMiB))}` : '';
  return ['-device', `${videoDevices[video]},id=video${size}${fixed ? addresses.video : ''}`];
}

const watchdog = ({ watchdog }: GuestHardware, fixed: boolean): string[] =>
  watchdog === undefined
    ? []
    : ['-device', `i6300esb,id=watchdog${fixed ? addresses.watchdog : ''}`, '-action', `watchdog=${watchdog}`];

function pointer({ pointer }: GuestHardware, fixed: boolean): string[] {
  if (pointer === undefined) return [];
  const address = fixed ? addresses.pointer : '';
  return pointer === 'virtio'
    ? ['-device', `virtio-tablet-pci,id=pointer${address}`]
    : ['-device', `qemu-xhci,id=usb${address}`, '-device', 'usb-tablet,id=pointer,bus=usb.0'];
}

/** The TPM itself is a process beside QEMU (tpm.ts). */
const tpm = ({ tpm }: GuestHardware, socket: string): string[] =>
  tpm === undefined
    ? []
    : [
        ...['-chardev', `socket,id=tpm,path=${escaped(socket)}`],
        ...['-tpmdev', 'emulator,id=tpm,chardev=tpm'],
        ...['-device', `${tpm.model},id=tpm0,tpmdev=tpm`],
      ];

const cards = { virtio: 'virtio-net-pci', ne2k_pci: 'ne2k_pci' } as Readonly<Record<string, string>>;

/** The card's device; only virtio's tells its guest how large its frames may be. */
export const cardDevice = ({ networkModel = 'virtio' }: GuestHardware): string => cards[networkModel] ?? networkModel;

/** The controller that disks on this bus need; SATA's is the machine's own. */
export const diskController = ({ diskBus, cdromBus }: GuestHardware, fixed: boolean): string[] =>
  diskBus === 'scsi' || cdromBus === 'scsi' ? ['-device', `virtio-scsi-pci,id=scsi${fixed ? addresses.scsi : ''}`] : [];

/** @param index which of the disks it is */
export function diskDevice(bus: GuestHardware['diskBus'], index: number, fixed: boolean): string {
  switch (bus) {
    case 'scsi':
      return `scsi-hd,bus=scsi.0,scsi-id=${index}`;
    case 'sata':
      return `ide-hd,bus=ide.${index}`;
    default:
      return `virtio-blk-pci${fixed ? addresses.disk(index) : ''}`;
  }
}

/** A guest without virtio for its disks has none for this one. */
export function configDriveDevice({ diskBus = 'virtio', cdromBus }: GuestHardware, fixed: boolean): string {
  switch (cdromBus ?? diskBus) {
    case 'scsi':
      return 'scsi-cd,bus=scsi.0,scsi-id=7';
    case 'sata':
      return 'ide-cd,bus=ide.5';
    default:
      return `virtio-blk-pci${fixed ? addresses.configDrive : ''}`;
  }
}

/** In QEMU's key=value lists a comma is written twice. */
export const escaped = (value: string) => value.replaceAll(',', ',,');

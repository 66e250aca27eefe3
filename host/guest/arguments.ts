/**
 * QEMU's command line for one server. Pure; a golden file holds it (arguments.golden.json).
 *
 * - Nothing that a tenant wrote is in it: no names, no metadata. What varies are ids, numbers, MACs and our own paths.
 * - Block devices are JSON, with the whole chain spelled out: QEMU never follows a name that an image file carries.
 * - `-action shutdown=pause`: a guest that powers itself off leaves QEMU standing in state 'shutdown', so that a host
 *   process that was away can tell a guest's own wish from a crash.
 * - The serial port is a socket for a console to come, with a log that QEMU opens for appending: it grows while nobody
 *   is connected, and the host may cut it at any time.
 */
import type { GuestHardware } from '../../contract/host/index.ts';
import type { ServerPaths } from '../paths.ts';
import {
  cardDevice,
  configDriveDevice,
  diskController,
  diskDevice,
  escaped,
  hardwareArguments,
  machineFlags,
  processor,
  processors,
  randomness,
} from './hardware.ts';
import { addresses, cardPorts, volumeBridge } from './layout.ts';
import { memorySize } from './memory-size.ts';
import { type GuestVolume, type PlacedVolume, placeVolumes, volumeArguments } from './volumes.ts';

export interface GuestDisk {
  name: string;
  path: string;
  /** The read-only image below it; null: a raw file that stands for itself, from which nothing boots. */
  base: { path: string; format: 'raw' | 'qcow2' } | null;
}

/**
 * boot: at once; the others stand still until they are told to go on. memory: with one that QEMU has open as file descriptor 3; host: with one that
 * comes from another host; never: its disks are open for something else.
 */
export type Beginning = 'boot' | 'memory' | 'host' | 'never';

const beginning: Record<Beginning, readonly string[]> = {
  boot: [],
  memory: ['-S', '-incoming', 'fd:3'],
  host: ['-S', '-incoming', 'defer'],
  never: ['-S'],
};

export interface GuestMachine {
  id: string;
  accelerator: 'kvm' | 'tcg';
  /** As it was pinned; see contract/host/machine.ts. */
  machine: { type: string; cpuModel: string; layout: number };
  vcpus: number;
  memoryMiB: number;
  paths: Pick<
    ServerPaths,
    'configDrive' | 'consoleLog' | 'qmp' | 'serial' | 'vnc' | 'agent' | 'pid' | 'firmwareVariables' | 'tpmSocket'
  >;
  /** In the order in which the guest sees them; it boots from the first. */
  disks: readonly GuestDisk[];
  volumes: readonly GuestVolume[];
  /** It has the bus into which volumes are plugged. */
  volumeBus: boolean;
  configDrive: boolean;
  /** In the order in which the guest shall see them. */
  ports: GuestCard[];
  hardware: GuestHardware;
  /** How it begins. */
  begins: Beginning;
}

export interface GuestCard {
  /** Null: the card is there, and its port is not. */
  tap: string | null;
  mac: string;
  mtu: number;
  vnetHeader: boolean;
  /** Its place in the machine, which stays its own. */
  slot: number;
}

export function qemuArguments(machine: GuestMachine): string[] {
  const { paths } = machine;
  const { hardware } = machine;
  const fixed = machine.machine.layout > 0;
  const disks = machine.disks.map(({ name }) => name);
  const volumes = placeVolumes(disks, machine.volumes, hardware.diskBus);
  const guest = { ...machine, cpuModel: machine.machine.cpuModel, fixed };
  return [
    ...['-no-user-config', '-nodefaults'],
    ...['-sandbox', 'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny'],
    ...['-machine', `${machine.machine.type},${machineFlags(hardware)}`],
    ...['-accel', machine.accelerator],
    ...['-cpu', processor(guest)],
    ...['-smp', processors(guest)],
    ...['-m', memorySize(machine)],
    ...['-uuid', machine.id],
    ...['-name', `guest=${machine.id},debug-threads=on`],
    // cloud-init asks the firmware whether this is OpenStack (its ds-identify knows this product name).
    ...['-smbios', `type=1,manufacturer=Bothy,product=OpenStack Compute,serial=${machine.id},uuid=${machine.id}`],
    ...['-rtc', `base=${hardware.clock ?? 'utc'}`],
    ...['-display', 'none'],
    ...['-action', 'shutdown=pause'],
    ...['-pidfile', paths.pid],
    ...['-chardev', `socket,id=qmp,path=${escaped(paths.qmp)},server=on,wait=off`],
    ...['-mon', 'chardev=qmp,mode=control'],
    ...[
      '-chardev',
      `socket,id=serial,path=${escaped(paths.serial)},server=on,wait=off,logfile=${escaped(paths.consoleLog)},logappend=on`,
    ],
    ...['-serial', 'chardev:serial'],
    // No viewer may shut the others out, as any could by asking for a screen of its own.
    // A machine of before there were screens goes on without one: what it sees stays what it was.
    ...(fixed ? ['-vnc', `unix:${escaped(paths.vnc)},share=force-shared`] : []),
    ...['-object', 'rng-random,id=rng,filename=/dev/urandom'],
    ...(fixed ? cardPorts(machine.ports.map(({ slot }) => slot)) : []),
    ...['-device', `virtio-rng-pci,rng=rng${randomness(guest)}${fixed ? addresses.rng : ''}`],
    ...hardwareArguments(guest),
    ...blockDevices(machine, volumes, fixed),
    ...machine.ports.flatMap((port, index) => card(hardware, port, index, fixed)),
    ...(hardware.guestAgent ? agentChannel(paths.agent, fixed ? addresses.channels : '') : []),
    // Behind all: a machine without fixed addresses keeps those that it had.
    ...(machine.volumeBus ? volumeBridge(fixed) : []),
    ...volumes
      .filter(({ index }) => index === undefined)
      .flatMap((volume) => volumeArguments(volume, hardware.diskBus, fixed)),
    ...beginning[machine.begins],
  ];
}

/** Disks and the volumes that are among them, each in its place, and the config drive. */
function blockDevices(
  { paths, disks, configDrive, hardware }: GuestMachine,
  volumes: readonly PlacedVolume[],
  fixed: boolean,
): string[] {
  const args = diskController(hardware, fixed);
  const rest = [...disks];
  for (let index = 0; index < disks.length + volumes.length; index++) {
    const volume = volumes.find((each) => each.index === index);
    if (volume) args.push(...volumeArguments(volume, hardware.diskBus, fixed));
    const next = volume ? undefined : rest.shift();
    if (next) args.push(...disk(next, index, diskDevice(hardware.diskBus, index, fixed)));
  }
  if (configDrive) {
    const file = { driver: 'file', filename: paths.configDrive };
    args.push('-blockdev', JSON.stringify({ driver: 'raw', 'node-name': 'config-drive', 'read-only': true, file }));
    const [driver, place] = parts(configDriveDevice(hardware, fixed));
    args.push('-device', `${driver},drive=config-drive,id=config-drive0${place}`);
  }
  return args;
}

function disk({ name, path, base }: GuestDisk, index: number, model: string): string[] {
  const [driver, place] = parts(model);
  if (base === null) {
    const file = { driver: 'file', filename: path, discard: 'unmap' };
    const node = { driver: 'raw', 'node-name': name, discard: 'unmap', file };
    return ['-blockdev', JSON.stringify(node), '-device', `${driver},drive=${name},id=${diskDeviceId(name)}${place}`];
  }
  const below = {
    driver: base.format,
    // As the base of the one disk was called before there could be two.
    'node-name': name === 'disk' ? 'base' : `${name}-base`,
    'read-only': true,
    file: { driver: 'file', filename: base.path },
    ...(base.format === 'qcow2' && { backing: null }),
  };
  const node = {
    driver: 'qcow2',
    'node-name': name,
    // As of volumes, and for the same reason: ../volume/nodes.ts.
    'overlap-check': 'constant',
    discard: 'unmap',
    file: { driver: 'file', filename: path, discard: 'unmap' },
    backing: below,
  };
  const device = `${driver},drive=${name},id=${diskDeviceId(name)},bootindex=${index}${place}`;
  return ['-blockdev', JSON.stringify(node), '-device', device];
}

/** By which QMP finds a disk's device. */
export const diskDeviceId = (name: string): string => `${name}0`;

/** A device and where it is. */
const parts = (model: string): [string, string] => {
  const comma = model.indexOf(',');
  return comma < 0 ? [model, ''] : [model.slice(0, comma), model.slice(comma)];
};

function card(hardware: GuestHardware, port: GuestCard, index: number, fixed: boolean): string[] {
  // With fixed addresses its names are its slot's: one that comes while the guest runs has the same as at its next start.
  const [name, address] = fixed ? [port.slot, addresses.card(port.slot)] : [index, ''];
  const device = cardDevice(hardware);
  const mtu = device === 'virtio-net-pci' ? `,host_mtu=${port.mtu}` : '';
  const header = port.vnetHeader ? 'on' : 'off';
  const netdev = port.tap === null ? '' : `netdev=net${name},`;
  return [
    ...(port.tap === null
      ? []
      : ['-netdev', `tap,id=net${name},ifname=${port.tap},script=no,downscript=no,vnet_hdr=${header}`]),
    // Without its ROM the firmware does not try to boot from the network: a second saved at each start under TCG.
    ...['-device', `${device},${netdev}id=nic${name},mac=${port.mac}${mtu},romfile=${address}`],
  ];
}

/** The name by which agents find their channel. */
const agentChannel = (path: string, address: string): string[] => [
  ...['-chardev', `socket,id=agent,path=${escaped(path)},server=on,wait=off`],
  ...['-device', `virtio-serial-pci,id=channels${address}`],
  ...['-device', 'virtserialport,bus=channels.0,chardev=agent,name=org.qemu.guest_agent.0'],
];

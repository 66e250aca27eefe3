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
import type { ServerPaths } from '../paths.ts';
import { addresses, cardPorts } from './layout.ts';

export interface GuestDisk {
  name: 'disk' | 'rescue';
  path: string;
  /** The read-only image below it. */
  base: { path: string; format: 'raw' | 'qcow2' };
}

export interface GuestMachine {
  id: string;
  accelerator: 'kvm' | 'tcg';
  /** As it was pinned; see contract/host/machine.ts. */
  machine: { type: string; cpuModel: string; layout: number };
  vcpus: number;
  memoryMiB: number;
  paths: Pick<ServerPaths, 'configDrive' | 'consoleLog' | 'qmp' | 'serial' | 'agent' | 'pid'>;
  /** In the order in which the guest sees them; it boots from the first. */
  disks: readonly GuestDisk[];
  configDrive: boolean;
  /** In the order in which the guest shall see them. */
  ports: GuestCard[];
  /** It has a channel to the agent in the guest. */
  guestAgent: boolean;
  /** It goes on with a memory, which QEMU has open as file descriptor 3, and stands still until it is told to. */
  incoming: boolean;
}

export interface GuestCard {
  tap: string;
  mac: string;
  mtu: number;
  vnetHeader: boolean;
  /** Its place in the machine, which stays its own. */
  slot: number;
}

export function qemuArguments(machine: GuestMachine): string[] {
  const { paths } = machine;
  const fixed = machine.machine.layout > 0;
  return [
    ...['-no-user-config', '-nodefaults'],
    ...['-sandbox', 'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny'],
    ...['-machine', `${machine.machine.type},usb=off,vmport=off,hpet=off,dump-guest-core=off`],
    ...['-accel', machine.accelerator],
    ...['-cpu', cpuModel(machine)],
    ...['-smp', String(machine.vcpus)],
    ...['-m', `${machine.memoryMiB}M`],
    ...['-uuid', machine.id],
    ...['-name', `guest=${machine.id},debug-threads=on`],
    // cloud-init asks the firmware whether this is OpenStack (its ds-identify knows this product name).
    ...['-smbios', `type=1,manufacturer=Bothy,product=OpenStack Compute,serial=${machine.id},uuid=${machine.id}`],
    ...['-rtc', 'base=utc'],
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
    ...['-object', 'rng-random,id=rng,filename=/dev/urandom'],
    ...(fixed ? cardPorts(machine.ports.map(({ slot }) => slot)) : []),
    ...['-device', `virtio-rng-pci,rng=rng${fixed ? addresses.rng : ''}`],
    ...disks(machine, fixed),
    ...machine.ports.flatMap((port, index) => card(port, index, fixed)),
    ...(machine.guestAgent ? agentChannel(paths.agent, fixed ? addresses.channels : '') : []),
    ...(machine.incoming ? ['-S', '-incoming', 'fd:3'] : []),
  ];
}

/** A machine that has lost KVM, whose model is the processor itself, gets the most that can be emulated. */
const cpuModel = ({ accelerator, machine: { cpuModel } }: GuestMachine): string =>
  accelerator === 'tcg' && cpuModel === 'host' ? 'max' : cpuModel;

function disks({ paths, disks, configDrive }: GuestMachine, fixed: boolean): string[] {
  const args = disks.flatMap((each, index) => disk(each, index, fixed ? addresses.disk(index) : ''));
  if (configDrive) {
    const file = { driver: 'file', filename: paths.configDrive };
    args.push('-blockdev', JSON.stringify({ driver: 'raw', 'node-name': 'config-drive', 'read-only': true, file }));
    args.push('-device', `virtio-blk-pci,drive=config-drive,id=config-drive0${fixed ? addresses.configDrive : ''}`);
  }
  return args;
}

function disk({ name, path, base }: GuestDisk, index: number, address: string): string[] {
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
    discard: 'unmap',
    file: { driver: 'file', filename: path, discard: 'unmap' },
    backing: below,
  };
  const device = `virtio-blk-pci,drive=${name},id=${name}0,bootindex=${index}${address}`;
  return ['-blockdev', JSON.stringify(node), '-device', device];
}

function card(port: GuestCard, index: number, fixed: boolean): string[] {
  // With fixed addresses its names are its slot's: one that comes while the guest runs has the same as at its next start.
  const [name, address] = fixed ? [port.slot, addresses.card(port.slot)] : [index, ''];
  const header = port.vnetHeader ? 'on' : 'off';
  return [
    ...['-netdev', `tap,id=net${name},ifname=${port.tap},script=no,downscript=no,vnet_hdr=${header}`],
    // Without its ROM the firmware does not try to boot from the network: a second saved at each start under TCG.
    ...[
      '-device',
      `virtio-net-pci,netdev=net${name},id=nic${name},mac=${port.mac},host_mtu=${port.mtu},romfile=${address}`,
    ],
  ];
}

/** The name by which agents find their channel. */
const agentChannel = (path: string, address: string): string[] => [
  ...['-chardev', `socket,id=agent,path=${escaped(path)},server=on,wait=off`],
  ...['-device', `virtio-serial-pci,id=channels${address}`],
  ...['-device', 'virtserialport,bus=channels.0,chardev=agent,name=org.qemu.guest_agent.0'],
];

/** In QEMU's key=value lists a comma is written twice. */
export const escaped = (value: string) => value.replaceAll(',', ',,');

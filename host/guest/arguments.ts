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

export interface GuestDisk {
  name: 'disk' | 'rescue';
  path: string;
  /** The read-only image below it. */
  base: { path: string; format: 'raw' | 'qcow2' };
}

export interface GuestMachine {
  id: string;
  accelerator: 'kvm' | 'tcg';
  vcpus: number;
  memoryMiB: number;
  paths: Pick<ServerPaths, 'configDrive' | 'consoleLog' | 'qmp' | 'serial' | 'agent' | 'pid'>;
  /** In the order in which the guest sees them; it boots from the first. */
  disks: readonly GuestDisk[];
  configDrive: boolean;
  /** In the order in which the guest shall see them. */
  ports: { tap: string; mac: string; mtu: number; vnetHeader: boolean }[];
  /** It has a channel to the agent in the guest. */
  guestAgent: boolean;
  /** It goes on with a memory, which QEMU has open as file descriptor 3, and stands still until it is told to. */
  incoming: boolean;
}

export function qemuArguments(machine: GuestMachine): string[] {
  const { paths } = machine;
  return [
    ...['-no-user-config', '-nodefaults'],
    ...['-sandbox', 'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny'],
    ...['-machine', 'q35,usb=off,vmport=off,hpet=off,dump-guest-core=off'],
    ...['-accel', machine.accelerator],
    ...['-cpu', machine.accelerator === 'kvm' ? 'host' : 'max'],
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
    ...['-device', 'virtio-rng-pci,rng=rng'],
    ...disks(machine),
    ...machine.ports.flatMap(card),
    ...(machine.guestAgent ? agentChannel(paths.agent) : []),
    ...(machine.incoming ? ['-S', '-incoming', 'fd:3'] : []),
  ];
}

function disks({ paths, disks, configDrive }: GuestMachine): string[] {
  const args = disks.flatMap(disk);
  if (configDrive) {
    const file = { driver: 'file', filename: paths.configDrive };
    args.push('-blockdev', JSON.stringify({ driver: 'raw', 'node-name': 'config-drive', 'read-only': true, file }));
    args.push('-device', 'virtio-blk-pci,drive=config-drive,id=config-drive0');
  }
  return args;
}

function disk({ name, path, base }: GuestDisk, index: number): string[] {
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
  return ['-blockdev', JSON.stringify(node), '-device', `virtio-blk-pci,drive=${name},id=${name}0,bootindex=${index}`];
}

function card(port: GuestMachine['ports'][number], index: number): string[] {
  const header = port.vnetHeader ? 'on' : 'off';
  return [
    ...['-netdev', `tap,id=net${index},ifname=${port.tap},script=no,downscript=no,vnet_hdr=${header}`],
    // Without its ROM the firmware does not try to boot from the network: a second saved at each start under TCG.
    ...['-device', `virtio-net-pci,netdev=net${index},id=nic${index},mac=${port.mac},host_mtu=${port.mtu},romfile=`],
  ];
}

/** The name by which agents find their channel. */
const agentChannel = (path: string): string[] => [
  ...['-chardev', `socket,id=agent,path=${escaped(path)},server=on,wait=off`],
  ...['-device', 'virtio-serial-pci,id=channels'],
  ...['-device', 'virtserialport,bus=channels.0,chardev=agent,name=org.qemu.guest_agent.0'],
];

/** In QEMU's key=value lists a comma is written twice. */
export const escaped = (value: string) => value.replaceAll(',', ',,');

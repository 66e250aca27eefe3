/**
 * Reads a command line as QEMU does, strictly: an option, property or reference that QEMU would refuse is refused here, so
 * that a host that builds a wrong command line fails over the simulator too. Knows the options that our host uses, no more.
 */
import { existsSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

export interface FakeMachineDescription {
  uuid: string;
  cpus: number;
  memoryMiB: number;
  qmpPath: string;
  serialPath: string;
  consoleLog: string;
  pidFile: string;
  pauseAtShutdown: boolean;
  disks: { node: string; driver: string; filename: string; readOnly: boolean; backing: string | null }[];
  cards: { tap: string; mac: string }[];
}

export class BadArguments extends Error {
  override readonly name = 'BadArguments';
}

const refuse = (why: string): never => {
  throw new BadArguments(`qemu-system-x86_64: ${why}`);
};

/** Options with a value, and the properties each knows ('' : the value before the first comma, under its usual name). */
const known: Record<string, string[] | 'text'> = {
  '-sandbox': ['', 'obsolete', 'elevateprivileges', 'spawn', 'resourcecontrol'],
  '-machine': ['', 'usb', 'vmport', 'hpet', 'dump-guest-core'],
  '-accel': ['', 'thread'],
  '-cpu': ['', 'arch-capabilities'],
  '-smp': ['', 'cpus'],
  '-m': ['', 'size'],
  '-uuid': 'text',
  '-name': ['', 'guest', 'debug-threads'],
  '-smbios': ['type', 'manufacturer', 'product', 'serial', 'uuid', 'version', 'family'],
  '-rtc': ['base'],
  '-display': ['', ''],
  '-action': ['shutdown', 'reboot', 'panic', 'watchdog'],
  '-pidfile': 'text',
  '-chardev': ['', 'id', 'path', 'server', 'wait', 'logfile', 'logappend'],
  '-mon': ['chardev', 'mode'],
  '-serial': 'text',
  '-object': ['', 'id', 'filename'],
  '-device': ['', 'id', 'rng', 'drive', 'bootindex', 'netdev', 'mac', 'host_mtu', 'romfile'],
  '-netdev': ['', 'id', 'ifname', 'script', 'downscript', 'vnet_hdr'],
  '-blockdev': 'text',
};
const flags = new Set(['-no-user-config', '-nodefaults']);
const devices = new Set(['virtio-blk-pci', 'virtio-net-pci', 'virtio-rng-pci']);

interface Option {
  name: string;
  text: string;
  values: Map<string, string>;
}

export function parseArguments(args: string[]): FakeMachineDescription {
  const options = read(args);
  const all = (name: string) => options.filter((option) => option.name === name);
  const one = (name: string) => all(name).at(-1) ?? refuse(`${name} is missing`);
  if (one('-machine').values.get('') !== 'q35') refuse('unsupported machine type');
  if (one('-sandbox').values.get('') !== 'on') refuse('the sandbox is off');
  const chardevs = new Map(all('-chardev').map((option) => [need(option, 'id'), option]));
  const chardev = (id: string) => chardevs.get(id) ?? refuse(`chardev "${id}" not found`);
  const qmp = chardev(need(one('-mon'), 'chardev'));
  const serial = chardev(one('-serial').text.replace(/^chardev:/, ''));
  for (const option of [qmp, serial]) {
    const path = need(option, 'path');
    if (Buffer.byteLength(path) > 107) refuse(`UNIX socket path '${path}' is too long`);
    if (!existsSync(dirname(path))) refuse(`Failed to bind socket to ${path}: No such file or directory`);
  }
  const consoleLog = need(serial, 'logfile');
  if (serial.values.get('logappend') !== 'on') refuse('the console log would be truncated');
  if (!existsSync(dirname(consoleLog))) refuse(`Unable to open logfile ${consoleLog}`);
  const { disks, cards } = attached(all);
  const memory = /^(\d+)M$/.exec(one('-m').values.get('') ?? '');
  const uuid = one('-uuid').text;
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(uuid)) refuse(`Parameter 'uuid' is invalid: ${uuid}`);
  return {
    uuid,
    cpus: positive(one('-smp').values.get('') ?? '', 'cpus'),
    memoryMiB: positive(memory?.[1] ?? '', 'memory'),
    qmpPath: need(qmp, 'path'),
    serialPath: need(serial, 'path'),
    consoleLog,
    pidFile: one('-pidfile').text,
    pauseAtShutdown: all('-action').some((option) => option.values.get('shutdown') === 'pause'),
    disks,
    cards,
  };
}

function read(args: string[]): Option[] {
  const options: Option[] = [];
  for (let at = 0; at < args.length; at++) {
    const name = args[at]!;
    if (flags.has(name)) continue;
    const properties = known[name] ?? refuse(`${name}: invalid option`);
    const text = args[++at] ?? refuse(`${name}: requires an argument`);
    options.push({ name, text, values: properties === 'text' ? new Map() : keyValues(name, text, properties) });
  }
  return options;
}

/** key=value,… where a comma in a value is written twice. */
function keyValues(name: string, text: string, properties: string[]): Map<string, string> {
  const values = new Map<string, string>();
  const parts = text.split(/(?<!,),(?!,)/).map((part) => part.replaceAll(',,', ','));
  for (const [index, part] of parts.entries()) {
    const split = part.indexOf('=');
    const key = index === 0 && split === -1 ? '' : part.slice(0, split === -1 ? part.length : split);
    if (!properties.includes(key)) refuse(`${name} ${text}: Property '${key}' not found`);
    values.set(key, split === -1 ? part : part.slice(split + 1));
  }
  return values;
}

function attached(all: (name: string) => Option[]) {
  const blocks = new Map<string, FakeMachineDescription['disks'][number]>();
  for (const { text } of all('-blockdev')) {
    const block = readBlock(JSON.parse(text) as Block);
    if (blocks.has(block.node)) refuse(`Duplicate nodes with node-name='${block.node}'`);
    blocks.set(block.node, block);
  }
  const netdevs = new Map(all('-netdev').map((option) => [need(option, 'id'), option]));
  const objects = new Set(all('-object').map((option) => need(option, 'id')));
  const disks: FakeMachineDescription['disks'] = [];
  const cards: FakeMachineDescription['cards'] = [];
  for (const device of all('-device')) {
    const kind = device.values.get('') ?? '';
    if (!devices.has(kind)) refuse(`-device ${kind}: '${kind}' is not a valid device model name`);
    if (kind === 'virtio-rng-pci' && !objects.has(need(device, 'rng'))) refuse('rng object not found');
    if (kind === 'virtio-blk-pci') {
      const node = need(device, 'drive');
      disks.push(blocks.get(node) ?? refuse(`Can't find value '${node}' of property drive`));
      blocks.delete(node);
    }
    if (kind === 'virtio-net-pci') {
      const id = need(device, 'netdev');
      const netdev = netdevs.get(id) ?? refuse(`Property 'virtio-net-device.netdev' can't find value '${id}'`);
      const mac = need(device, 'mac');
      if (!/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(mac)) refuse(`invalid MAC ${mac}`);
      cards.push({ tap: need(netdev, 'ifname'), mac });
    }
  }
  return { disks, cards };
}

interface Block {
  driver: string;
  'node-name'?: string;
  'read-only'?: boolean;
  file?: { driver: string; filename: string };
  backing?: Block | null;
}

function readBlock(block: Block): FakeMachineDescription['disks'][number] {
  const filename = block.file?.filename ?? refuse('a block device without a file');
  if (!existsSync(filename)) refuse(`Could not open '${filename}': No such file or directory`);
  if (!statSync(filename).isFile()) refuse(`'${filename}' is no file`);
  if (block.driver !== 'raw' && block.driver !== 'qcow2') refuse(`Unknown driver '${block.driver}'`);
  if (block.driver === 'qcow2' && block.backing === undefined) refuse('a qcow2 node that would follow its header');
  if (block.backing && block.backing['read-only'] !== true) refuse('a backing file that may be written');
  const backing = block.backing ? readBlock({ 'node-name': 'base', ...block.backing }).filename : null;
  const node = block['node-name'] ?? refuse("'node-name' must be specified for the root node");
  return { node, driver: block.driver, filename, readOnly: block['read-only'] === true, backing };
}

const need = (option: Option, key: string): string =>
  option.values.get(key) ?? refuse(`${option.name} ${option.text}: '${key}' is missing`);

function positive(text: string, what: string): number {
  const value = Number(text);
  return Number.isInteger(value) && value > 0 ? value : refuse(`invalid ${what}: ${text}`);
}

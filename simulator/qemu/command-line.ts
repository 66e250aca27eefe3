/**
 * QEMU's command line, understood strictly: an option, key or value that is not known here keeps the machine from
 * starting, in QEMU's own words. Pure; what is on the machine (files, taps, sockets) is looked at when it starts.
 *
 * Known is what Bothy uses and what may reasonably come next to it. A new argument in host/guest/arguments.ts is a new
 * line here, tried against the real QEMU first.
 */
import { type BlockNode, namedNodes, parseBlockNode } from './block-nodes.ts';
import { KeyValues } from './key-values.ts';
import { PciAddresses } from './pci.ts';
import { refused, unable } from './refusal.ts';

export interface SocketDevice {
  id: string;
  path: string;
  logFile: string | undefined;
}

export interface Disk {
  id: string | undefined;
  node: BlockNode;
  serial?: string;
}

export interface Card {
  id: string | undefined;
  tap: string;
  mac: string;
  mtu: number;
  vnetHeader: boolean;
}

export interface MachineDescription {
  accelerator: 'kvm' | 'tcg';
  vcpus: number;
  memoryMiB: number;
  uuid: string;
  name: string | undefined;
  pidFile: string | undefined;
  /** What becomes of QEMU when the guest switches itself off. */
  onShutdown: 'poweroff' | 'pause';
  /** Held at the first instruction until `cont`. */
  heldAtStart: boolean;
  /** It begins with a memory that it reads from this descriptor. */
  incoming: number | 'defer' | undefined;
  sockets: SocketDevice[];
  /** The socket that QMP is spoken on. */
  monitor: SocketDevice | undefined;
  serial: SocketDevice | undefined;
  /** The channel to the guest's agent. */
  agent: SocketDevice | undefined;
  /** Where its screen is served. */
  vnc: SocketDevice | undefined;
  disks: Disk[];
  /** All that were named, by their names. */
  nodes: Map<string, BlockNode>;
  /** Back ends by their names, each with its kind. */
  objects: Map<string, string>;
  /** Bridges. */
  controllers: string[];
  cards: Card[];
  /** Back ends of cards, by their ids; `release` lets go of the tap. */
  taps: Map<string, { tap: string; vnetHeader: boolean; release?: () => void }>;
  /** Files that objects read. */
  files: string[];
  pci: PciAddresses;
}

/** What the options before have defined, by id. */
interface Definitions {
  machine: MachineDescription;
  sockets: Map<string, SocketDevice>;
  objects: Set<string>;
  /** Taps without a card, block nodes without a disk; a device takes its own away. */
  taps: Map<string, { tap: string; vnetHeader: boolean }>;
  nodes: Map<string, BlockNode>;
  ids: Set<string>;
  /** Of devices that others are plugged into. */
  buses: Set<string>;
}

type Handler = (defined: Definitions, value: string) => void;

/** @throws QemuRefusal */
export function parseCommandLine(args: readonly string[]): MachineDescription {
  const defined = emptyDefinitions();
  const given: [string, string][] = [];
  for (let at = 0; at < args.length; at++) {
    const option = args[at]!;
    if (!option.startsWith('-')) throw unable(`${option}: Could not open '${option}': No such file or directory`);
    if (!(option in switches) && !(option in handlers)) throw unable(`${option}: invalid option`);
    const value = option in switches ? '' : args[++at];
    if (value === undefined) throw unable(`${option}: requires an argument`);
    if (!repeatable.has(option) && given.some(([before]) => before === option)) {
      throw unable(`${option}: given twice`);
    }
    given.push([option, value]);
  }
  // As QEMU does: back ends before the devices that use them, whatever their order in the command line.
  for (const phase of phases) {
    for (const [option, value] of given)
      if (phaseOf(option) === phase) (handlers[option] ?? switches[option]!)(defined, value);
  }
  return defined.machine;
}

function emptyDefinitions(): Definitions {
  const machine: MachineDescription = {
    ...{ accelerator: 'tcg', vcpus: 1, memoryMiB: 128, uuid: '00000000-0000-0000-0000-000000000000', name: undefined },
    ...{
      pidFile: undefined,
      onShutdown: 'poweroff',
      heldAtStart: false,
      incoming: undefined,
      monitor: undefined,
      serial: undefined,
      agent: undefined,
      vnc: undefined,
    },
    ...{
      sockets: [],
      disks: [],
      nodes: new Map(),
      objects: new Map(),
      controllers: [],
      cards: [],
      taps: new Map(),
      files: [],
      pci: new PciAddresses(),
    },
  };
  const [sockets, taps, nodes] = [new Map(), new Map(), new Map()];
  return { machine, sockets, taps, nodes, objects: new Set(), ids: new Set(), buses: new Set() };
}

const switches: Record<string, Handler> = {
  '-no-user-config': () => {},
  '-nodefaults': () => {},
  '-S': ({ machine }) => {
    machine.heldAtStart = true;
  },
};

const repeatable = new Set(['-chardev', '-object', '-device', '-blockdev', '-netdev', '-smbios']);
const phases = ['machine', 'sockets', 'back ends', 'devices'] as const;
const phaseOf = (option: string): (typeof phases)[number] => {
  if (option === '-chardev') return 'sockets';
  if (option === '-object' || option === '-blockdev' || option === '-netdev') return 'back ends';
  return option === '-device' || option === '-serial' || option === '-mon' ? 'devices' : 'machine';
};

const handlers: Record<string, Handler> = {
  '-sandbox': (_defined, value) => {
    const list = new KeyValues('-sandbox', value, 'enable');
    list.only(['enable', 'obsolete', 'elevateprivileges', 'spawn', 'resourcecontrol']);
    list.oneOf('enable', ['on', 'off']);
    for (const key of ['obsolete', 'spawn', 'resourcecontrol']) if (list.has(key)) list.oneOf(key, ['allow', 'deny']);
    if (list.has('elevateprivileges')) list.oneOf('elevateprivileges', ['allow', 'deny', 'children']);
  },
  '-machine': (_defined, value) => {
    const list = new KeyValues('-machine', value, 'type');
    const flags = ['usb', 'vmport', 'hpet', 'dump-guest-core', 'graphics'];
    if (!/^(q35|pc-q35-7\.[0-2])$/.test(list.required('type'))) throw unable('unsupported machine type');
    list.only(['type', ...flags], (key) => `Property 'pc-q35-7.2-machine.${key}' not found`);
    for (const key of flags) list.flag(key, true);
  },
  '-accel': ({ machine }, value) => {
    machine.accelerator = new KeyValues('-accel', value, 'accel').only(['accel']).oneOf('accel', ['kvm', 'tcg']);
  },
  '-cpu': ({ machine }, value) => {
    if (value !== 'host' && value !== 'max') throw unable(`unable to find CPU model '${value}'`);
    if (value === 'host' && machine.accelerator !== 'kvm') throw unable("CPU model 'host' requires KVM or HVF");
  },
  '-smp': ({ machine }, value) => {
    machine.vcpus = new KeyValues('-smp', value, 'cpus').only(['cpus']).wholeNumber('cpus', { min: 1, max: 288 });
  },
  '-m': ({ machine }, value) => {
    const [, count, unit] = /^(\d{1,12})([KMG]?)$/.exec(value) ?? [];
    if (!count || Number(count) === 0)
      throw refused('-m', value, "Parameter 'size' expects a non-negative number below 2^64");
    machine.memoryMiB = Number(count) * { K: 1 / 1024, M: 1, G: 1024 }[unit || 'M']!;
  },
  '-uuid': ({ machine }, value) => {
    if (!uuidPattern.test(value)) throw refused('-uuid', value, 'failed to parse UUID string: wrong format');
    machine.uuid = value;
  },
  '-name': ({ machine }, value) => {
    const list = new KeyValues('-name', value, 'guest').only(['guest', 'process', 'debug-threads']);
    list.flag('debug-threads', false);
    machine.name = list.optional('guest');
  },
  '-smbios': (_defined, value) => {
    const list = new KeyValues('-smbios', value);
    if (list.required('type') !== '1') throw list.refusal("Don't know how to build fields for that type");
    list.only(['type', 'manufacturer', 'product', 'version', 'serial', 'uuid', 'sku', 'family']);
    const uuid = list.optional('uuid');
    if (uuid !== undefined && !uuidPattern.test(uuid)) throw list.refusal('Invalid UUID');
  },
  '-rtc': (_defined, value) => {
    const list = new KeyValues('-rtc', value).only(['base', 'clock', 'driftfix']);
    if (list.has('base')) list.oneOf('base', ['utc', 'localtime']);
  },
  '-display': (_defined, value) => {
    new KeyValues('-display', value, 'type').only(['type']).oneOf('type', ['none']);
  },
  '-vnc': ({ machine }, value) => {
    const list = new KeyValues('-vnc', value, 'vnc').only(['vnc', 'share']);
    const [, path] = /^unix:(.+)$/.exec(list.required('vnc')) ?? [];
    if (path === undefined) throw list.refusal('the simulator shows its screen at a unix socket only');
    if (list.has('share')) list.oneOf('share', ['ignore', 'allow-exclusive', 'force-shared']);
    machine.vnc = { id: 'vnc', path, logFile: undefined };
  },
  '-action': ({ machine }, value) => {
    const list = new KeyValues('-action', value).only(['shutdown', 'reboot', 'panic', 'watchdog']);
    if (list.has('shutdown')) machine.onShutdown = list.oneOf('shutdown', ['poweroff', 'pause']);
    if (list.has('reboot')) list.oneOf('reboot', ['reset']);
  },
  '-incoming': ({ machine }, value) => {
    if (value === 'defer') {
      machine.incoming = 'defer';
      return;
    }
    const [, descriptor] = /^fd:(\d{1,3})$/.exec(value) ?? [];
    if (descriptor === undefined) throw refused('-incoming', value, `unknown migration protocol: ${value}`);
    machine.incoming = Number(descriptor);
  },
  '-pidfile': ({ machine }, value) => {
    machine.pidFile = value;
  },
  '-chardev': socketDevice,
  '-mon': ({ machine, sockets }, value) => {
    const list = new KeyValues('-mon', value, 'chardev').only(['chardev', 'mode', 'pretty']);
    const name = list.required('chardev');
    const device = sockets.get(name);
    if (!device) throw list.refusal(`chardev "${name}" not found`);
    if (list.oneOf('mode', ['control', 'readline']) === 'readline') throw list.refusal('the simulator has QMP only');
    machine.monitor = device;
  },
  '-serial': ({ machine, sockets }, value) => {
    const device = value.startsWith('chardev:') ? sockets.get(value.slice('chardev:'.length)) : undefined;
    if (!device) throw refused('-serial', value, `could not connect serial device to character backend '${value}'`);
    if (device === machine.monitor) throw refused('-serial', value, `Device "${device.id}" is in use`);
    machine.serial = device;
  },
  '-object': (defined, value) => {
    const list = new KeyValues('-object', value, 'qom-type');
    const kind = list.oneOf('qom-type', ['rng-random']);
    list.only(['qom-type', 'id', 'filename']);
    const id = list.required('id');
    if (defined.objects.has(id))
      throw list.refusal(`attempt to add duplicate property '${id}' to object (type 'container')`);
    defined.objects.add(id);
    defined.machine.objects.set(id, kind);
    if (list.has('filename')) defined.machine.files.push(list.required('filename'));
  },
  '-blockdev': blockDevice,
  '-netdev': (defined, value) => {
    const list = new KeyValues('-netdev', value, 'type');
    list.oneOf('type', ['tap']);
    list.only(['type', 'id', 'ifname', 'script', 'downscript', 'vnet_hdr', 'vhost', 'queues']);
    const id = list.required('id');
    if (defined.taps.has(id)) throw list.refusal(`Duplicate ID '${id}' for netdev`);
    const tap = list.required('ifname');
    if (tap.length > 15) throw list.refusal(`could not configure /dev/net/tun (${tap}): Invalid argument`);
    // Without these two QEMU would run /etc/qemu-ifup, which its sandbox forbids.
    for (const script of ['script', 'downscript']) list.oneOf(script, ['no']);
    list.flag('vhost', false);
    defined.taps.set(id, { tap, vnetHeader: list.flag('vnet_hdr', true) });
  },
  '-device': device,
};

const uuidPattern = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

function socketDevice(defined: Definitions, value: string): void {
  const list = new KeyValues('-chardev', value, 'backend');
  const backend = list.required('backend');
  if (!list.has('id')) throw list.refusal('chardev: no id specified');
  if (backend !== 'socket') throw list.refusal(`'${backend}' is not a valid char driver name`);
  list.only(['backend', 'id', 'path', 'server', 'wait', 'logfile', 'logappend']);
  const id = list.required('id');
  if (defined.sockets.has(id)) throw list.refusal(`Duplicate ID '${id}' for chardev`);
  const path = list.required('path');
  if (Buffer.byteLength(path) > 107)
    throw list.refusal(`UNIX socket path '${path}' is too long\nPath must be less than 108 bytes`);
  if (!list.flag('server', false)) throw list.refusal(`Failed to connect to '${path}': No such file or directory`);
  // QEMU would stand still until somebody connects.
  if (list.flag('wait', true)) throw list.refusal('the simulator does not wait for a client');
  const logFile = list.optional('logfile');
  if (logFile !== undefined && !list.flag('logappend', false)) throw list.refusal('the simulator only appends to logs');
  const made = { id, path, logFile };
  defined.sockets.set(id, made);
  defined.machine.sockets.push(made);
}

function blockDevice(defined: Definitions, value: string): void {
  let node: BlockNode;
  try {
    node = parseBlockNode(value.startsWith('{') ? JSON.parse(value) : undefined);
  } catch (error) {
    throw refused(
      '-blockdev',
      value,
      error instanceof SyntaxError ? `JSON parse error, ${error.message}` : (error as Error).message,
    );
  }
  for (const { name } of namedNodes(node)) {
    if (name === undefined) continue;
    if (!/^[A-Za-z][A-Za-z0-9_.-]{0,30}$/.test(name)) throw refused('-blockdev', value, `Invalid node-name: '${name}'`);
    if (defined.ids.has(`node ${name}`)) throw refused('-blockdev', value, `Duplicate nodes with node-name='${name}'`);
    defined.ids.add(`node ${name}`);
  }
  defined.nodes.set(node.name!, node);
  defined.machine.nodes.set(node.name!, node);
}

/** Properties of each device model that the simulator knows. */
const models: Record<string, readonly string[]> = {
  VGA: ['vgamem_mb'],
  'pcie-root-port': ['chassis', 'slot', 'multifunction'],
  'pci-bridge': ['chassis_nr'],
  'virtio-rng-pci': ['rng'],
  'virtio-serial-pci': [],
  virtserialport: ['chardev', 'name'],
  'virtio-blk-pci': ['drive', 'bootindex', 'serial', 'write-cache', 'werror', 'rerror'],
  'virtio-net-pci': ['netdev', 'mac', 'host_mtu', 'romfile', 'bootindex'],
};

function device(defined: Definitions, value: string): void {
  const list = new KeyValues('-device', value, 'driver');
  const model = list.required('driver');
  const properties = models[model];
  if (!properties) throw list.refusal(`'${model}' is not a valid device model name`);
  list.only(['driver', 'id', 'bus', 'addr', ...properties], (key) => `Property '${model}.${key}' not found`);
  const id = list.optional('id');
  if (id !== undefined && defined.ids.has(`device ${id}`)) throw list.refusal(`Duplicate ID '${id}' for device`);
  if (id !== undefined) defined.ids.add(`device ${id}`);
  if (list.has('bootindex')) list.wholeNumber('bootindex', { min: 0, max: 2 ** 31 - 1 });
  const { machine, objects, nodes, taps } = defined;
  if (model !== 'virtserialport') machine.pci.take(list, id ?? model);
  if (model === 'virtio-rng-pci') {
    const rng = list.required('rng');
    if (!objects.has(rng)) throw list.refusal(`Device '${rng}' not found`);
  } else if (model === 'virtio-serial-pci') {
    defined.buses.add(`${id}.0`);
  } else if (model === 'pcie-root-port') {
    machine.pci.addPort(list.required('id'));
  } else if (model === 'pci-bridge') {
    machine.pci.addBridge(list.required('id'));
    machine.controllers.push(list.required('id'));
  } else if (model === 'VGA') {
    return;
  } else if (model === 'virtserialport') {
    channel(defined, list);
  } else if (model === 'virtio-blk-pci') {
    if (!list.has('drive')) throw list.refusal('drive property not set');
    const serial = list.optional('serial');
    const node = taken(nodes, list, 'drive', 'virtio-blk-device');
    machine.disks.push({ id, node, ...(serial !== undefined && { serial }) });
  } else {
    const name = list.optional('netdev');
    const { tap, vnetHeader } =
      name === undefined ? { tap: '', vnetHeader: false } : taken(taps, list, 'netdev', 'virtio-net-device');
    if (name !== undefined) machine.taps.set(name, { tap, vnetHeader });
    machine.cards.push({ id, tap, vnetHeader, ...address(list) });
  }
}

function channel({ machine, sockets, buses }: Definitions, list: KeyValues): void {
  const [bus, name] = [list.required('bus'), list.required('chardev')];
  if (!buses.has(bus)) throw list.refusal(`Bus '${bus}' not found`);
  const socket = sockets.get(name);
  if (!socket) throw list.refusal(`Property 'virtserialport.chardev' can't find value '${name}'`);
  if (list.required('name') === 'org.qemu.guest_agent.0') machine.agent = socket;
}

function taken<T>(from: Map<string, T>, list: KeyValues, key: string, property: string): T {
  const name = list.required(key);
  const found = from.get(name);
  if (found === undefined) throw list.refusal(`Property '${property}.${key}' can't find value '${name}'`);
  from.delete(name);
  return found;
}

function address(list: KeyValues): { mac: string; mtu: number } {
  const mac = list.required('mac');
  // The lowest bit of the first octet: a group address, which no card has.
  const valid = /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(mac) && Number.parseInt(mac.slice(0, 2), 16) % 2 === 0;
  if (!valid) throw list.refusal(`Property 'virtio-net-device.mac' doesn't take value '${mac}'`);
  return { mac, mtu: list.has('host_mtu') ? list.wholeNumber('host_mtu', { min: 68, max: 65_535 }) : 1500 };
}

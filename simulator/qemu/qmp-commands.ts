/** What each QMP command does and answers. A command that is not here is not found. */
import { type CardContext, cardCommands } from './cards.ts';
import type { MachineDescription } from './command-line.ts';
import { diskCommands } from './disks.ts';
import { type ShutdownReason, type SimulatedGuest, StateRefusal } from './guest.ts';
import { Outgoing } from './migration.ts';
import type { Moving } from './moving.ts';
import { movingCommands, movingTakes } from './moving-commands.ts';

export const qemuVersion = { micro: 22, minor: 2, major: 7 };
export const qemuPackage = 'Debian 1:7.2+dfsg-7+deb12u18+b3';

export interface CommandContext extends CardContext {
  pid: number;
  description: MachineDescription;
  guest: SimulatedGuest;
  event(name: string, data: Record<string, unknown>): void;
  /** QEMU ends in order. */
  end(): void;
  /** Limits of disks, by their devices. */
  throttles: Map<string, Record<string, unknown>>;
  /** What it sends to another one, and takes from there. */
  moving: Moving;
  /** The last migration out of this QEMU into a file. */
  outgoing: Outgoing | undefined;
  /** Runs once the answer has been written. */
  afterAnswer(work: () => void): void;
}

type Arguments = Readonly<Record<string, unknown>>;
type Command = (context: CommandContext, args: Arguments) => unknown;

const rates = ['bps', 'bps_rd', 'bps_wr', 'iops', 'iops_rd', 'iops_wr'];

/** Which arguments a command takes; the others take none. */
export const takes: Readonly<Record<string, readonly string[]>> = {
  migrate: ['uri'],
  ...movingTakes,
  'qom-list': ['path'],
  netdev_add: ['type', 'id', 'ifname', 'script', 'downscript', 'vnet_hdr'],
  netdev_del: ['id'],
  device_add: [
    'driver',
    'netdev',
    'id',
    'mac',
    'host_mtu',
    'romfile',
    'bus',
    'addr',
    'drive',
    'serial',
    'werror',
    'rerror',
  ],
  device_del: ['id'],
  'blockdev-add': [
    'server',
    'export',
    'tls-creds',
    'open-timeout',
    'reconnect-delay',
    'driver',
    'node-name',
    'read-only',
    'overlap-check',
    'discard',
    'cache',
    'file',
    'backing',
  ],
  'blockdev-del': ['node-name'],
  transaction: ['actions'],
  block_resize: ['node-name', 'size'],
  'query-named-block-nodes': ['flat'],
  block_set_io_throttle: ['id', ...rates, ...rates.map((rate) => `${rate}_max`), 'iops_size'],
};

/** What QEMU's `throttle_is_valid` refuses. */
function requireThrottle(limits: Readonly<Record<string, unknown>>): void {
  const { bps, bps_rd, bps_wr, iops, iops_rd, iops_wr, iops_size } = limits;
  if ((bps && (bps_rd || bps_wr)) || (iops && (iops_rd || iops_wr)))
    throw new StateRefusal('bps/iops/max total values and read/write values cannot be used at the same time');
  if (iops_size && !iops && !iops_rd && !iops_wr) throw new StateRefusal('iops size requires an iops value to be set');
  for (const rate of rates) {
    const [average, burst] = [Number(limits[rate]), Number(limits[`${rate}_max`] ?? 0)];
    if (burst && !average) throw new StateRefusal('bps_max/iops_max require corresponding bps/iops values');
    if (burst && burst < average) throw new StateRefusal('bps_max/iops_max cannot be lower than bps/iops');
  }
}

const nothing = (act: (guest: SimulatedGuest) => void): Command => {
  return ({ guest }) => {
    act(guest);
    return {};
  };
};

export const commands: Readonly<Record<string, Command>> = {
  'query-version': () => ({ qemu: qemuVersion, package: qemuPackage }),
  'query-status': ({ guest: { state } }) => ({ status: state, singlestep: false, running: state === 'running' }),
  'query-name': ({ description: { name } }) => (name === undefined ? {} : { name }),
  'query-uuid': ({ description }) => ({ UUID: description.uuid }),
  'query-kvm': ({ description }) => ({ enabled: description.accelerator === 'kvm', present: true }),
  'query-cpus-fast': ({ description, pid }) =>
    Array.from({ length: description.vcpus }, (_, index) => ({
      'thread-id': pid + 1 + index,
      props: { 'core-id': index, 'thread-id': 0, 'socket-id': 0 },
      'qom-path': `/machine/unattached/device[${index}]`,
      'cpu-index': index,
      target: 'x86_64',
    })),
  'query-block': ({ description, blocks, guest }) =>
    description.disks.map((disk) => block(disk, blocks.sizeOf(disk.node), guest.state)),
  'query-blockstats': ({ description }) =>
    description.disks.map(({ id, node }) => ({
      'node-name': node.name,
      qdev: `/machine/peripheral/${id}/virtio-backend`,
      stats: {
        rd_bytes: 512,
        rd_operations: 1,
        wr_bytes: 0,
        wr_operations: 0,
        failed_rd_operations: 0,
        failed_wr_operations: 0,
      },
    })),
  'query-chardev': ({ description }) =>
    description.sockets.map(({ id, path }) => ({
      'frontend-open': true,
      filename: `${id === description.monitor?.id ? '' : 'disconnected:'}unix:${path},server=on`,
      label: id,
    })),
  'query-commands': () => ['qmp_capabilities', ...Object.keys(commands)].map((name) => ({ name })),
  block_set_io_throttle({ description, throttles }, { id, ...limits }) {
    requireThrottle(limits);
    const found = description.disks.some((disk) => id === `/machine/peripheral/${disk.id}/virtio-backend`);
    if (!found) throw new StateRefusal(`Device '${id}' not found`);
    throttles.set(String(id), limits);
    return {};
  },
  ...cardCommands,
  ...diskCommands,
  'blockdev-add': (context, args) =>
    args.driver === 'nbd' ? context.moving.addRemote(args) : diskCommands['blockdev-add'](context, args),
  'blockdev-del': (context, args) =>
    context.moving.removeRemote(args) ? {} : diskCommands['blockdev-del'](context, args),
  'query-named-block-nodes': (context) => [
    ...diskCommands['query-named-block-nodes'](context),
    ...context.moving.remotes().map((name) => ({ 'node-name': name })),
  ],
  stop: nothing((guest) => guest.pause()),
  cont: nothing((guest) => guest.resume()),
  system_reset: nothing((guest) => guest.reset()),
  system_powerdown: nothing((guest) => guest.powerButton()),
  'inject-nmi': nothing((guest) => guest.nmi()),
  ...movingCommands,
  migrate(context, { uri }) {
    if (String(uri).startsWith('tcp:')) return context.moving.migrate(String(uri));
    context.moving.forgetMemory();
    const [, path] = /^unix:(.+)$/.exec(String(uri)) ?? [];
    if (path === undefined) throw new StateRefusal(`Parameter 'uri' expects a valid migration protocol`);
    if (context.guest.state === 'postmigrate') {
      throw new StateRefusal("Can't migrate the vm that was paused due to previous migration");
    }
    context.outgoing = new Outgoing(path, context.guest, context.description);
    return {};
  },
  'query-migrate'({ outgoing, moving }) {
    const sent = moving.sent();
    if (sent) return sent;
    if (!outgoing) return {};
    const { status, error, bytes } = outgoing;
    const remaining = status === 'active' ? bytes : 0;
    return { status, ...(error !== undefined && { 'error-desc': error }), ram: { total: bytes, remaining } };
  },
  migrate_cancel({ outgoing, moving }) {
    moving.cancelMemory();
    outgoing?.cancel();
    return {};
  },
  quit: ({ event, end, afterAnswer }) => {
    event('SHUTDOWN', { guest: false, reason: 'host-qmp-quit' satisfies ShutdownReason });
    afterAnswer(end);
    return {};
  },
};

function block({ id, node }: MachineDescription['disks'][number], virtualSize: number, state: string) {
  const file = node.driver === 'file' ? node : node.file;
  const filename = file.driver === 'file' ? file.filename : '';
  return {
    'io-status': state === 'io-error' ? 'nospace' : 'ok',
    device: '',
    locked: false,
    removable: false,
    inserted: {
      'node-name': node.name,
      drv: node.driver,
      ro: node.readOnly,
      file: filename,
      backing_file_depth: node.driver !== 'file' && node.backing ? 1 : 0,
      encrypted: false,
      detect_zeroes: 'off',
      cache: { 'no-flush': false, direct: false, writeback: true },
      ...{ bps: 0, bps_rd: 0, bps_wr: 0, iops: 0, iops_rd: 0, iops_wr: 0, write_threshold: 0 },
      image: { filename, format: node.driver, 'virtual-size': virtualSize },
    },
    qdev: id === undefined ? '' : `/machine/peripheral/${id}/virtio-backend`,
    type: 'unknown',
  };
}

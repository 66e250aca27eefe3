/**
 * What Nova calls the state of a server: functions of what is desired and what was observed. Pure, and each table total.
 *
 * Nova keeps vm_state, task_state and power_state as columns that many processes write; here nobody writes them, so they can't
 * contradict the truth or each other. Their SQL twins for lists are in states-sql.ts; a test holds the two together.
 */
import type { ServerFault, ServerImage, ServerSize } from './snapshots.ts';

export const powers = ['on', 'off', 'paused', 'suspended'] as const;
/** What a server's machine shall be, or was last seen to be. suspended: its memory is a file, and no QEMU runs. */
export type Power = (typeof powers)[number];

/** What hosts report, see contract/host/server.ts; none: nothing yet. */
export type ObservedState = 'none' | 'building' | 'running' | 'stopped' | 'paused' | 'suspended' | 'absent' | 'failed';

/** A rescue: the image that it boots from, as it was. */
export interface ServerRescue {
  /** The generation that asked for it: tells one rescue from the next. */
  count: number;
  image_id: string;
  image: ServerImage;
}

/** A resize until it is confirmed; its count is the generation that asked for it. */
export interface ServerResize {
  count: number;
  state: 'kept' | 'reverted';
  /** What a revert brings back. */
  before: ServerSize;
}

/** An image that is being made of its disk. */
export interface ServerCapture {
  image_id: string;
  kind: 'image' | 'backup' | 'shelve';
  /** Of backups: daily, …, and how many are kept. */
  backup_type?: string;
  keep?: number;
}

/** A server whose disk becomes an image, so that its host can do without it. */
export interface ServerShelve {
  /** Null: it boots from a volume, which stays where it is; it is only switched off. */
  image_id: string | null;
  /**
   * saving: its host makes the image; saved: it is off, and could go; offloading: its host removes it; offloaded: it has no host;
   * unshelving: it shall run again, until it does.
   */
  state: 'saving' | 'saved' | 'offloading' | 'offloaded' | 'unshelving';
  /** What it goes back to where there is no image to be had of it. */
  power: 'on' | 'off';
  /** Seconds from the image to the offload; below 0: it stays until somebody offloads it. */
  offload_after: number;
  /** When it goes from its host by itself, or was told to. */
  offload_at?: string;
  /** Since it is saved. */
  image?: ServerImage;
  /** It is unshelved from having no host. */
  offloaded?: true;
}

/** Its way to another host (control/compute/server-migration). */
export interface ServerMove {
  migration_id: string;
  kind: MoveKind;
  /**
   * moving: it is still where it was; moved: it is there and not yet what it shall be; kept: it is, and can go back; reverting: it goes
   * back. Of a live migration only the first.
   */
  state: 'moving' | 'moved' | 'kept' | 'reverting';
}

export type MoveKind = 'resize' | 'migration' | 'live-migration';

/** What the derived states are made of. */
export interface ServerState {
  host_id: string | null;
  generation: number;
  desired_presence: 'present' | 'absent';
  desired_power: Power;
  desired_reboot_count: number;
  desired_reboot_type: 'soft' | 'hard';
  desired_rescue: ServerRescue | null;
  /** The generation of the last rebuild; 0: none. */
  desired_root_count: number;
  desired_capture: ServerCapture | null;
  desired_resize: Pick<ServerResize, 'count' | 'state'> | null;
  desired_shelve: ServerShelve | null;
  desired_move: ServerMove | null;
  desired_verb: string;
  soft_deleted_at: Date | null;
  observed_generation: number;
  observed_state: ObservedState;
  observed_power: Power | null;
  observed_reboot_count: number;
  observed_rescue_count: number;
  observed_root_count: number;
  observed_resize_count: number;
  /** Why its host does not get on, while it tries again. */
  observed_error: { code: string } | null;
  fault: ServerFault | null;
  launched_at: Date | null;
}

/** nova/compute/vm_states.py */
export type VmState =
  | 'active'
  | 'building'
  | 'paused'
  | 'suspended'
  | 'stopped'
  | 'rescued'
  | 'resized'
  | 'soft-delete'
  | 'deleted'
  | 'error'
  | 'shelved'
  | 'shelved_offloaded';

/** nova/compute/task_states.py, those that a server can be in here. */
export type TaskState =
  | 'scheduling'
  | 'spawning'
  | 'image_snapshot'
  | 'image_pending_upload'
  | 'image_uploading'
  | 'image_backup'
  | 'updating_password'
  | 'resize_prep'
  | 'resize_migrating'
  | 'resize_migrated'
  | 'resize_finish'
  | 'resize_reverting'
  | 'resize_confirming'
  | 'rebooting'
  | 'rebooting_hard'
  | 'pausing'
  | 'unpausing'
  | 'suspending'
  | 'resuming'
  | 'powering-off'
  | 'powering-on'
  | 'rescuing'
  | 'unrescuing'
  | 'rebuilding'
  | 'rebuild_spawning'
  | 'migrating'
  | 'deleting'
  | 'soft-deleting'
  | 'restoring'
  | 'shelving'
  | 'shelving_image_pending_upload'
  | 'shelving_image_uploading'
  | 'shelving_offloading'
  | 'unshelving'
  | null;

/** nova/api/openstack/common.py, _STATE_MAP: a vm_state's status, and where a task changes it. */
export const statuses = {
  active: {
    default: 'ACTIVE',
    rebooting: 'REBOOT',
    rebooting_hard: 'HARD_REBOOT',
    updating_password: 'PASSWORD',
    rebuilding: 'REBUILD',
    rebuild_spawning: 'REBUILD',
    migrating: 'MIGRATING',
    resize_prep: 'RESIZE',
    resize_migrating: 'RESIZE',
    resize_migrated: 'RESIZE',
    resize_finish: 'RESIZE',
    // Here a server that is being reverted is no longer resized as soon as its disk is what it was.
    resize_reverting: 'REVERT_RESIZE',
  },
  building: { default: 'BUILD' },
  stopped: {
    default: 'SHUTOFF',
    resize_prep: 'RESIZE',
    resize_migrating: 'RESIZE',
    resize_migrated: 'RESIZE',
    resize_finish: 'RESIZE',
    rebuilding: 'REBUILD',
    rebuild_spawning: 'REBUILD',
    resize_reverting: 'REVERT_RESIZE',
  },
  resized: { default: 'VERIFY_RESIZE', resize_finish: 'RESIZE', resize_reverting: 'REVERT_RESIZE' },
  paused: { default: 'PAUSED', migrating: 'MIGRATING' },
  suspended: { default: 'SUSPENDED' },
  rescued: { default: 'RESCUE' },
  error: { default: 'ERROR', rebuilding: 'REBUILD', rebuild_spawning: 'REBUILD' },
  deleted: { default: 'DELETED' },
  'soft-delete': { default: 'SOFT_DELETED' },
  shelved: { default: 'SHELVED' },
  shelved_offloaded: { default: 'SHELVED_OFFLOADED' },
} as const satisfies Record<VmState, { default: string } & Partial<Record<Exclude<TaskState, null>, string>>>;

type StatusTable = typeof statuses;
type ValuesOf<T> = T extends Record<string, infer V> ? V : never;
export type ServerStatus = { [Vm in VmState]: ValuesOf<StatusTable[Vm]> }[VmState];

const allStatuses: ReadonlySet<string> = new Set(Object.values(statuses).flatMap((byTask) => Object.values(byTask)));

export const isServerStatus = (text: string): text is ServerStatus => allStatuses.has(text);

/** What a host reports of a server whose power is as desired. */
export const stateOfPower = {
  on: 'running',
  off: 'stopped',
  paused: 'paused',
  suspended: 'suspended',
} as const satisfies Record<Power, ObservedState>;

const rescueWanted = ({ desired_rescue }: ServerState): number => desired_rescue?.count ?? 0;

/** Before which resize its host shall keep the disk; 0: none. */
const resizeWanted = ({ desired_resize: resize }: ServerState): number => (resize?.state === 'kept' ? resize.count : 0);

/** Is the reported world what the services asked for, of this very generation? */
export function isSatisfied(server: ServerState): boolean {
  const { desired_presence: presence, desired_shelve: shelve, desired_move: move } = server;
  // Nobody else has a word in it: it has no host.
  if (presence === 'present' && shelve?.state === 'offloaded') return true;
  if (server.observed_generation < server.generation) return false;
  if (presence === 'absent') return server.observed_state === 'absent';
  // Until the controller has taken it from its host.
  if (shelve?.state === 'offloading') return false;
  // Until it is where it shall be.
  if (move?.state === 'moving' || move?.state === 'reverting') return false;
  if (server.observed_state !== stateOfPower[server.desired_power]) return false;
  if (server.observed_rescue_count !== rescueWanted(server)) return false;
  if (server.observed_resize_count !== resizeWanted(server)) return false;
  if (server.observed_root_count < server.desired_root_count || server.desired_capture) return false;
  return server.desired_power !== 'on' || server.observed_reboot_count >= server.desired_reboot_count;
}

export const vmStateOfPower = {
  on: 'active',
  off: 'stopped',
  paused: 'paused',
  suspended: 'suspended',
} as const satisfies Record<Power, VmState>;

export function vmState(server: ServerState, deleted = false): VmState {
  if (deleted) return 'deleted';
  if (server.soft_deleted_at) return 'soft-delete';
  if (server.fault) return 'error';
  if (server.launched_at === null) return 'building';
  const shelved = server.desired_shelve && shelvedState(server.desired_shelve);
  if (shelved) return shelved;
  if (server.observed_rescue_count > 0) return 'rescued';
  if (server.observed_resize_count > 0) return 'resized';
  if (server.desired_move?.state === 'kept' || server.desired_move?.state === 'reverting') return 'resized';
  return vmStateOfPower[server.observed_power ?? 'on'];
}

/** Null: it is what it was before, until the image of its disk is there. */
function shelvedState({ state, offloaded }: ServerShelve): 'shelved' | 'shelved_offloaded' | null {
  if (state === 'saving') return null;
  return state === 'offloaded' || offloaded ? 'shelved_offloaded' : 'shelved';
}

/** What is under way from one power (across: last seen) to another (down: desired). */
export const powerTasks = {
  on: { on: null, off: 'powering-on', paused: 'unpausing', suspended: 'resuming' },
  off: { on: 'powering-off', off: null, paused: 'powering-off', suspended: 'powering-off' },
  paused: { on: 'pausing', off: 'pausing', paused: null, suspended: 'pausing' },
  suspended: { on: 'suspending', off: 'suspending', paused: 'suspending', suspended: null },
} as const satisfies Record<Power, Record<Power, TaskState>>;

export function taskState(server: ServerState, deleted = false): TaskState {
  if (deleted) return null;
  if (server.desired_presence === 'absent') return 'deleting';
  if (server.launched_at === null) {
    if (server.fault) return null;
    return server.host_id === null ? 'scheduling' : 'spawning';
  }
  if (isSatisfied(server) || (server.fault && server.fault.generation >= server.generation)) return null;
  return taskUnderWay(server);
}

function taskUnderWay(server: ServerState): TaskState {
  if (server.soft_deleted_at) return 'soft-deleting';
  const { desired_shelve: shelve } = server;
  if (shelve && shelve.state !== 'saved') return shelveTask(server, shelve.state);
  if (server.desired_move && server.desired_move.state !== 'kept') return moveTask(server, server.desired_move);
  if (server.desired_capture) return captureTask(server, server.desired_capture);
  if (server.desired_verb === 'restore') return 'restoring';
  if (server.desired_verb === 'resize') return resizeTask(server);
  if (server.desired_verb === 'revertResize') return 'resize_reverting';
  if (server.desired_verb === 'confirmResize') return null;
  if (server.desired_verb === 'rebuild') return rebuildTask(server);
  if (server.desired_verb === 'evacuate') return server.observed_state === 'none' ? 'rebuilding' : 'rebuild_spawning';
  if (server.observed_rescue_count !== rescueWanted(server)) return server.desired_rescue ? 'rescuing' : 'unrescuing';
  if (server.desired_power === 'on' && server.observed_reboot_count < server.desired_reboot_count) {
    return server.desired_reboot_type === 'soft' ? 'rebooting' : 'rebooting_hard';
  }
  return powerTasks[server.desired_power][server.observed_power ?? 'on'];
}

/** From when its host has heard of it. */
const captureTask = (server: ServerState, { kind }: ServerCapture): TaskState =>
  server.observed_generation < server.generation ? captureTasks[kind] : 'image_uploading';

export const captureTasks = {
  image: 'image_snapshot',
  backup: 'image_backup',
  shelve: 'shelving',
} as const satisfies Record<ServerCapture['kind'], TaskState>;

/** The disk is not copied before the guest is off. */
const shelveTask = (server: ServerState, state: ServerShelve['state']): TaskState => {
  if (state !== 'saving') return shelveTasks[state];
  const copying = server.observed_generation >= server.generation && server.observed_power === 'off';
  return copying ? 'shelving_image_uploading' : 'shelving';
};

export const shelveTasks = {
  ...{ saving: 'shelving', saved: null, offloading: 'shelving_offloading' },
  ...{ offloaded: null, unshelving: 'unshelving' },
} as const satisfies Record<ServerShelve['state'], TaskState>;

const resizeTask = (server: ServerState): TaskState => {
  if (server.observed_generation < server.generation) return 'resize_prep';
  return server.observed_resize_count === resizeWanted(server) ? 'resize_finish' : 'resize_migrating';
};

/** A guest that goes cold is shut down first. */
const moveTask = (server: ServerState, { kind, state }: ServerMove): TaskState => {
  if (kind === 'live-migration') return 'migrating';
  if (state !== 'moving') return moveTasks[state];
  return server.observed_power === 'off' ? 'resize_migrating' : 'resize_prep';
};

export const moveTasks = { moved: 'resize_finish', kept: null, reverting: 'resize_reverting' } as const;

/** A rebuild lasts until the guest is as it was before: on or off. */
const rebuildTask = (server: ServerState): TaskState =>
  server.observed_root_count < server.desired_root_count ? 'rebuilding' : 'rebuild_spawning';

/** Nova's numbers (nova/objects/fields.py, InstancePowerState): running, paused, shut down, suspended. */
export const powerStates = { on: 1, paused: 3, off: 4, suspended: 7 } as const satisfies Record<Power, number>;

/** A host's word for a guest that stands still until what it waits for is there: room for what it writes. */
export const standsStill = 'guest_paused';

/** 0: no state yet. One that stands still by no wish is paused in this number alone, as in Nova (sync_power_states). */
export function powerState(server: ServerState): 0 | (typeof powerStates)[Power] {
  if (server.observed_power === 'on' && server.observed_error?.code === standsStill) return powerStates.paused;
  return server.observed_power === null ? 0 : powerStates[server.observed_power];
}

export function serverStatus(server: ServerState, deleted = false): ServerStatus {
  const table: { default: ServerStatus } & Partial<Record<string, ServerStatus>> = statuses[vmState(server, deleted)];
  return table[taskState(server, deleted) ?? 'default'] ?? table.default;
}

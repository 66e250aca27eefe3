/**
 * A server: its row, and everything that follows from the row alone. Pure.
 *
 * Nova keeps vm_state, task_state and power_state as columns that many processes write; here they are functions of what is
 * desired and what was observed, so they can't contradict either.
 */

import type { Selectable } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import type { ServerTable } from './tables.ts';

export interface FlavorSnapshot {
  id: string;
  name: string;
  vcpus: number;
  memory_mib: number;
  disk_gib: number;
  ephemeral_gib: number;
  swap_mib: number;
  extra_specs: Record<string, string>;
}

export interface KeySnapshot {
  name: string;
  public_key: string;
  type: 'ssh' | 'x509';
}

export interface ServerImage {
  format: 'raw' | 'qcow2';
  size_bytes: number;
  sha256: string;
}

/**
 * Why the last operation failed. `no_capacity`: no host could take it; `host`: the host gave up; `deadline`: nobody
 * finished in time; `reset`: an administrator said so (os-resetState).
 */
export interface ServerFault {
  reason: 'no_capacity' | 'host' | 'deadline' | 'reset' | 'internal';
  /** What the tenant may read. */
  message: string;
  at: string;
  generation: number;
  /** For administrators. */
  details?: string;
}

export const faultOf = (reason: ServerFault['reason'], message: string, generation: number): ServerFault => ({
  reason,
  message,
  at: new Date().toISOString(),
  generation,
});

/** What the derived states are made of. */
export interface ServerState {
  host_id: string | null;
  generation: number;
  desired_presence: 'present' | 'absent';
  desired_power: 'on' | 'off';
  desired_reboot_count: number;
  desired_reboot_type: 'soft' | 'hard';
  observed_generation: number;
  observed_state: 'none' | 'building' | 'running' | 'stopped' | 'absent' | 'failed';
  observed_power: 'on' | 'off' | null;
  observed_reboot_count: number;
  fault: ServerFault | null;
  launched_at: Date | null;
}

/** The whole row, as the store reads it. */
export type ServerRow = Selectable<ServerTable>;

/** A row with what is known of its host; `deleted_at` only where deleted servers were asked for. */
export interface ShownServer extends ServerRow {
  host_name: string | null;
  host_zone: string | null;
  host_connected: boolean | null;
  host_enabled: boolean | null;
  deleted_at: Date | null;
}

export type VmState = 'building' | 'active' | 'stopped' | 'error' | 'deleted';
export type TaskState =
  | 'scheduling'
  | 'spawning'
  | 'powering-on'
  | 'powering-off'
  | 'rebooting'
  | 'rebooting_hard'
  | 'deleting'
  | null;
export type ServerStatus = 'BUILD' | 'ACTIVE' | 'SHUTOFF' | 'REBOOT' | 'HARD_REBOOT' | 'ERROR' | 'DELETED';

/** Is the reported world what the services asked for, of this very generation? */
export function isSatisfied(server: ServerState): boolean {
  if (server.observed_generation < server.generation) return false;
  if (server.desired_presence === 'absent') return server.observed_state === 'absent';
  if (server.desired_power === 'off') return server.observed_state === 'stopped';
  return server.observed_state === 'running' && server.observed_reboot_count >= server.desired_reboot_count;
}

export function vmState(server: ServerState, deleted = false): VmState {
  if (deleted) return 'deleted';
  if (server.fault) return 'error';
  if (server.launched_at === null) return 'building';
  return server.observed_power === 'off' ? 'stopped' : 'active';
}

export function taskState(server: ServerState, deleted = false): TaskState {
  if (deleted) return null;
  if (server.desired_presence === 'absent') return 'deleting';
  if (server.launched_at === null) {
    if (server.fault) return null;
    return server.host_id === null ? 'scheduling' : 'spawning';
  }
  if (isSatisfied(server) || (server.fault && server.fault.generation >= server.generation)) return null;
  if (server.desired_power === 'off') return server.observed_power === 'off' ? null : 'powering-off';
  if (server.observed_reboot_count < server.desired_reboot_count) {
    return server.desired_reboot_type === 'soft' ? 'rebooting' : 'rebooting_hard';
  }
  return server.observed_power === 'off' ? 'powering-on' : null;
}

/** Nova's power_state numbers: 0 no state, 1 running, 4 shut down. */
export function powerState(server: ServerState): 0 | 1 | 4 {
  if (server.observed_power === null) return 0;
  return server.observed_power === 'on' ? 1 : 4;
}

export function serverStatus(server: ServerState, deleted = false): ServerStatus {
  const vm = vmState(server, deleted);
  const task = taskState(server, deleted);
  switch (vm) {
    case 'deleted':
      return 'DELETED';
    case 'error':
      return 'ERROR';
    case 'building':
      return 'BUILD';
    case 'stopped':
      return 'SHUTOFF';
    case 'active':
      if (task === 'rebooting') return 'REBOOT';
      if (task === 'rebooting_hard') return 'HARD_REBOOT';
      return 'ACTIVE';
  }
}

export type PowerVerb = 'start' | 'stop' | 'reboot soft' | 'reboot hard';

/** When each verb is legal: Nova's own table (nova/compute/api.py, check_instance_state). */
const legal: Readonly<Record<PowerVerb, { vm: readonly VmState[]; task: readonly TaskState[] }>> = {
  start: { vm: ['stopped'], task: [null] },
  stop: { vm: ['active', 'error'], task: [null] },
  'reboot soft': { vm: ['active'], task: [null] },
  'reboot hard': { vm: ['active', 'stopped', 'error'], task: [null, 'rebooting', 'rebooting_hard'] },
};

/**
 * @param call what the caller named the action, for the message
 * @throws CloudError `conflict` when the server's state does not allow the verb now
 */
export function requireLegal(server: ServerState & { id: string }, verb: PowerVerb, call: string): void {
  const vm = vmState(server);
  const task = taskState(server);
  const refuse = (attribute: 'vm_state' | 'task_state', value: string | null) => {
    throw new CloudError('conflict', 'server_state_conflict', { id: server.id, call, attribute, value });
  };
  if (!legal[verb].vm.includes(vm)) refuse('vm_state', vm);
  if (!legal[verb].task.includes(task)) refuse('task_state', task);
  if (server.host_id === null) {
    throw new CloudError('conflict', 'server_never_placed', { id: server.id, call });
  }
}

/** A DNS label made from a name of any script, as Nova's sanitize_hostname makes it; the id helps where nothing is left. */
export function hostnameFrom(name: string, id: string): string {
  const label = name
    .slice(0, 63)
    .replace(/[ _.]/g, '-')
    .replace(/[^A-Za-z0-9-]+/g, '')
    .toLowerCase()
    .replace(/^[.-]+|[.-]+$/g, '');
  return label === '' ? `server-${id}` : label;
}

/** How long each operation may take before the server shows ERROR (delete: before the row goes without its host's word). */
export const deadlinesMs = {
  create: 10 * 60_000,
  start: 3 * 60_000,
  stop: 3 * 60_000,
  'reboot soft': 5 * 60_000,
  'reboot hard': 3 * 60_000,
  delete: 60_000,
} as const;

/** A host that is away for less than this is waited for: its process or ours is being restarted. */
export const hostAwayMs = 30_000;

/** A connected host that keeps failing to remove a guest is waited for this long; then it is its own affair (server_absence). */
export const stubbornHostMs = 5 * 60_000;

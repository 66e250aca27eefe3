/**
 * When each verb is legal: Nova's own table (nova/compute/api.py, check_instance_state), all verbs in one place. Pure.
 * Verbs have the names that Nova's instance actions have; one that is not offered yet is here all the same.
 */
import { CloudError } from '../../../contract/errors.ts';
import { type ServerState, type TaskState, taskState, type VmState, vmState } from './states.ts';

interface Rule {
  vm: readonly VmState[] | 'any';
  task: readonly TaskState[] | 'any';
  /** Also of a server that never had a host. */
  unplaced?: true;
  /** Also of one whose disk is an image, or becomes one, in ERROR too: nothing may run on what is still there of it. */
  shelved?: true;
}

const idle = [null] as const;
const running = ['active', 'stopped', 'paused', 'suspended'] as const;
const withVolumes = ['active', 'paused', 'stopped', 'resized', 'soft-delete', 'shelved', 'shelved_offloaded'] as const;
const any = { vm: 'any', task: 'any', unplaced: true, shelved: true } as const;

export const legal = {
  start: { vm: ['stopped'], task: idle },
  stop: { vm: ['active', 'error'], task: idle },
  'reboot soft': { vm: ['active'], task: idle },
  'reboot hard': {
    vm: ['active', 'stopped', 'paused', 'suspended', 'error'],
    task: [null, 'rebooting', 'resuming', 'rebooting_hard', 'unpausing', 'pausing', 'suspending'],
  },
  pause: { vm: ['active'], task: idle },
  unpause: { vm: ['paused'], task: idle },
  suspend: { vm: ['active'], task: idle },
  resume: { vm: ['suspended'], task: idle },
  rescue: { vm: ['active', 'stopped', 'error'], task: idle },
  unrescue: { vm: ['rescued'], task: idle },
  rebuild: { vm: ['active', 'stopped', 'error'], task: idle },
  resize: { vm: ['active', 'stopped'], task: idle },
  confirmResize: { vm: ['resized'], task: idle },
  // Of one in ERROR only where it has come to another host, which may be lost; see actions/resize.ts.
  revertResize: { vm: ['resized', 'error'], task: idle },
  migrate: { vm: ['active', 'stopped'], task: idle },
  'live-migration': { vm: ['active', 'paused'], task: idle },
  // Of a migration that is under way.
  steer_migration: { vm: ['active', 'paused'], task: ['migrating'] },
  evacuate: { vm: ['active', 'stopped', 'error'], task: idle },
  shelve: { vm: running, task: idle },
  shelveOffload: { vm: ['shelved'], task: idle, shelved: true },
  unshelve: { vm: ['shelved', 'shelved_offloaded'], task: idle, unplaced: true, shelved: true },
  createImage: { vm: running, task: idle },
  createBackup: { vm: running, task: idle },
  changePassword: { vm: ['active'], task: idle },
  trigger_crash_dump: { vm: ['active', 'paused', 'rescued', 'resized', 'error'], task: idle },
  // Nothing of the server changes by it, so whatever else is under way may go on.
  console: { vm: ['active', 'paused', 'rescued', 'resized'], task: 'any' },
  attach_interface: { vm: ['active', 'paused', 'stopped'], task: idle },
  detach_interface: { vm: ['active', 'paused', 'stopped'], task: idle },
  addFixedIp: { vm: ['active', 'paused', 'stopped'], task: idle },
  removeFixedIp: { vm: ['active', 'paused', 'stopped'], task: idle },
  attach_volume: { vm: withVolumes, task: idle, unplaced: true, shelved: true },
  detach_volume: { vm: withVolumes, task: idle, unplaced: true, shelved: true },
  update_attachment: any,
  restore: { vm: ['soft-delete'], task: idle, unplaced: true, shelved: true },
  evacuationPolicy: any,
  // Always accepted: nothing is ever stuck.
  delete: any,
  'soft delete': any,
  lock: any,
  unlock: any,
  resetState: any,
} as const satisfies Record<string, Rule>;

export type Verb = keyof typeof legal;

/**
 * @param call what the caller named the action, for the message
 * @throws CloudError `conflict` when the server's state does not allow the verb now
 */
export function requireLegal(server: ServerState & { id: string }, verb: Verb, call: string = verb): void {
  const rule: Rule = legal[verb];
  const [vm, task] = [vmState(server), taskState(server)];
  const refuse = (attribute: 'vm_state' | 'task_state', value: string | null) => {
    throw new CloudError('conflict', 'server_state_conflict', { id: server.id, call, attribute, value });
  };
  if (rule.vm !== 'any' && !rule.vm.includes(vm)) refuse('vm_state', vm);
  if (rule.task !== 'any' && !rule.task.includes(task)) refuse('task_state', task);
  const { desired_shelve: shelve } = server;
  if (shelve && shelve.state !== 'unshelving' && !rule.shelved) refuse('vm_state', 'shelved');
  if (server.host_id === null && !rule.unplaced) {
    throw new CloudError('conflict', 'server_never_placed', { id: server.id, call });
  }
}

/**
 * What people do to a server that is there, as values: a file for each in this folder. An action decides in one transaction, on
 * the locked row, what shall be; hosts make it so, and what it is called meanwhile follows from the row (../states.ts).
 * Nobody waits here, and no step of it is stored: after any crash the row says what is still to be done.
 */
import type { Logger } from 'pino';
import { CloudError } from '../../../../contract/errors.ts';
import type { ServerId } from '../../../../contract/ids.ts';
import {
  actorOf,
  type Caller,
  isAdmin,
  requireAdmin,
  requireManager,
  requireProject,
  requireProjectMember,
} from '../../../kit/caller.ts';
import type { Actor, Database, Tx } from '../../../kit/database/database.ts';
import { beginOperation, recordOperation } from '../../../kit/operation/operations.ts';
import { enqueue } from '../../../kit/queue/queue.ts';
import { notFound } from '../../../kit/refusal.ts';
import { bindPorts } from '../binding.ts';
import type { ServerHosts, ServerImages, ServerPorts } from '../dependencies.ts';
import { requireLegal, type Verb } from '../legal.ts';
import type { ServerRow } from '../server.ts';
import { type DesiredChange, lockServer, type Reach, updateDesired } from '../store.ts';

export interface ActionDependencies {
  database: Database;
  ports: ServerPorts;
  images: ServerImages;
  hosts: ServerHosts;
  log: Logger;
  /** Nova's reclaim_instance_interval: how long a deleted server can be restored. 0: not at all. */
  reclaimSeconds?: number;
  /** Nova's shelved_offload_time: for how long a shelved server stays on its host; below 0: until it is offloaded. Absent: 0. */
  shelvedOffloadSeconds?: number;
}

/** Where an action decides. */
export interface ActionWork {
  tx: Tx;
  caller: Caller;
  deps: ActionDependencies;
  /** What a refusal leaves: it is recorded when the transaction has come to nothing. */
  refusing?(record: (tx: Tx) => Promise<unknown>): void;
}

/** `done`: it has happened in this transaction, and no host is needed for it. Undefined: there was nothing to do. */
export type Decision = DesiredChange | 'done' | undefined;

export interface ServerAction<Argument = undefined> {
  verb: Verb;
  /** What callers name it, where that is not the verb's own name; for refusals. */
  call?: string;
  /** What a caller who may not is told that it could not do: `pause a server`. */
  doing: string;
  /** Administrators only, or managers of the project too. */
  needs?: 'admin' | 'manager';
  /** Also of a server that is locked. */
  locked?: true;
  /** How long it may take until the server shows ERROR. */
  deadlineMs: number;
  decide(work: ActionWork, server: ServerRow, argument: Argument): Decision | Promise<Decision>;
}

/** Most: something is asked of the host that takes it moments. */
export const shortlyMs = 3 * 60_000;
/** What moves as many bytes as a server's memory or disk has. */
export const bytesMs = 10 * 60_000;

/** Rights, lock, legality, then the decision: all or nothing. */
export async function act<Argument>(
  deps: ActionDependencies,
  caller: Caller,
  id: ServerId,
  action: ServerAction<Argument>,
  argument: Argument,
): Promise<void> {
  const records: ((tx: Tx) => Promise<unknown>)[] = [];
  const refusing: ActionWork['refusing'] = (record) => void records.push(record);
  const accepted = onLockedServer(deps, caller, id, action.doing, async (tx, server) => {
    if (action.needs === 'admin') requireAdmin(caller, action.doing);
    if (action.needs === 'manager') requireManager(caller, action.doing);
    if (!action.locked) requireUnlocked(caller, server);
    requireLegal(server, action.verb, action.call);
    const decision = await action.decide({ tx, caller, deps, refusing }, server, argument);
    if (decision === undefined) return;
    const { verb } = action;
    const about = { projectId: server.project_id, resourceType: 'server', resourceId: server.id, verb };
    if (decision === 'done') {
      await recordOperation(tx, actorOf(caller), { ...about, generation: server.generation });
      return;
    }
    const asked = { verb, actor: actorOf(caller), deadlineMs: action.deadlineMs };
    const generation = await accept(tx, deps, server, decision, asked);
    deps.log.info({ requestId: caller.requestId, serverId: server.id, verb, generation }, 'server operation accepted');
  });
  await accepted.catch(async (error: unknown) => {
    for (const record of records) await deps.database.transaction(actorOf(caller), record);
    throw error;
  });
}

export interface Asked {
  verb: Verb;
  actor: Actor;
  deadlineMs: number;
}

/** What was decided is what shall be from now on. @returns the generation that says so */
export async function accept(
  tx: Tx,
  { ports }: Pick<ActionDependencies, 'ports'>,
  server: ServerRow,
  decision: DesiredChange,
  { verb, actor, deadlineMs }: Asked,
): Promise<number> {
  const generation = await updateDesired(tx, server.id, verb, decision);
  const placed = server.host_id !== null;
  if (decision.size?.hardware) await bindPorts(tx, ports, { ...server, hardware: decision.size.hardware });
  await beginOperation(tx, actor, {
    ...{ projectId: server.project_id, resourceType: 'server', resourceId: server.id, verb, generation, deadlineMs },
    owner: placed ? `host ${server.host_id}` : 'control',
    waitingFor: placed ? 'the host to hear of it' : 'a host to be chosen',
  });
  await enqueue(tx, 'server', server.id);
  return generation;
}

/** Locks the row, checks rights, works. Hidden servers are not found; visible ones may be forbidden. */
export async function onLockedServer<T>(
  deps: Pick<ActionDependencies, 'database'>,
  caller: Caller,
  id: ServerId,
  doing: string,
  work: (tx: Tx, server: ServerRow) => Promise<T>,
): Promise<T> {
  return deps.database.transaction(actorOf(caller), async (tx) => {
    const server = await lockServer(tx, reachOf(caller), id);
    if (!server) throw notFound('server', id);
    if (!isAdmin(caller)) requireProjectMember(caller, doing);
    return work(tx, server);
  });
}

export function reachOf(caller: Caller): Reach {
  return isAdmin(caller) ? 'all' : { projectId: requireProject(caller, 'see a server') };
}

/** What its TPM knows goes with its disk (host/server/steps/disks.ts); Nova refuses the same acts. @throws CloudError `conflict` */
export function requireNoTpm({ id, hardware }: ServerRow, call: string): void {
  if (hardware.tpm) throw new CloudError('conflict', 'server_with_tpm', { id, call });
}

export function requireUnlocked(caller: Caller, server: ServerRow): void {
  if (server.locked && !isAdmin(caller)) throw new CloudError('conflict', 'server_locked', { id: server.id });
}

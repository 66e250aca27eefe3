/**
 * What the dialects may do with servers. Decides and writes desired state; never waits for a host.
 *
 * Owns the desired_* columns, notes and labels. If the process dies, a transaction has happened or has not.
 */
import type { Logger } from 'pino';
import { CloudError } from '../../../contract/errors.ts';
import type { ServerId } from '../../../contract/ids.ts';
import { endpointOf } from '../../host/index.ts';
import { actorOf, type Caller, isAdmin, requireAdmin, requireProject, requireProjectMember } from '../../kit/caller.ts';
import type { Database, Tx } from '../../kit/database/database.ts';
import { beginOperation } from '../../kit/operation/operations.ts';
import { enqueue } from '../../kit/queue/queue.ts';
import { notFound } from '../../kit/refusal.ts';
import type { ServerInterface } from '../../network/port/server-views.ts';
import { type CreatedServers, checkMetadata, createServers, type ServerWish } from './create.ts';
import type { ServerHosts, ServerImages, ServerPorts } from './dependencies.ts';
import { listServers, type ServerFilter } from './list.ts';
import {
  addServerSecurityGroup,
  projectSecurityGroups,
  removeServerSecurityGroup,
  type ServerSecurityGroup,
  serverSecurityGroups,
} from './security-groups.ts';
import {
  deadlinesMs,
  type PowerVerb,
  requireLegal,
  type ServerFault,
  type ServerRow,
  type ShownServer,
  vmState,
} from './server.ts';
import {
  type DesiredChange,
  findServer,
  lockServer,
  type Reach,
  type ServerNotes,
  type ServerOperation,
  type ServerPortRow,
  serverOperations,
  serverPorts,
  updateDesired,
  updateNotes,
  userDataOf,
} from './store.ts';

export interface ServerServiceOptions {
  database: Database;
  ports: ServerPorts;
  images: ServerImages;
  hosts: ServerHosts;
  log: Logger;
}

export const maxTags = 50;

export class ServerService {
  readonly #options: ServerServiceOptions;

  constructor(options: ServerServiceOptions) {
    this.#options = options;
  }

  /** @throws CloudError `invalid`, `forbidden`, `conflict`, `quota_exceeded` */
  create(caller: Caller, wish: ServerWish): Promise<CreatedServers> {
    return createServers(this.#options, caller, wish);
  }

  /** @param options.allProjects administrators only */
  async list(caller: Caller, filter: ServerFilter, options: { allProjects: boolean }): Promise<ShownServer[]> {
    if (options.allProjects) requireAdmin(caller, 'list the servers of all projects');
    if (filter.which === 'deleted') requireAdmin(caller, 'list deleted servers');
    const reach: Reach = options.allProjects ? 'all' : { projectId: requireProject(caller, 'list servers') };
    return listServers(this.#options.database.query, reach, filter);
  }

  /** @throws CloudError `not_found`, also for a server that is hidden from the caller */
  async get(caller: Caller, id: ServerId): Promise<ShownServer> {
    const server = await findServer(this.#options.database.query, reachOf(caller), id);
    if (!server) throw notFound('server', id);
    return server;
  }

  /** Interfaces with addresses of many servers, one query. Ask only for servers that the caller may see. */
  interfaces(ids: ServerId[]): Promise<Map<ServerId, ServerInterface[]>> {
    return ids.length === 0
      ? Promise.resolve(new Map())
      : this.#options.ports.serverAddresses(this.#options.database.query, ids);
  }

  /** Ports of one server with their addresses, for those who want more than the addresses. */
  async ports(caller: Caller, id: ServerId): Promise<ServerPortRow[]> {
    await this.get(caller, id);
    return serverPorts(this.#options.database.query, id);
  }

  /** Security groups of all of a server's ports, each once. */
  async securityGroups(caller: Caller, id: ServerId): Promise<ServerSecurityGroup[]> {
    await this.get(caller, id);
    return serverSecurityGroups(this.#options.database.query, id);
  }

  /** What a caller can name when it adds a security group to a server. */
  async projectSecurityGroups(caller: Caller): Promise<ServerSecurityGroup[]> {
    return projectSecurityGroups(this.#options.database.query, requireProject(caller, 'list security groups'));
  }

  /** User data of servers; whoever made one may have put secrets there: show it only to administrators and in guests. */
  async userData(caller: Caller, ids: readonly string[]): Promise<Map<string, string>> {
    requireAdmin(caller, 'read servers’ user data');
    return userDataOf(this.#options.database.query, ids);
  }

  async operations(
    caller: Caller,
    id: ServerId,
    options: Parameters<typeof serverOperations>[2] = {},
  ): Promise<{ server: ShownServer; operations: ServerOperation[] }> {
    const server = await this.get(caller, id);
    return { server, operations: await serverOperations(this.#options.database.query, id, options) };
  }

  /** Names, notes and labels. Answers nothing: read again what you show. */
  async update(caller: Caller, id: ServerId, notes: ServerNotes): Promise<void> {
    await this.#change(caller, id, 'update a server', (tx) => updateNotes(tx, id, notes));
  }

  /** Replaces what `edit` answers for the present metadata. @returns the new metadata */
  async editMetadata(
    caller: Caller,
    id: ServerId,
    edit: (present: Record<string, string>) => Record<string, string>,
  ): Promise<Record<string, string>> {
    return this.#change(caller, id, 'change a server’s metadata', async (tx, server) => {
      requireUnlocked(caller, server);
      const metadata = edit({ ...server.metadata });
      await checkMetadata(tx, server.project_id, metadata);
      await updateNotes(tx, id, { metadata });
      return metadata;
    });
  }

  async editTags(caller: Caller, id: ServerId, edit: (present: string[]) => string[]): Promise<string[]> {
    return this.#change(caller, id, 'change a server’s tags', async (tx, server) => {
      const tags = [...new Set(edit([...server.tags]))];
      if (tags.length > maxTags) {
        throw new CloudError('invalid', 'too_many_server_tags', { maximum: maxTags });
      }
      await updateNotes(tx, id, { tags });
      return tags;
    });
  }

  async addSecurityGroup(caller: Caller, id: ServerId, nameOrId: string): Promise<void> {
    await this.#change(caller, id, 'change a server’s security groups', (tx, server) =>
      addServerSecurityGroup(tx, server, nameOrId),
    );
  }

  async removeSecurityGroup(caller: Caller, id: ServerId, nameOrId: string): Promise<void> {
    await this.#change(caller, id, 'change a server’s security groups', (tx, server) =>
      removeServerSecurityGroup(tx, server, nameOrId),
    );
  }

  async lock(caller: Caller, id: ServerId, reason: string | null): Promise<void> {
    await this.#change(caller, id, 'lock a server', (tx, server) => {
      const owner = caller.projectId === server.project_id;
      return updateNotes(tx, id, { locked: true, locked_by: owner ? 'owner' : 'admin', locked_reason: reason });
    });
  }

  /** What an administrator of another project locked, only an administrator unlocks. */
  async unlock(caller: Caller, id: ServerId): Promise<void> {
    await this.#change(caller, id, 'unlock a server', async (tx, server) => {
      if (server.locked_by === 'admin') requireAdmin(caller, 'unlock a server that an administrator locked');
      await updateNotes(tx, id, { locked: false, locked_by: null, locked_reason: null });
    });
  }

  /** @param call what the caller named the action, for messages */
  async power(caller: Caller, id: ServerId, verb: PowerVerb, call: string): Promise<void> {
    await this.#change(caller, id, `${verb} a server`, async (tx, server) => {
      requireUnlocked(caller, server);
      requireLegal(server, verb, call);
      await this.#desire(tx, caller, server, verb, powerChange[verb]);
    });
  }

  /** Always accepted unless locked, also twice; `force` is the same: every delete is as thorough as can be. */
  async delete(caller: Caller, id: ServerId): Promise<void> {
    await this.#change(caller, id, 'delete a server', async (tx, server) => {
      if (server.desired_presence === 'absent') return;
      requireUnlocked(caller, server);
      await this.#desire(tx, caller, server, 'delete', { presence: 'absent' });
    });
  }

  /**
   * Administrators: `error` declares a server broken until someone acts on it; `active` takes a fault away and has the
   * cloud try again what failed (placement, or the host's work).
   */
  async resetState(caller: Caller, id: ServerId, state: 'active' | 'error'): Promise<void> {
    await this.#change(caller, id, 'reset a server’s state', async (tx, server) => {
      requireAdmin(caller, 'reset a server’s state');
      if (state === 'active') return this.#desire(tx, caller, server, 'reset', { fault: null });
      const message = 'An administrator reset the server’s state to error.';
      const fault: ServerFault = {
        reason: 'reset',
        message,
        at: new Date().toISOString(),
        generation: server.generation + 1,
      };
      await updateDesired(tx, id, { fault });
    });
  }

  /** The last bytes of the serial console, as the guest wrote them. */
  async consoleLog(caller: Caller, id: ServerId, bytes: number): Promise<Buffer> {
    const server = await this.get(caller, id);
    if (!isAdmin(caller)) requireProjectMember(caller, 'read a server’s console');
    if (server.host_id === null || vmState(server) === 'building') {
      throw new CloudError('conflict', 'server_not_ready', { id });
    }
    const host = await endpointOf(this.#options.database.query, server.host_id);
    if (!host) throw new CloudError('unavailable', 'server_host_never_reported', { id });
    return this.#options.hosts.consoleLog(host, id, bytes);
  }

  /** Locks the row, checks rights, works. Hidden servers are not found; visible ones may be forbidden. */
  async #change<T>(
    caller: Caller,
    id: ServerId,
    operation: string,
    work: (tx: Tx, server: ServerRow) => Promise<T>,
  ): Promise<T> {
    return this.#options.database.transaction(actorOf(caller), async (tx) => {
      const server = await lockServer(tx, reachOf(caller), id);
      if (!server) throw notFound('server', id);
      if (!isAdmin(caller)) requireProjectMember(caller, operation);
      return work(tx, server);
    });
  }

  async #desire(
    tx: Tx,
    caller: Caller,
    server: ServerRow,
    verb: PowerVerb | 'delete' | 'reset',
    change: DesiredChange,
  ): Promise<void> {
    const generation = await updateDesired(tx, server.id, change);
    await beginOperation(tx, actorOf(caller), {
      projectId: server.project_id,
      resourceType: 'server',
      resourceId: server.id,
      verb,
      generation,
      owner: server.host_id === null ? 'control' : `host ${server.host_id}`,
      waitingFor: server.host_id === null ? 'a host to be chosen' : 'the host to hear of it',
      deadlineMs: deadlinesMs[verb === 'reset' ? 'create' : verb],
    });
    await enqueue(tx, 'server', server.id);
    this.#options.log.info(
      { requestId: caller.requestId, serverId: server.id, verb, generation },
      'server operation accepted',
    );
  }
}

const powerChange: Readonly<Record<PowerVerb, DesiredChange>> = {
  start: { power: 'on' },
  stop: { power: 'off' },
  'reboot soft': { reboot: 'soft', power: 'on' },
  // Of a server that is off, Nova's hard reboot is a start.
  'reboot hard': { reboot: 'hard', power: 'on' },
};

function reachOf(caller: Caller): Reach {
  return isAdmin(caller) ? 'all' : { projectId: requireProject(caller, 'see a server') };
}

function requireUnlocked(caller: Caller, server: ServerRow): void {
  if (server.locked && !isAdmin(caller)) throw new CloudError('conflict', 'server_locked', { id: server.id });
}

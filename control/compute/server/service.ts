/**
 * What the dialects may do with servers. Decides and writes desired state; never waits for a host.
 *
 * Owns the desired_* columns, notes and labels. If the process dies, a transaction has happened or has not.
 */
import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import type { GuestDiagnostics } from '../../../contract/host/index.ts';
import type { ServerId } from '../../../contract/ids.ts';
import { type Caller, isAdmin, requireAdmin, requireProject, requireProjectMember } from '../../kit/caller.ts';
import type { Tx } from '../../kit/database/database.ts';
import { notFound } from '../../kit/refusal.ts';
import type { ServerInterface } from '../../network/port/server-views.ts';
import type { SecurityGroupRow } from '../../network/security-group/security-group.ts';
import { type ServerVolume, serverVolumes } from '../../storage/server-volume/index.ts';
import {
  type ActionDependencies,
  act,
  onLockedServer,
  reachOf,
  requireUnlocked,
  type ServerAction,
} from './actions/action.ts';
import { remove } from './actions/delete.ts';
import { type GuestRequest, hostOf, request } from './actions/request.ts';
import { abortMigration, forceMigration, type MigrationChoice } from './actions/steer-migration.ts';
import { type CreatedServers, checkMetadata, createServers } from './create.ts';
import { listServerNames, listServers, type NamedServer, type ServerFilter } from './list.ts';
import { removeWithoutHost } from './removal.ts';
import { addServerSecurityGroup, removeServerSecurityGroup, serverSecurityGroups } from './security-groups.ts';
import type { ListedServer, ServerRow, ShownServer } from './server.ts';
import { showServer, type WholeServer } from './show.ts';
import { vmState } from './states.ts';
import {
  findDeletedServer,
  findServer,
  type Reach,
  type ServerNotes,
  type ServerOperation,
  type ServerPortRow,
  serverOperations,
  serverPorts,
  updateNotes,
  userDataOf,
} from './store.ts';

import type { ServerWish } from './wish.ts';
import type { CreateDependencies } from './write-servers.ts';

export interface ServerServiceOptions
  extends ActionDependencies,
    Pick<CreateDependencies, 'created' | 'placementPolicy'> {}

export const maxTags = 50;

export class ServerService {
  readonly #options: ServerServiceOptions;

  constructor(options: ServerServiceOptions) {
    this.#options = options;
  }

  /** @throws CloudError `forbidden`, `not_found`, `invalid` where it can't be called off (any more) */
  abortMigration(caller: Caller, id: ServerId, choice: MigrationChoice): Promise<void> {
    return abortMigration(this.#options, caller, id, choice);
  }

  /** As {@link abortMigration}. */
  forceMigration(caller: Caller, id: ServerId, choice: Pick<MigrationChoice, 'number'>): Promise<void> {
    return forceMigration(this.#options, caller, id, choice);
  }

  /** @throws CloudError `invalid`, `forbidden`, `conflict`, `quota_exceeded` */
  create(caller: Caller, wish: ServerWish): Promise<CreatedServers> {
    return createServers(this.#options, caller, wish);
  }

  /** @param options.allProjects administrators only */
  async list(caller: Caller, filter: ServerFilter, options: { allProjects: boolean }): Promise<ListedServer[]> {
    return listServers(this.#options.database.query, listReach(caller, filter, options), filter);
  }

  /** The same, and of each no more than what it is called. */
  async listNames(caller: Caller, filter: ServerFilter, options: { allProjects: boolean }): Promise<NamedServer[]> {
    return listServerNames(this.#options.database.query, listReach(caller, filter, options), filter);
  }

  /** @throws CloudError `not_found`, also for a server that is hidden from the caller */
  async get(caller: Caller, id: ServerId): Promise<ShownServer> {
    const server = await findServer(this.#options.database.query, reachOf(caller), id);
    if (!server) throw notFound('server', id);
    return server;
  }

  /**
   * A server with all that is shown of it.
   * @param options.userData administrators only
   * @throws CloudError `not_found`, also for a server that is hidden from the caller
   */
  async show(caller: Caller, id: ServerId, options: { userData: boolean }): Promise<WholeServer> {
    if (options.userData) requireAdmin(caller, 'read servers’ user data');
    const whole = await showServer(this.#options.database.query, reachOf(caller), id, options);
    if (!whole) throw notFound('server', id);
    return whole;
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

  /** The volumes that a server has, or is letting go of, in the order in which it got them. */
  async volumes(caller: Caller, id: ServerId, page: { limit?: number; offset?: number } = {}): Promise<ServerVolume[]> {
    await this.get(caller, id);
    return serverVolumes(this.#options.database.query, id, page);
  }

  /** Security groups of all of a server's ports, each once. */
  async securityGroups(caller: Caller, id: ServerId): Promise<SecurityGroupRow[]> {
    await this.get(caller, id);
    return serverSecurityGroups(this.#options.database.query, caller, id);
  }

  /** User data of servers; whoever made one may have put secrets there: show it only to administrators and in guests. */
  async userData(caller: Caller, ids: readonly string[]): Promise<Map<string, string>> {
    requireAdmin(caller, 'read servers’ user data');
    return userDataOf(this.#options.database.query, ids);
  }

  /** A server's user data, for whoever may change the server. */
  async ownUserData(caller: Caller, id: ServerId): Promise<string | null> {
    await this.get(caller, id);
    if (!isAdmin(caller)) requireProjectMember(caller, 'read a server’s user data');
    return (await userDataOf(this.#options.database.query, [id])).get(id) ?? null;
  }

  /** What was done with a server. @param options.deletedToo also of one that is gone, as long as history knows it */
  async operations(
    caller: Caller,
    id: ServerId,
    options: Parameters<typeof serverOperations>[2] & { deletedToo?: boolean } = {},
  ): Promise<{ server: ShownServer; operations: ServerOperation[] }> {
    const db = this.#options.database.query;
    const deleted = () => (options.deletedToo ? findDeletedServer(db, reachOf(caller), id) : undefined);
    const server = (await findServer(db, reachOf(caller), id)) ?? (await deleted());
    if (!server) throw notFound('server', id);
    return { server, operations: await serverOperations(db, id, options) };
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

  /** What its guest posted counts no more, and it may post another one. */
  async clearGuestPassword(caller: Caller, id: ServerId): Promise<void> {
    await this.#change(caller, id, 'clear a server’s password', async (tx) => {
      await sql`update server set guest_password = null, guest_password_cleared = guest_password_cleared + 1, updated_at = now()
        where id = ${id}`.execute(tx);
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

  /** @throws CloudError `forbidden`, `conflict` where the server is locked or its state does not allow it */
  async act<Argument = undefined>(
    caller: Caller,
    id: ServerId,
    action: ServerAction<Argument>,
    ...[argument]: undefined extends Argument ? [] : [Argument]
  ): Promise<void> {
    await act(this.#options, caller, id, action, argument as Argument);
    if (action.verb === remove.verb) await this.#removeWithoutHost(id);
  }

  /** What goes wrong here is not the caller's: it is deleted, and the controller comes to it. */
  async #removeWithoutHost(id: ServerId): Promise<void> {
    try {
      await removeWithoutHost(this.#options, id);
    } catch (error) {
      this.#options.log.warn({ err: error, serverId: id }, 'a deleted server without a host is left to its controller');
    }
  }

  /** What is answered or refused at once. @throws CloudError as {@link act}; `conflict` too where the guest does not do it */
  async request<Argument = undefined>(
    caller: Caller,
    id: ServerId,
    asked: GuestRequest<Argument>,
    ...[argument]: undefined extends Argument ? [] : [Argument]
  ): Promise<void> {
    await request(this.#options, caller, id, asked, argument as Argument);
  }

  /** Administrators: how a guest that runs is doing, as its machine counts it. */
  async diagnostics(caller: Caller, id: ServerId): Promise<{ server: ShownServer; diagnostics: GuestDiagnostics }> {
    const server = await this.get(caller, id);
    requireAdmin(caller, 'see a server’s diagnostics');
    if (server.observed_power !== 'on' && server.observed_power !== 'paused') {
      const fields = { call: 'get_diagnostics', attribute: 'vm_state', value: vmState(server) } as const;
      throw new CloudError('conflict', 'server_state_conflict', { id, ...fields });
    }
    const host = await hostOf(this.#options, server);
    return { server, diagnostics: await this.#options.hosts.diagnostics(host, id) };
  }

  /** As the DELETE of any dialect: what has run can be restored for a while, where the cloud is set so. */
  async delete(caller: Caller, id: ServerId): Promise<void> {
    await this.act(caller, id, remove);
  }

  /** The last bytes of the serial console, as the guest wrote them. */
  async consoleLog(caller: Caller, id: ServerId, bytes: number): Promise<Buffer> {
    const server = await this.get(caller, id);
    if (!isAdmin(caller)) requireProjectMember(caller, 'read a server’s console');
    if (server.host_id === null || vmState(server) === 'building') {
      throw new CloudError('conflict', 'server_not_ready', { id });
    }
    const host = await hostOf(this.#options, server);
    return this.#options.hosts.consoleLog(host, id, bytes);
  }

  #change<T>(
    caller: Caller,
    id: ServerId,
    operation: string,
    work: (tx: Tx, server: ServerRow) => Promise<T>,
  ): Promise<T> {
    return onLockedServer(this.#options, caller, id, operation, work);
  }
}

/** @throws CloudError `forbidden` */
function listReach(caller: Caller, { which }: ServerFilter, { allProjects }: { allProjects: boolean }): Reach {
  if (allProjects) requireAdmin(caller, 'list the servers of all projects');
  if (which === 'deleted') requireAdmin(caller, 'list deleted servers');
  return allProjects ? 'all' : { projectId: requireProject(caller, 'list servers') };
}

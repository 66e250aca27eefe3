/**
 * Server groups: servers of a project that shall run together or apart. Owns `server_group`; who is in one stands in the servers' rows,
 * and placement keeps to it (control/compute/placement). A group that goes leaves its servers where they are.
 */
import { type Selectable, sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import { newId } from '../../../contract/ids.ts';
import { actorOf, type Caller, isAdmin, requireAdmin, requireProject, requireProjectMember } from '../../kit/caller.ts';
import type { Database, Queryable } from '../../kit/database/database.ts';
import { checkQuota } from '../../kit/quota/quota.ts';
import { notFound } from '../../kit/refusal.ts';
import { serverGroup as descriptor } from './resource.ts';
import type { ServerGroupPolicy, ServerGroupTable } from './tables.ts';

export interface ServerGroupRow extends Selectable<ServerGroupTable> {
  /** Ids of servers, oldest first; those that wait to be reclaimed are left out. */
  members: string[];
}

export interface ServerGroupWish {
  name: string;
  policy: ServerGroupPolicy;
  /** Of `anti-affinity` alone; null: one. */
  maxServersPerHost: number | null;
}

export class ServerGroupService {
  readonly #database: Database;

  constructor(options: { database: Database }) {
    this.#database = options.database;
  }

  /** Oldest first. @param options.allProjects administrators only */
  async list(
    caller: Caller,
    options: { allProjects: boolean; limit: number; offset: number },
  ): Promise<ServerGroupRow[]> {
    const { allProjects, limit, offset } = options;
    if (allProjects) requireAdmin(caller, 'list the server groups of all projects');
    const projectId = allProjects ? null : requireProject(caller, 'list server groups');
    return read(this.#database.query, { projectId, limit, offset });
  }

  /** @throws CloudError `not_found`, also for a group that is hidden from the caller */
  async get(caller: Caller, id: string): Promise<ServerGroupRow> {
    const projectId = isAdmin(caller) ? null : requireProject(caller, 'show a server group');
    const [row] = await read(this.#database.query, { id, projectId });
    if (!row) throw notFound('server_group', id);
    return row;
  }

  /** @throws CloudError `quota_exceeded`; `invalid` for a number of servers in a policy that knows none */
  async create(caller: Caller, wish: ServerGroupWish): Promise<ServerGroupRow> {
    const projectId = requireProjectMember(caller, 'make a server group');
    if (wish.maxServersPerHost !== null && wish.policy !== 'anti-affinity') {
      throw new CloudError('invalid', 'server_group_without_rules', { policy: wish.policy });
    }
    return this.#database.transaction(actorOf(caller), async (tx) => {
      await checkQuota(tx, projectId, descriptor.usage, { server_groups: 1 });
      const id = newId();
      await sql`insert into server_group (id, project_id, user_id, name, policy, max_servers_per_host)
        values (${id}, ${projectId}, ${caller.userId}, ${wish.name}, ${wish.policy}, ${wish.maxServersPerHost})`.execute(
        tx,
      );
      return (await read(tx, { id, projectId }))[0]!;
    });
  }

  /** Its servers stay. @throws CloudError `not_found` */
  async delete(caller: Caller, id: string): Promise<void> {
    const reach = isAdmin(caller) ? null : requireProject(caller, 'delete a server group');
    await this.#database.transaction(actorOf(caller), async (tx) => {
      const { rows } = await sql`select from server_group
        where id = ${id} and (${reach}::uuid is null or project_id = ${reach}::uuid) for update`.execute(tx);
      if (rows.length === 0) throw notFound('server_group', id);
      if (reach !== null) requireProjectMember(caller, 'delete a server group');
      await sql`delete from server_group where id = ${id}`.execute(tx);
    });
  }
}

interface Wanted {
  id?: string;
  /** Null: any. */
  projectId: string | null;
  limit?: number;
  offset?: number;
}

async function read(db: Queryable, { id, projectId, limit, offset = 0 }: Wanted): Promise<ServerGroupRow[]> {
  const { rows } = await sql<ServerGroupRow>`select g.*, array(select s.id from server s
      where s.server_group_id = g.id and s.soft_deleted_at is null order by s.id) as members
    from server_group g where true
    ${id === undefined ? sql`` : sql`and g.id = ${id}::uuid`}
    ${projectId === null ? sql`` : sql`and g.project_id = ${projectId}::uuid`}
    order by g.created_at, g.id limit ${limit ?? null}::bigint offset ${offset}`.execute(db);
  return rows;
}

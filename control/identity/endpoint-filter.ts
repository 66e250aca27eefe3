/** Which endpoints a project's catalogue shows: single ones, and groups of them by what they are. */
import { type RawBuilder, sql } from 'kysely';
import { newOrderedId, type ProjectId } from '../../contract/ids.ts';
import { actorOf, type Caller } from '../kit/caller.ts';
import { json } from '../kit/database/schema.ts';
import { notFound } from '../kit/refusal.ts';
import { holds } from './catalogue.ts';
import type { EndpointFilters, EndpointGroupRow, EndpointRow } from './catalogue-tables.ts';
import { type IdentityContext, refusing } from './context.ts';
import { matching } from './directory.ts';
import { Records } from './records.ts';
import { requireAdministrator, requireReader } from './rights.ts';
import type { ProjectRow } from './tables.ts';

export interface EndpointGroupChange {
  name?: string;
  description?: string | null;
  filters?: EndpointFilters;
}

/** A project and what it is shown. */
type Association = { projectId: ProjectId } & ({ endpointId: string } | { groupId: string });

export class EndpointFilterService {
  readonly #context: IdentityContext;
  readonly #groups: Records<EndpointGroupRow>;
  readonly #endpoints: Records<EndpointRow>;

  constructor(context: IdentityContext) {
    this.#context = context;
    this.#groups = new Records(context, { table: 'endpoint_group', noun: 'endpoint_group' });
    this.#endpoints = new Records(context, {
      ...{ table: 'endpoint', noun: 'endpoint' },
      columns: sql`t.*, (select name from region r where r.id = t.region_id) as region`,
    });
  }

  /** @throws CloudError `forbidden` */
  async groups(caller: Caller, filter: { name?: string }): Promise<EndpointGroupRow[]> {
    requireReader(caller, 'identity:list_endpoint_groups');
    return this.#groups.list(matching(filter));
  }

  /** @throws CloudError `forbidden`, `not_found` */
  async group(caller: Caller, id: string): Promise<EndpointGroupRow> {
    requireReader(caller, 'identity:get_endpoint_group');
    return this.#groups.find(id);
  }

  /** @throws CloudError `forbidden` */
  async createGroup(caller: Caller, wanted: EndpointGroupChange & { name: string; filters: EndpointFilters }) {
    requireAdministrator(caller, 'identity:create_endpoint_group');
    const { name, description, filters } = wanted;
    return this.#groups.insert(caller, {
      id: newOrderedId(),
      name,
      description: description ?? '',
      filters: json(filters),
    });
  }

  /** @throws CloudError `forbidden`, `not_found` */
  async updateGroup(caller: Caller, id: string, { name, description, filters }: EndpointGroupChange) {
    requireAdministrator(caller, 'identity:update_endpoint_group');
    return this.#groups.update(caller, id, () => ({
      ...{ name, description: description === null ? '' : description, filters: filters && json(filters) },
    }));
  }

  /** @throws CloudError `forbidden`, `not_found` */
  async deleteGroup(caller: Caller, id: string): Promise<void> {
    requireAdministrator(caller, 'identity:delete_endpoint_group');
    await this.#groups.delete(caller, id);
  }

  /** @throws CloudError `forbidden`, `not_found` */
  async endpointsOfGroup(caller: Caller, id: string): Promise<EndpointRow[]> {
    const { filters } = await this.group(caller, id);
    return (await this.#endpoints.list(sql`true`)).filter((endpoint) => holds(filters, endpoint));
  }

  /** Those that are named singly, and those of its groups. @throws CloudError `forbidden`, `not_found` */
  async endpointsOfProject(caller: Caller, projectId: ProjectId): Promise<EndpointRow[]> {
    const groups = await this.groupsOfProject(caller, projectId);
    const single = await this.#endpoints.list(
      sql`t.id in (select endpoint_id from project_endpoint where project_id = ${projectId})`,
    );
    const ids = new Set(single.map(({ id }) => id));
    const all = await this.#endpoints.list(sql`true`);
    return all.filter((one) => ids.has(one.id) || groups.some(({ filters }) => holds(filters, one)));
  }

  /** @throws CloudError `forbidden`, `not_found` */
  async groupsOfProject(caller: Caller, projectId: ProjectId): Promise<EndpointGroupRow[]> {
    requireReader(caller, 'identity:list_endpoint_groups_for_project');
    await this.#requireProject(projectId);
    return this.#groups.list(
      sql`t.id in (select endpoint_group_id from project_endpoint_group where project_id = ${projectId})`,
    );
  }

  /** @throws CloudError `forbidden`, `not_found` */
  async projectsOf(caller: Caller, what: { endpointId: string } | { groupId: string }): Promise<ProjectRow[]> {
    requireReader(caller, 'identity:list_projects_for_endpoint');
    await this.#requireShown(what);
    const { rows } = await sql<ProjectRow>`select p.* from project p
      where p.id in (select project_id from ${tableOf(what)} where ${columnOf(what)} = ${idOf(what)}) order by p.id`.execute(
      this.#context.query,
    );
    return rows;
  }

  /** Safe to repeat. @throws CloudError `forbidden`, `not_found` */
  async associate(caller: Caller, association: Association): Promise<void> {
    requireAdministrator(caller, 'identity:add_endpoint_to_project');
    const { projectId } = association;
    const missing = () => notFound('endpointId' in association ? 'endpoint' : 'endpoint_group', idOf(association));
    const refusals = {
      project_endpoint_endpoint_id_fkey: missing,
      project_endpoint_group_endpoint_group_id_fkey: missing,
    };
    await this.#requireProject(projectId);
    await refusing(refusals, () =>
      this.#context.write(actorOf(caller), (tx) =>
        sql`insert into ${tableOf(association)} (project_id, ${columnOf(association)})
          values (${projectId}, ${idOf(association)}) on conflict do nothing`.execute(tx),
      ),
    );
  }

  /** @throws CloudError `forbidden`, `not_found` */
  async check(caller: Caller, association: Association): Promise<void> {
    requireReader(caller, 'identity:check_endpoint_in_project');
    const { rows } = await sql`select from ${tableOf(association)} where ${matches(association)}`.execute(
      this.#context.query,
    );
    if (rows.length === 0) throw notFound('endpoint_in_project', idOf(association));
  }

  /** @throws CloudError `forbidden`, `not_found` */
  async dissociate(caller: Caller, association: Association): Promise<void> {
    requireAdministrator(caller, 'identity:remove_endpoint_from_project');
    await this.#context.write(actorOf(caller), async (tx) => {
      const { rows } = await sql`delete from ${tableOf(association)} where ${matches(association)} returning 1`.execute(
        tx,
      );
      if (rows.length === 0) throw notFound('endpoint_in_project', idOf(association));
    });
  }

  async #requireShown(what: { endpointId: string } | { groupId: string }): Promise<void> {
    await ('endpointId' in what ? this.#endpoints.find(what.endpointId) : this.#groups.find(what.groupId));
  }

  async #requireProject(id: ProjectId): Promise<void> {
    const row = await this.#context.query.selectFrom('project').select('id').where('id', '=', id).executeTakeFirst();
    if (!row) throw notFound('project', id);
  }
}

type Shown = { endpointId: string } | { groupId: string };
const tableOf = (what: Shown) => sql.table('endpointId' in what ? 'project_endpoint' : 'project_endpoint_group');
const columnOf = (what: Shown) => sql.ref('endpointId' in what ? 'endpoint_id' : 'endpoint_group_id');
const idOf = (what: Shown) => ('endpointId' in what ? what.endpointId : what.groupId);
const matches = (one: Association): RawBuilder<unknown> =>
  sql`project_id = ${one.projectId} and ${columnOf(one)} = ${idOf(one)}`;

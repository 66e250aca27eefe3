/** Projects: the owners of resources; a tree below each domain. */

import { sql } from 'kysely';
import { CloudError } from '../../contract/errors.ts';
import type { DomainId, ProjectId, UserId } from '../../contract/ids.ts';
import type { Caller } from '../kit/caller.ts';
import type { Tx } from '../kit/database/database.ts';
import { notFound } from '../kit/refusal.ts';
import type { IdentityContext } from './context.ts';
import { groupsOf, matching, type Page, type PageRequest } from './directory.ts';
import { type DomainRight, listedDomain, requireInDomain, requireOver } from './domain-rights.ts';
import { Entries, type EntryChange, findEntry, type Kind, type NewEntry } from './entries.ts';
import { clearProjects } from './project-resources.ts';
import type { ProjectRow } from './tables.ts';

export type ProjectChange = EntryChange;
export interface NewProject extends NewEntry {
  domainId: DomainId;
  /** Null or the domain's id: directly below the domain. */
  parentId: ProjectId | null;
}

export interface ProjectFilter {
  name?: string;
  enabled?: boolean;
  domainId?: DomainId;
  /** A project's id, or a domain's for those directly below it. */
  parentId?: string;
  tags?: string[];
  tagsAny?: string[];
  notTags?: string[];
  notTagsAny?: string[];
}

const kind: Kind<'project'> = { table: 'project', noun: 'project', maxName: 64, options: ['immutable'] };
/** Keystone's max_project_tree_depth, the domain not counted. */
const maxDepth = 5;

export class ProjectService {
  readonly #context: IdentityContext;
  readonly #entries: Entries<'project'>;
  constructor(context: IdentityContext) {
    this.#context = context;
    this.#entries = new Entries(context, kind);
  }

  /** @throws CloudError `forbidden`, `invalid`, `not_found` (domain, parent), `conflict` */
  async create(caller: Caller, wanted: NewProject): Promise<ProjectRow> {
    requireInDomain(caller, 'manage', { domainId: wanted.domainId, operation: 'identity:create_project' });
    const { domainId } = wanted;
    const parentId = (wanted.parentId as string | null) === domainId ? null : wanted.parentId;
    const own = { domain_id: domainId, parent_id: parentId };
    return this.#entries.create(caller, wanted, own, {
      before: async (tx) => {
        if (parentId) await checkParent(tx, parentId, domainId, wanted.enabled ?? true);
      },
    });
  }

  /** @throws CloudError `forbidden` */
  async list(caller: Caller, filter: ProjectFilter, page: PageRequest): Promise<Page<ProjectRow>> {
    const domainId = listedDomain(caller, filter.domainId, 'identity:list_projects');
    const { name, enabled } = filter;
    const conditions = [matching({ name, enabled, domain_id: domainId })];
    if (filter.parentId) {
      conditions.push(sql`(parent_id = ${filter.parentId} or parent_id is null and domain_id = ${filter.parentId})`);
    }
    if (filter.tags) conditions.push(sql`tags @> ${filter.tags}::text[]`);
    if (filter.tagsAny) conditions.push(sql`tags && ${filter.tagsAny}::text[]`);
    if (filter.notTags) conditions.push(sql`not tags @> ${filter.notTags}::text[]`);
    if (filter.notTagsAny) conditions.push(sql`not tags && ${filter.notTagsAny}::text[]`);
    return this.#entries.page(sql.join(conditions, sql` and `), page);
  }

  /** @throws CloudError `not_found`, `forbidden` */
  async get(caller: Caller, id: ProjectId): Promise<ProjectRow> {
    if (caller.projectId !== id) await this.#over(caller, 'read', { id, operation: 'identity:get_project' });
    return findEntry(this.#context.query, kind, id);
  }

  #over(caller: Caller, right: DomainRight, what: { id: string; operation: string }): Promise<void> {
    return requireOver(this.#context.query, caller, right, { table: 'project', ...what });
  }

  /** All above a project, nearest first; all below it, nearest first. */
  async relatives(id: ProjectId): Promise<{ above: ProjectRow[]; below: ProjectRow[] }> {
    const { rows } = await sql<ProjectRow & { direction: 'above' | 'below' }>`
      with recursive
      above as (select p.*, 0 as distance from project p where id = ${id}
        union all select p.*, a.distance + 1 from project p join above a on p.id = a.parent_id),
      below as (select p.*, 0 as distance from project p where id = ${id}
        union all select p.*, b.distance + 1 from project p join below b on p.parent_id = b.id)
      select *, 'above' as direction from above where distance > 0
      union all select *, 'below' from below where distance > 0 order by distance, id`.execute(this.#context.query);
    return {
      above: rows.filter((row) => row.direction === 'above'),
      below: rows.filter((row) => row.direction === 'below'),
    };
  }

  /** @throws CloudError `forbidden`, `not_found`, `invalid`, `conflict` */
  async update(caller: Caller, id: ProjectId, change: ProjectChange): Promise<ProjectRow> {
    await this.#over(caller, 'manage', { id, operation: 'identity:update_project' });
    return this.#entries.update(caller, id, change, async (tx, before) => {
      if (change.enabled !== undefined) await checkEnabling(tx, before, change.enabled);
      return undefined;
    });
  }

  /** @throws CloudError `forbidden` where projects are below it, `conflict` while it has resources, `not_found` */
  async delete(caller: Caller, id: ProjectId): Promise<void> {
    await this.#over(caller, 'manage', { id, operation: 'identity:delete_project' });
    await this.#entries.delete(caller, id, async (tx) => {
      const child = await tx.selectFrom('project').select('id').where('parent_id', '=', id).limit(1).executeTakeFirst();
      if (child) {
        throw new CloudError('forbidden', 'project_has_children', { id });
      }
      await clearProjects(tx, { resources: this.#context.resources, projectIds: [id], noun: 'project', id });
      await tx.updateTable('user').set({ default_project_id: null }).where('default_project_id', '=', id).execute();
    });
  }

  /** Projects in which a user has a role: direct, by a group, or inherited. @throws CloudError `forbidden` */
  async forUser(
    caller: Caller,
    userId: UserId,
    filter: { enabledOnly?: boolean; name?: string } = {},
  ): Promise<ProjectRow[]> {
    if (caller.userId !== userId) {
      const what = { table: 'user', id: userId, operation: 'identity:list_user_projects' } as const;
      await requireOver(this.#context.query, caller, 'read', what);
    }
    const { rows } = await sql<ProjectRow>`
      with recursive own as (select * from role_assignment a where a.user_id = ${userId}
          or a.group_id = any(array${groupsOf(sql`${userId}`)})),
        reached(id) as (
          select p.id from project p join own a on a.project_id = p.id and not a.inherited
          union select p.id from project p join own a on a.domain_id = p.domain_id and a.inherited),
        below(id) as (
          select p.id from project p join own a on a.inherited and p.parent_id = a.project_id
          union select p.id from project p join below b on p.parent_id = b.id)
      select p.* from project p where p.id in (select id from reached union select id from below)
        ${filter.enabledOnly ? sql`and p.enabled` : sql``}
        ${filter.name === undefined ? sql`` : sql`and p.name = ${filter.name}`} order by p.id`.execute(
      this.#context.query,
    );
    return rows;
  }
}

/** The parent stays as it is until the transaction ends, and so does what is above an enabled one: nobody disables it. */
async function checkParent(tx: Tx, parentId: ProjectId, domainId: DomainId, enabled: boolean): Promise<void> {
  // One round trip, but two statements: what is read must be as it is once it is held.
  const [, { rows }] = await Promise.all([
    sql`select from project where id = ${parentId} for share`.execute(tx),
    sql<{ domain_id: DomainId; enabled: boolean }>`
      with recursive above as (select id, parent_id, domain_id, enabled from project where id = ${parentId}
        union all select p.id, p.parent_id, p.domain_id, p.enabled from project p join above a on p.id = a.parent_id)
      select domain_id, enabled from above`.execute(tx),
  ]);
  if (rows.length === 0) throw notFound('project', parentId);
  if (rows[0]!.domain_id !== domainId) {
    throw new CloudError('invalid', 'project_parent_of_another_domain', {});
  }
  if (rows.length >= maxDepth) {
    throw new CloudError('forbidden', 'project_too_deep', { maximum: maxDepth });
  }
  if (enabled && rows.some((row) => !row.enabled)) {
    throw new CloudError('forbidden', 'project_parent_disabled', {});
  }
}

/** A project is enabled only below enabled ones, so that one flag tells whether it is in use. */
async function checkEnabling(tx: Tx, project: ProjectRow, enabled: boolean): Promise<void> {
  if (enabled && project.parent_id) {
    const parent = await findEntry(tx, kind, project.parent_id, 'reliance');
    if (!parent.enabled) throw new CloudError('forbidden', 'project_parent_disabled', {});
  }
  if (!enabled) {
    const { rows } = await sql`select from project where parent_id = ${project.id} and enabled limit 1`.execute(tx);
    if (rows.length > 0) {
      throw new CloudError('forbidden', 'project_child_enabled', {});
    }
  }
}

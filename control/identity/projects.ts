/** Projects: the owners of resources; a tree below each domain. */
import { type RawBuilder, sql } from 'kysely';
import { CloudError } from '../../contract/errors.ts';
import { type DomainId, newId, type ProjectId, type UserId } from '../../contract/ids.ts';
import type { Queryable, Tx } from '../database/database.ts';
import { json } from '../database/schema.ts';
import { actorOf, type Caller } from './caller.ts';
import { type IdentityContext, refusing } from './context.ts';
import {
  checkMutable,
  checkName,
  checkTags,
  defined,
  mergeExtra,
  mergeOptions,
  nameTaken,
  notFound,
  type Page,
  type PageRequest,
  pageEnd,
  pageStart,
  toPage,
} from './directory.ts';
import { clearProjects } from './project-resources.ts';
import { requireAdministrator, requireReader, requireSelfOrReader } from './rights.ts';
import type { Extra, ProjectRow } from './tables.ts';

export interface ProjectChange {
  name?: string;
  description?: string | null;
  enabled?: boolean;
  tags?: string[];
  options?: Extra;
  extra?: Extra;
}
export interface NewProject extends ProjectChange {
  name: string;
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

const known = ['immutable'];
const maxName = 64;
/** Keystone's max_project_tree_depth, the domain not counted. */
const maxDepth = 5;

export class ProjectService {
  readonly #context: IdentityContext;
  constructor(context: IdentityContext) {
    this.#context = context;
  }

  /** @throws CloudError `forbidden`, `invalid`, `not_found` (domain, parent), `conflict` */
  async create(caller: Caller, wanted: NewProject): Promise<ProjectRow> {
    requireAdministrator(caller, 'identity:create_project');
    check(wanted);
    const row = {
      id: newId<ProjectId>(),
      domain_id: wanted.domainId,
      parent_id: (wanted.parentId as string | null) === wanted.domainId ? null : wanted.parentId,
      name: wanted.name,
      description: wanted.description ?? '',
      enabled: wanted.enabled ?? true,
      tags: wanted.tags ?? [],
      options: json(mergeOptions(known, {}, wanted.options)),
      extra: mergeExtra({}, wanted.extra),
    };
    return this.#named(wanted.name, wanted.domainId, () =>
      this.#context.write(actorOf(caller), async (tx) => {
        if (row.parent_id) await checkParent(tx, row.parent_id, wanted.domainId, row.enabled);
        return tx.insertInto('project').values(row).returningAll().executeTakeFirstOrThrow();
      }),
    );
  }

  /** @throws CloudError `forbidden` */
  async list(caller: Caller, filter: ProjectFilter, page: PageRequest): Promise<Page<ProjectRow>> {
    requireReader(caller, 'identity:list_projects');
    const conditions: RawBuilder<unknown>[] = [sql`true`];
    if (filter.name !== undefined) conditions.push(sql`name = ${filter.name}`);
    if (filter.enabled !== undefined) conditions.push(sql`enabled = ${filter.enabled}`);
    if (filter.domainId) conditions.push(sql`domain_id = ${filter.domainId}`);
    if (filter.parentId) {
      conditions.push(sql`(parent_id = ${filter.parentId} or parent_id is null and domain_id = ${filter.parentId})`);
    }
    if (filter.tags) conditions.push(sql`tags @> ${filter.tags}::text[]`);
    if (filter.tagsAny) conditions.push(sql`tags && ${filter.tagsAny}::text[]`);
    if (filter.notTags) conditions.push(sql`not tags @> ${filter.notTags}::text[]`);
    if (filter.notTagsAny) conditions.push(sql`not tags && ${filter.notTagsAny}::text[]`);
    const { rows } = await sql<ProjectRow>`select * from project where ${sql.join(conditions, sql` and `)}
      ${pageStart(page, 'id')} order by id ${pageEnd(page)}`.execute(this.#context.query);
    return toPage(rows, page);
  }

  /** @throws CloudError `not_found`, `forbidden` */
  async get(caller: Caller, id: ProjectId): Promise<ProjectRow> {
    if (caller.projectId !== id) requireReader(caller, 'identity:get_project');
    return find(this.#context.query, id);
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
    requireAdministrator(caller, 'identity:update_project');
    check(change);
    return this.#named(change.name ?? '', '', () =>
      this.#context.write(actorOf(caller), async (tx) => {
        const before = await find(tx, id, { lock: true });
        checkMutable('project', before, change.options);
        if (change.enabled !== undefined) await checkEnabling(tx, before, change.enabled);
        return tx
          .updateTable('project')
          .set({
            ...defined({ name: change.name, enabled: change.enabled, tags: change.tags }),
            ...(change.description === undefined ? {} : { description: change.description ?? '' }),
            options: json(mergeOptions(known, before.options, change.options)),
            extra: mergeExtra(before.extra, change.extra),
            updated_at: new Date(),
          })
          .where('id', '=', id)
          .returningAll()
          .executeTakeFirstOrThrow();
      }),
    );
  }

  /** @throws CloudError `forbidden` where projects are below it, `conflict` while it has resources, `not_found` */
  async delete(caller: Caller, id: ProjectId): Promise<void> {
    requireAdministrator(caller, 'identity:delete_project');
    await this.#context.write(actorOf(caller), async (tx) => {
      const project = await find(tx, id, { lock: true });
      checkMutable('project', project);
      const child = await tx.selectFrom('project').select('id').where('parent_id', '=', id).limit(1).executeTakeFirst();
      if (child) {
        throw new CloudError('forbidden', `Cannot delete the project ${id} since it is not a leaf in the hierarchy.`);
      }
      await clearProjects(tx, [id], `project ${id}`);
      await tx.updateTable('user').set({ default_project_id: null }).where('default_project_id', '=', id).execute();
      await tx.deleteFrom('project').where('id', '=', id).execute();
    });
  }

  /** Projects in which a user has a role: direct, by a group, or inherited. @throws CloudError `forbidden` */
  async forUser(
    caller: Caller,
    userId: UserId,
    filter: { enabledOnly?: boolean; name?: string } = {},
  ): Promise<ProjectRow[]> {
    requireSelfOrReader(caller, userId, 'identity:list_user_projects');
    const { rows } = await sql<ProjectRow>`
      with recursive own as (select * from role_assignment a where a.user_id = ${userId}
          or a.group_id in (select group_id from user_group_member where user_id = ${userId})),
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

  #named<T>(name: string, domainId: string, work: () => Promise<T>): Promise<T> {
    return refusing(
      {
        project_domain_id_name_key: () => nameTaken('project', name),
        project_domain_id_fkey: () => notFound('domain', domainId),
      },
      work,
    );
  }
}

function check(change: ProjectChange): void {
  if (change.name !== undefined) checkName('project', change.name, maxName);
  if (change.tags) checkTags(change.tags);
}

async function find(db: Queryable, id: ProjectId, options: { lock?: boolean } = {}): Promise<ProjectRow> {
  const query = db.selectFrom('project').selectAll().where('id', '=', id);
  const row = await (options.lock ? query.forUpdate() : query).executeTakeFirst();
  if (!row) throw notFound('project', id);
  return row;
}

async function checkParent(tx: Tx, parentId: ProjectId, domainId: DomainId, enabled: boolean): Promise<void> {
  const { rows } = await sql<{ domain_id: DomainId; enabled: boolean }>`
    with recursive above as (select id, parent_id, domain_id, enabled from project where id = ${parentId}
      union all select p.id, p.parent_id, p.domain_id, p.enabled from project p join above a on p.id = a.parent_id)
    select domain_id, enabled from above`.execute(tx);
  if (rows.length === 0) throw notFound('project', parentId);
  if (rows[0]!.domain_id !== domainId) {
    throw new CloudError('invalid', 'a project and its parent must be in the same domain');
  }
  if (rows.length >= maxDepth) {
    throw new CloudError('forbidden', `projects can be nested at most ${maxDepth} deep`);
  }
  if (enabled && rows.some((row) => !row.enabled)) {
    throw new CloudError('forbidden', 'a project can not be enabled below a disabled project');
  }
}

/** A project is enabled only below enabled ones, so that one flag tells whether it is in use. */
async function checkEnabling(tx: Tx, project: ProjectRow, enabled: boolean): Promise<void> {
  if (enabled && project.parent_id) {
    const parent = await find(tx, project.parent_id);
    if (!parent.enabled) throw new CloudError('forbidden', 'a project can not be enabled below a disabled project');
  }
  if (!enabled) {
    const { rows } = await sql`select from project where parent_id = ${project.id} and enabled limit 1`.execute(tx);
    if (rows.length > 0) {
      throw new CloudError('forbidden', 'a project can not be disabled while a project below it is enabled');
    }
  }
}

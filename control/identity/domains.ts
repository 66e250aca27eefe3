/** Domains: the name spaces of projects, users and groups. */
import { sql } from 'kysely';
import { CloudError } from '../../contract/errors.ts';
import { type DomainId, newId, type ProjectId } from '../../contract/ids.ts';
import type { Queryable } from '../database/database.ts';
import { json } from '../database/schema.ts';
import { actorOf, type Caller, isAdmin } from './caller.ts';
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
import { isSystemReader, requireAdministrator, requireReader } from './rights.ts';
import type { DomainRow, Extra } from './tables.ts';

export interface DomainChange {
  name?: string;
  description?: string | null;
  enabled?: boolean;
  tags?: string[];
  options?: Extra;
  extra?: Extra;
}
export type NewDomain = DomainChange & { name: string };

const known = ['immutable'];
const maxName = 64;

export class DomainService {
  readonly #context: IdentityContext;
  constructor(context: IdentityContext) {
    this.#context = context;
  }

  /** @throws CloudError `forbidden`, `invalid`, `conflict` */
  async create(caller: Caller, wanted: NewDomain): Promise<DomainRow> {
    requireAdministrator(caller, 'identity:create_domain');
    check(wanted);
    const row = {
      id: newId<DomainId>(),
      name: wanted.name,
      description: wanted.description ?? '',
      enabled: wanted.enabled ?? true,
      tags: wanted.tags ?? [],
      options: json(mergeOptions(known, {}, wanted.options)),
      extra: mergeExtra({}, wanted.extra),
    };
    return this.#named(wanted.name, () =>
      this.#context.write(actorOf(caller), (tx) =>
        tx.insertInto('domain').values(row).returningAll().executeTakeFirstOrThrow(),
      ),
    );
  }

  /** @throws CloudError `forbidden`; the callers' own domains are in {@link forUser} */
  async list(
    caller: Caller,
    filter: { name?: string; enabled?: boolean },
    page: PageRequest,
  ): Promise<Page<DomainRow>> {
    requireReader(caller, 'identity:list_domains');
    const { rows } = await sql<DomainRow>`select * from domain where true
      ${filter.name === undefined ? sql`` : sql`and name = ${filter.name}`}
      ${filter.enabled === undefined ? sql`` : sql`and enabled = ${filter.enabled}`}
      ${pageStart(page, 'id')} order by id ${pageEnd(page)}`.execute(this.#context.query);
    return toPage(rows, page);
  }

  /** Everybody may see the domain of the scope that they act in. @throws CloudError `not_found`, `forbidden` */
  async get(caller: Caller, id: DomainId): Promise<DomainRow> {
    const own = caller.domainId === id || caller.projectDomainId === id;
    if (!own && !isAdmin(caller) && !isSystemReader(caller)) requireReader(caller, 'identity:get_domain');
    return find(this.#context.query, id);
  }

  /** @throws CloudError `forbidden`, `not_found`, `invalid`, `conflict` */
  async update(caller: Caller, id: DomainId, change: DomainChange): Promise<DomainRow> {
    requireAdministrator(caller, 'identity:update_domain');
    check(change);
    return this.#named(change.name ?? '', () =>
      this.#context.write(actorOf(caller), async (tx) => {
        const before = await find(tx, id, { lock: true });
        checkMutable('domain', before, change.options);
        if (before.is_default && change.enabled === false) {
          throw new CloudError('forbidden', 'the default domain can not be disabled: nobody could enable it again');
        }
        return tx
          .updateTable('domain')
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

  /**
   * Deletes a disabled domain with its users, groups, roles and projects.
   * @throws CloudError `forbidden` while it is enabled, `conflict` while its projects have resources, `not_found`
   */
  async delete(caller: Caller, id: DomainId): Promise<void> {
    requireAdministrator(caller, 'identity:delete_domain');
    await this.#context.write(actorOf(caller), async (tx) => {
      const domain = await find(tx, id, { lock: true });
      checkMutable('domain', domain);
      if (domain.enabled) {
        throw new CloudError('forbidden', 'Cannot delete a domain that is enabled, please disable it first.');
      }
      const projects = await tx.selectFrom('project').select('id').where('domain_id', '=', id).forUpdate().execute();
      await clearProjects(
        tx,
        projects.map((project) => project.id as ProjectId),
        `domain ${id}`,
      );
      // Children before parents is not needed: PostgreSQL checks references at the end of a statement.
      await sql`delete from project where domain_id = ${id}`.execute(tx);
      await sql`delete from key_pair where user_id in (select id from "user" where domain_id = ${id})`.execute(tx);
      await sql`delete from "user" where domain_id = ${id}`.execute(tx);
      await sql`delete from user_group where domain_id = ${id}`.execute(tx);
      await sql`delete from role where domain_id = ${id}`.execute(tx);
      await sql`delete from domain where id = ${id}`.execute(tx);
    });
  }

  /** Enabled domains in which the user has a role of their own or by a group. */
  async forUser(caller: Caller): Promise<DomainRow[]> {
    const { rows } = await sql<DomainRow>`select d.* from domain d where d.enabled and d.id in (
        select a.domain_id from role_assignment a where not a.inherited and (a.user_id = ${caller.userId}
          or a.group_id in (select group_id from user_group_member where user_id = ${caller.userId})))
      order by d.id`.execute(this.#context.query);
    return rows;
  }

  #named<T>(name: string, work: () => Promise<T>): Promise<T> {
    return refusing({ domain_name_key: () => nameTaken('domain', name) }, work);
  }
}

function check(change: DomainChange): void {
  if (change.name !== undefined) checkName('domain', change.name, maxName);
  if (change.tags) checkTags(change.tags);
}

async function find(db: Queryable, id: DomainId, options: { lock?: boolean } = {}): Promise<DomainRow> {
  const query = db.selectFrom('domain').selectAll().where('id', '=', id);
  const row = await (options.lock ? query.forUpdate() : query).executeTakeFirst();
  if (!row) throw notFound('domain', id);
  return row;
}

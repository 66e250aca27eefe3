/** Domains: the name spaces of projects, users and groups. */

import { sql } from 'kysely';
import { CloudError } from '../../contract/errors.ts';
import type { DomainId, ProjectId } from '../../contract/ids.ts';
import { type Caller, isAdmin } from '../kit/caller.ts';
import type { IdentityContext } from './context.ts';
import { groupsOf, matching, type Page, type PageRequest } from './directory.ts';
import { listedDomain } from './domain-rights.ts';
import { Entries, type EntryChange, findEntry, type Kind, type NewEntry } from './entries.ts';
import { clearProjects } from './project-resources.ts';
import { isSystemReader, requireAdministrator, requireReader } from './rights.ts';
import type { DomainRow } from './tables.ts';

export type DomainChange = EntryChange;
export type NewDomain = NewEntry;

const kind: Kind<'domain'> = { table: 'domain', noun: 'domain', maxName: 64, options: ['immutable'] };

export class DomainService {
  readonly #context: IdentityContext;
  readonly #entries: Entries<'domain'>;
  constructor(context: IdentityContext) {
    this.#context = context;
    this.#entries = new Entries(context, kind);
  }

  /** @throws CloudError `forbidden`, `invalid`, `conflict` */
  async create(caller: Caller, wanted: NewDomain): Promise<DomainRow> {
    requireAdministrator(caller, 'identity:create_domain');
    return this.#entries.create(caller, wanted, {});
  }

  /** @throws CloudError `forbidden`; the callers' own domains are in {@link forUser} */
  async list(
    caller: Caller,
    filter: { name?: string; enabled?: boolean },
    page: PageRequest,
  ): Promise<Page<DomainRow>> {
    const id = listedDomain(caller, undefined, 'identity:list_domains');
    return this.#entries.page(matching({ ...filter, id }), page);
  }

  /** Everybody may see the domain of the scope that they act in. @throws CloudError `not_found`, `forbidden` */
  async get(caller: Caller, id: DomainId): Promise<DomainRow> {
    const own = caller.domainId === id || caller.projectDomainId === id;
    if (!own && !isAdmin(caller) && !isSystemReader(caller)) requireReader(caller, 'identity:get_domain');
    return findEntry(this.#context.query, kind, id);
  }

  /** @throws CloudError `forbidden`, `not_found`, `invalid`, `conflict` */
  async update(caller: Caller, id: DomainId, change: DomainChange): Promise<DomainRow> {
    requireAdministrator(caller, 'identity:update_domain');
    return this.#entries.update(caller, id, change, async (_, before) => {
      if (!before.is_default || change.enabled !== false) return;
      throw new CloudError('forbidden', 'default_domain_needed', {});
    });
  }

  /**
   * Deletes a disabled domain with its users, groups, roles and projects.
   * @throws CloudError `forbidden` while it is enabled, `conflict` while its projects have resources, `not_found`
   */
  async delete(caller: Caller, id: DomainId): Promise<void> {
    requireAdministrator(caller, 'identity:delete_domain');
    await this.#entries.delete(caller, id, async (tx, domain) => {
      if (domain.enabled) {
        throw new CloudError('forbidden', 'domain_enabled', {});
      }
      const projects = await tx.selectFrom('project').select('id').where('domain_id', '=', id).forUpdate().execute();
      await clearProjects(tx, {
        resources: this.#context.resources,
        projectIds: projects.map((project) => project.id as ProjectId),
        noun: 'domain',
        id,
      });
      // Children before parents is not needed: PostgreSQL checks references at the end of a statement.
      await sql`delete from project where domain_id = ${id}`.execute(tx);
      await sql`delete from key_pair where user_id in (select id from "user" where domain_id = ${id})`.execute(tx);
      await sql`delete from "user" where domain_id = ${id}`.execute(tx);
      await sql`delete from user_group where domain_id = ${id}`.execute(tx);
      await sql`delete from role where domain_id = ${id}`.execute(tx);
    });
  }

  /** Enabled domains in which the user has a role of their own or by a group. */
  async forUser(caller: Caller): Promise<DomainRow[]> {
    const { rows } = await sql<DomainRow>`select d.* from domain d where d.enabled and d.id in (
        select a.domain_id from role_assignment a where not a.inherited and (a.user_id = ${caller.userId}
          or a.group_id = any(array${groupsOf(sql`${caller.userId}`)})))
      order by d.id`.execute(this.#context.query);
    return rows;
  }
}

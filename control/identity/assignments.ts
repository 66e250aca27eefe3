/** Who has which role where: grants as they are written, and what they come to (groups, inheritance and implications expanded). */

import { type RawBuilder, sql } from 'kysely';
import { CloudError } from '../../contract/errors.ts';
import { type DomainId, newOrderedId, type ProjectId, type RoleId, type UserId } from '../../contract/ids.ts';
import { actorOf, type Caller, isAdmin } from '../kit/caller.ts';
import type { Queryable } from '../kit/database/database.ts';
import { notFound } from '../kit/refusal.ts';
import type { IdentityContext } from './context.ts';
import { groupsOf } from './directory.ts';
import { type DomainRight, listedDomain, requireGivable, requireInDomain, requireOver } from './domain-rights.ts';
import { findEntry } from './entries.ts';
import { requireAdministrator, requireReader } from './rights.ts';
import { roleKind } from './roles.ts';
import type { RoleRow } from './tables.ts';

/** To whom and where. */
export interface Grant {
  actor: { userId: UserId } | { groupId: string };
  target: { projectId: ProjectId } | { domainId: DomainId } | { system: true };
  /** Counts below the target instead of in it. */
  inherited?: boolean;
}

export interface AssignmentFilter {
  roleId?: RoleId;
  userId?: UserId;
  groupId?: string;
  projectId?: ProjectId;
  domainId?: DomainId;
  system?: boolean;
  inherited?: boolean;
  /** What the assignments come to for users, instead of the assignments. */
  effective?: boolean;
  /** With projectId: also the projects below it. */
  includeSubtree?: boolean;
}

interface NamedInDomain {
  id: string;
  name: string;
  domain_id: string | null;
  domain_name: string | null;
}

export interface Assignment {
  role: NamedInDomain;
  user: NamedInDomain | null;
  group: NamedInDomain | null;
  project: NamedInDomain | null;
  domain: { id: string; name: string } | null;
  system: boolean;
  inherited: boolean;
  /** Effective only: the group, the place and the role that the assignment is written with. */
  via: { groupId: string | null; projectId: string | null; domainId: string | null; priorRoleId: string | null } | null;
}

export class AssignmentService {
  readonly #context: IdentityContext;
  constructor(context: IdentityContext) {
    this.#context = context;
  }

  /** Safe to repeat. @throws CloudError `forbidden`, `not_found` */
  async grant(caller: Caller, grant: Grant, roleId: RoleId): Promise<void> {
    await this.#over(caller, 'manage', { grant, operation: 'identity:create_grant' });
    await this.#context.write(actorOf(caller), async (tx) => {
      const place = await existing(tx, grant);
      const role = await findEntry(tx, roleKind, roleId);
      requireGivable(caller, role, 'identity:create_grant');
      if (role.domain_id !== null) checkDomainRole(role.domain_id, grant, place.domainId);
      await sql`insert into role_assignment (id, role_id, user_id, group_id, project_id, domain_id, system, inherited)
        values (${newOrderedId()}, ${roleId}, ${userOf(grant)}, ${groupOf(grant)}, ${projectOf(grant)}, ${domainOf(grant)},
          ${'system' in grant.target}, ${grant.inherited ?? false})
        on conflict do nothing`.execute(tx);
    });
  }

  /** @throws CloudError `forbidden`, `not_found` */
  async check(caller: Caller, grant: Grant, roleId: RoleId): Promise<void> {
    await this.#over(caller, 'read', { grant, operation: 'identity:check_grant' });
    const { rows } = await sql`select from role_assignment a where ${matches(grant)} and a.role_id = ${roleId}`.execute(
      this.#context.query,
    );
    if (rows.length === 0) throw notFound('role_assignment_with_role', roleId);
  }

  /** @throws CloudError `forbidden`, `not_found` */
  async revoke(caller: Caller, grant: Grant, roleId: RoleId): Promise<void> {
    await this.#over(caller, 'manage', { grant, operation: 'identity:revoke_grant' });
    await this.#context.write(actorOf(caller), async (tx) => {
      if (!isAdmin(caller)) requireGivable(caller, await findEntry(tx, roleKind, roleId), 'identity:revoke_grant');
      const { rows } = await sql`delete from role_assignment a
        where ${matches(grant)} and a.role_id = ${roleId} returning id`.execute(tx);
      if (rows.length === 0) throw notFound('role_assignment_with_role', roleId);
    });
  }

  /** The roles that are given to this actor at this place itself. @throws CloudError `forbidden`, `not_found` */
  async rolesOf(caller: Caller, grant: Grant): Promise<RoleRow[]> {
    await this.#over(caller, 'read', { grant, operation: 'identity:list_grants' });
    await existing(this.#context.query, grant);
    const { rows } = await sql<RoleRow>`select r.* from role r join role_assignment a on a.role_id = r.id
      where ${matches(grant)} order by r.id`.execute(this.#context.query);
    return rows;
  }

  /** Who is granted and where must both be of the domain. @throws CloudError `forbidden` */
  async #over(
    caller: Caller,
    right: DomainRight,
    { grant, operation }: { grant: Grant; operation: string },
  ): Promise<void> {
    const { query } = this.#context;
    const { target } = grant;
    if ('system' in target) {
      if (right === 'read') requireReader(caller, operation);
      else requireAdministrator(caller, operation);
      return;
    }
    const [user, group] = [userOf(grant), groupOf(grant)];
    const actor = user ? ({ table: 'user', id: user } as const) : ({ table: 'user_group', id: group! } as const);
    await requireOver(query, caller, right, { ...actor, operation });
    if ('domainId' in target) requireInDomain(caller, right, { domainId: target.domainId, operation });
    else await requireOver(query, caller, right, { table: 'project', id: target.projectId, operation });
  }

  /** Has the caller a role in the system, so that a token for it could be had? */
  async hasSystemRole(caller: Caller): Promise<boolean> {
    const { rows } = await sql`select from role_assignment a where a.system and (a.user_id = ${caller.userId}
      or a.group_id = any(array${groupsOf(sql`${caller.userId}`)})) limit 1`.execute(this.#context.query);
    return rows.length > 0;
  }

  /** @throws CloudError `forbidden`, `invalid` */
  async list(caller: Caller, filter: AssignmentFilter): Promise<Assignment[]> {
    const within = listedDomain(caller, undefined, 'identity:list_role_assignments');
    if (filter.includeSubtree && !filter.projectId) {
      throw new CloudError('invalid', 'assignments_subtree_without_project', {});
    }
    if (filter.effective && filter.groupId) {
      throw new CloudError('invalid', 'effective_assignments_of_group', {});
    }
    if (filter.effective && filter.inherited !== undefined) {
      throw new CloudError('invalid', 'effective_assignments_inherited', {});
    }
    const { rows } = await sql<Assignment>`with recursive ${filter.effective ? effective(filter) : written(filter)}
      select ${named} from found f join role r on r.id = f.role_id left join domain rd on rd.id = r.domain_id
        left join "user" u on u.id = f.user_id left join domain ud on ud.id = u.domain_id
        left join user_group g on g.id = f.group_id left join domain gd on gd.id = g.domain_id
        left join project p on p.id = f.project_id left join domain pd on pd.id = p.domain_id
        left join domain d on d.id = f.domain_id
      where ${conditions(filter)} and ${within === undefined ? sql`true` : sql`(f.domain_id = ${within} or p.domain_id = ${within})`}
      order by f.project_id, f.domain_id, f.user_id, f.group_id, f.role_id`.execute(this.#context.query);
    return rows;
  }
}

const named = sql`
  json_build_object('id', r.id, 'name', r.name, 'domain_id', rd.id, 'domain_name', rd.name) as role,
  case when u.id is not null then json_build_object('id', u.id, 'name', u.name, 'domain_id', ud.id, 'domain_name', ud.name) end as user,
  case when g.id is not null then json_build_object('id', g.id, 'name', g.name, 'domain_id', gd.id, 'domain_name', gd.name) end as group,
  case when p.id is not null then json_build_object('id', p.id, 'name', p.name, 'domain_id', pd.id, 'domain_name', pd.name) end as project,
  case when d.id is not null then json_build_object('id', d.id, 'name', d.name) end as domain,
  f.system, f.inherited, f.via`;

const subtree = (id: ProjectId | undefined) => sql`subtree(id) as (select id from project where id = ${id ?? null}::uuid
  union select p.id from project p join subtree s on p.parent_id = s.id)`;

const written = (filter: AssignmentFilter) => sql`${subtree(filter.projectId)},
  found as (select role_id, user_id, group_id, project_id, domain_id, system, inherited, null::jsonb as via from role_assignment)`;

/** Group → members, inherited → the projects below, role → all that it implies; roles of domains drop out at the end. */
function effective(filter: AssignmentFilter): RawBuilder<unknown> {
  const onlyUser = filter.userId ? sql`where user_id = ${filter.userId}` : sql``;
  return sql`${subtree(filter.projectId)},
    personal as (select * from (
      select a.role_id, coalesce(a.user_id, m.user_id) as user_id, a.group_id, a.project_id, a.domain_id, a.system, a.inherited
      from role_assignment a left join user_group_member m on m.group_id = a.group_id and (m.expires_at is null or m.expires_at > now())
      where a.user_id is not null or m.user_id is not null) all_users ${onlyUser}),
    below(origin, id) as (
      select p.parent_id, p.id from project p where p.parent_id in (select project_id from personal where inherited)
      union select b.origin, p.id from project p join below b on p.parent_id = b.id),
    placed as (
      select role_id, user_id, group_id, project_id, domain_id, system, null::uuid as from_project, null::uuid as from_domain
        from personal where not inherited
      union all select a.role_id, a.user_id, a.group_id, b.id, null, false, a.project_id, null
        from personal a join below b on b.origin = a.project_id where a.inherited
      union all select a.role_id, a.user_id, a.group_id, p.id, null, false, null, a.domain_id
        from personal a join project p on p.domain_id = a.domain_id where a.inherited),
    implied(prior, role_id) as (
      select id, id from role
      union select i.prior, n.implied_role_id from role_implication n join implied i on i.role_id = n.prior_role_id),
    found as (select i.role_id, a.user_id, null::uuid as group_id, a.project_id, a.domain_id, a.system, false as inherited,
        jsonb_build_object('groupId', a.group_id, 'projectId', a.from_project, 'domainId', a.from_domain,
          'priorRoleId', case when i.prior <> i.role_id then i.prior end) as via
      from placed a join implied i on i.prior = a.role_id join role r on r.id = i.role_id and r.domain_id is null)`;
}

function conditions(filter: AssignmentFilter): RawBuilder<unknown> {
  const all: RawBuilder<unknown>[] = [sql`true`];
  if (filter.roleId) all.push(sql`f.role_id = ${filter.roleId}`);
  if (filter.userId) all.push(sql`f.user_id = ${filter.userId}`);
  if (filter.groupId) all.push(sql`f.group_id = ${filter.groupId}`);
  if (filter.domainId) all.push(sql`f.domain_id = ${filter.domainId}`);
  if (filter.system) all.push(sql`f.system`);
  if (filter.inherited !== undefined) all.push(sql`f.inherited = ${filter.inherited}`);
  if (filter.projectId) {
    all.push(
      filter.includeSubtree ? sql`f.project_id in (select id from subtree)` : sql`f.project_id = ${filter.projectId}`,
    );
  }
  return sql.join(all, sql` and `);
}

/**
 * As Keystone: a domain's role is held to that domain's projects. On any domain it may be given, and counts there by what it implies.
 * @throws CloudError `forbidden`, `invalid`
 */
function checkDomainRole(domainId: DomainId, { target }: Grant, placeDomainId: string | null): void {
  if ('system' in target) throw new CloudError('invalid', 'domain_role_in_system', {});
  if ('projectId' in target && domainId !== placeDomainId)
    throw new CloudError('forbidden', 'domain_role_outside_domain', {});
}

const userOf = ({ actor }: Grant) => ('userId' in actor ? actor.userId : null);
const groupOf = ({ actor }: Grant) => ('groupId' in actor ? actor.groupId : null);
const projectOf = ({ target }: Grant) => ('projectId' in target ? target.projectId : null);
const domainOf = ({ target }: Grant) => ('domainId' in target ? target.domainId : null);

/** The first condition is one that an index has, which the second, as PostgreSQL sees it, is not. */
const matches = (grant: Grant): RawBuilder<unknown> => sql`
  ${'userId' in grant.actor ? sql`a.user_id = ${grant.actor.userId}::uuid` : sql`a.group_id = ${grant.actor.groupId}::uuid`} and
  (a.user_id, a.group_id, a.project_id, a.domain_id, a.system, a.inherited) is not distinct from
  (${userOf(grant)}::uuid, ${groupOf(grant)}::uuid, ${projectOf(grant)}::uuid, ${domainOf(grant)}::uuid,
   ${'system' in grant.target}::boolean, ${grant.inherited ?? false}::boolean)`;

/** @throws CloudError `not_found` where actor or target do not exist; answers the target's domain */
async function existing(db: Queryable, grant: Grant): Promise<{ domainId: string | null }> {
  const [user, group, project, domain] = [userOf(grant), groupOf(grant), projectOf(grant), domainOf(grant)];
  const { rows } = await sql<{ actor: boolean; domain_id: string | null }>`select
    exists (select from "user" where id = ${user}::uuid union all select from user_group where id = ${group}::uuid) as actor,
    coalesce((select domain_id from project where id = ${project}::uuid), (select id from domain where id = ${domain}::uuid))
      as domain_id`.execute(db);
  const row = rows[0]!;
  if (!row.actor) throw user ? notFound('user', user) : notFound('group', group!);
  if (!('system' in grant.target) && row.domain_id === null) {
    throw project ? notFound('project', project) : notFound('domain', domain!);
  }
  return { domainId: row.domain_id };
}

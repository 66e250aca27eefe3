/**
 * What a user may do in a scope, read from the tables in one statement: names for the token's document, effective roles
 * (direct, by group, inherited from above, implied), and whether anything between user and scope is disabled or gone.
 */
import { type RawBuilder, sql } from 'kysely';
import type { DomainId, ProjectId, RoleId, UserId } from '../../contract/ids.ts';
import type { AccessRule } from '../kit/caller.ts';
import type { Database, Queryable } from '../kit/database/database.ts';
import { groupsOf } from './directory.ts';
import type { Scope } from './token.ts';

export interface Named<Id extends string> {
  id: Id;
  name: string;
}

export interface Authorization {
  user: Named<UserId> & { domain: Named<DomainId>; passwordExpiresAt: string | null };
  scope: Scope;
  project: (Named<ProjectId> & { domain: Named<DomainId> }) | null;
  domain: Named<DomainId> | null;
  /** Global roles only: domain roles count through what they imply. */
  roles: Named<RoleId>[];
  applicationCredential: {
    id: string;
    name: string;
    unrestricted: boolean;
    expiresAt: number | null;
    /** Null: no rules, everything is allowed. */
    accessRules: AccessRule[] | null;
  } | null;
  trust: {
    id: string;
    trustorId: UserId;
    trusteeId: UserId;
    impersonation: boolean;
    /** Milliseconds since 1970. */
    expiresAt: number | null;
    /** Trusts and users that it hangs on. */
    chain: string[];
  } | null;
}

/** A domain as callers name it. An id is an id already: alias and form were the caller's side's work. */
export type DomainReference = { id: DomainId } | { name: string };

/** A scope as callers ask for it. */
export type ScopeRequest =
  | { type: 'unscoped' }
  | { type: 'project'; id: ProjectId }
  | { type: 'project'; name: string; domain: DomainReference }
  | { type: 'project'; defaultOfUser: true }
  | { type: 'project'; ofTrust: true }
  | { type: 'domain'; domain: DomainReference }
  | { type: 'system' };

export interface AuthorizationQuery {
  userId: UserId;
  /** The token_version that the caller proved something about. */
  version: number;
  scope: ScopeRequest;
  applicationCredentialId: string | null;
  /** The trust that the user acts by. */
  trustId: string | null;
  /** The token whose revocation is looked for; null while there is no token yet. */
  auditId: string | null;
}

/** Why not; for the log only, callers all hear the same. */
export type Refusal =
  | 'no such user'
  | 'user disabled'
  | "user's domain disabled"
  | 'credentials changed since'
  | 'no such scope'
  | 'scope disabled'
  | 'no role in the scope'
  | 'token revoked'
  | 'application credential gone'
  | 'application credential expired'
  | 'trust gone'
  | 'trust without its roles or people';

interface Row {
  user_id: UserId;
  user_name: string;
  user_enabled: boolean;
  token_version: number;
  user_domain_id: DomainId;
  user_domain_name: string;
  user_domain_enabled: boolean;
  password_expires_at: string | null;
  project_id: ProjectId | null;
  project_name: string | null;
  project_enabled: boolean | null;
  domain_id: DomainId | null;
  domain_name: string | null;
  domain_enabled: boolean | null;
  roles: Named<RoleId>[] | null;
  credential: {
    name: string;
    unrestricted: boolean;
    project_id: ProjectId;
    expires_at: number | null;
    access_rules: AccessRule[] | null;
  } | null;
  trust: {
    trustor_user_id: UserId;
    trustee_user_id: UserId;
    project_id: ProjectId | null;
    impersonation: boolean;
    expires_at: number | null;
    chain: string[];
    whole: boolean;
  } | null;
  revoked: boolean;
  now: number;
}

/**
 * Prepared, because planning so many joins takes longer than running them. The statement has a few shapes (kinds of
 * scope, with and without a credential), each with a name of its own.
 */
const statementNames = new Map<string, string>();

/** The present authorization and the database's clock (milliseconds), or why there is none. */
export async function loadAuthorization(
  database: Database,
  query: AuthorizationQuery,
): Promise<{ authorization: Authorization; now: number } | { refusal: Refusal }> {
  const { sql: text, parameters } = statement(query).compile(database.query);
  const name = statementNames.get(text) ?? `authorization ${statementNames.size + 1}`;
  statementNames.set(text, name);
  const { rows } = await database.pool.query<Row>({ name, text, values: [...parameters] });
  const row = rows[0];
  if (!row) return { refusal: 'no such user' };
  const refusal = judge(row, query);
  return refusal ? { refusal } : { authorization: toAuthorization(row, query), now: row.now };
}

function judge(row: Row, query: AuthorizationQuery): Refusal | null {
  if (!row.user_enabled) return 'user disabled';
  if (!row.user_domain_enabled) return "user's domain disabled";
  if (row.token_version !== query.version) return 'credentials changed since';
  if (row.revoked) return 'token revoked';
  if (query.applicationCredentialId !== null) {
    if (!row.credential || row.credential.project_id !== row.project_id) return 'application credential gone';
    if (row.credential.expires_at !== null && row.credential.expires_at <= row.now) {
      return 'application credential expired';
    }
  }
  if (query.trustId !== null) {
    const { trust } = row;
    if (!trust || trust.project_id !== row.project_id || (trust.expires_at ?? row.now + 1) <= row.now)
      return 'trust gone';
    if (!trust.whole) return 'trust without its roles or people';
  }
  if (query.scope.type === 'unscoped') return null;
  if (query.scope.type === 'project' && !row.project_id) return 'no such scope';
  if (query.scope.type === 'domain' && !row.domain_id) return 'no such scope';
  if (row.project_enabled === false || row.domain_enabled === false) return 'scope disabled';
  return row.roles ? null : 'no role in the scope';
}

function toAuthorization(row: Row, query: AuthorizationQuery): Authorization {
  const domain = row.domain_id ? { id: row.domain_id, name: row.domain_name! } : null;
  const { credential, trust } = row;
  return {
    user: {
      id: row.user_id,
      name: row.user_name,
      domain: { id: row.user_domain_id, name: row.user_domain_name },
      passwordExpiresAt: row.password_expires_at,
    },
    scope: row.project_id
      ? { type: 'project', projectId: row.project_id }
      : domain
        ? { type: 'domain', domainId: domain.id }
        : query.scope.type === 'system'
          ? { type: 'system' }
          : { type: 'unscoped' },
    project: row.project_id ? { id: row.project_id, name: row.project_name!, domain: domain! } : null,
    domain: row.project_id ? null : domain,
    roles: row.roles ?? [],
    applicationCredential: credential && {
      id: query.applicationCredentialId!,
      name: credential.name,
      unrestricted: credential.unrestricted,
      expiresAt: credential.expires_at,
      accessRules: credential.access_rules,
    },
    trust: trust && {
      id: query.trustId!,
      trustorId: trust.trustor_user_id,
      trusteeId: trust.trustee_user_id,
      impersonation: trust.impersonation,
      expiresAt: trust.expires_at,
      chain: trust.chain,
    },
  };
}

function statement(query: AuthorizationQuery): RawBuilder<Row> {
  const { userId, scope, applicationCredentialId, trustId, auditId } = query;
  // Whoever proves something acts as themselves, but for a trust that impersonates: one table less to read.
  const actor = sql.raw(trustId ? 'actor' : 's');
  return sql<Row>`
    with recursive subject as (select * from "user" where id = ${userId}),
    ${trustId ? delegation(userId, trustId) : sql``}
    target as (${target(scope)}),
    ${effectiveRoles(trustId ? sql`(select origin_user_id from delegation)` : sql`${userId}::uuid`, scope)}
    ${credentialTables(userId, applicationCredentialId)}
    select ${actor}.id as user_id, ${actor}.name as user_name, s.enabled and ${actor}.enabled as user_enabled, s.token_version,
      home.id as user_domain_id, home.name as user_domain_name, home.enabled ${trustId ? sql`and (select enabled from domain where id = s.domain_id)` : sql``} as user_domain_enabled,
      (select to_char(expires_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US') from user_password where user_id = ${actor}.id)
        as password_expires_at,
      t.project_id, t.project_name, t.project_enabled, t.domain_id, t.domain_name, t.domain_enabled,
      (select json_agg(json_build_object('id', r.id, 'name', r.name) order by r.name) from role r
        where r.domain_id is null and r.id in (select role_id from effective)
          ${applicationCredentialId ? sql`and r.id in (select role_id from chosen)` : sql``}
          ${trustId ? sql`and r.id in (select role_id from lent)` : sql``}) as roles,
      ${applicationCredentialId ? credentialColumn : sql`null::json`} as credential,
      ${trustId ? trustColumn : sql`null::json`} as trust,
      exists (select from token_revocation where audit_id = ${auditId}) as revoked,
      floor(extract(epoch from clock_timestamp()) * 1000)::bigint as now
    from subject s ${trustId ? sql`join actor on true` : sql``} join domain home on home.id = ${actor}.domain_id left join target t on true`;
}

/** The trust, who acts by it, the trusts that it hangs on, and the roles that it lends. */
const delegation = (userId: UserId, trustId: string): RawBuilder<unknown> => sql`
    delegation as (select * from trust where id = ${trustId} and trustee_user_id = ${userId}),
    lineage as (select t.* from trust t join delegation d on d.id = t.id
      union select t.* from trust t join lineage l on t.id = l.redelegated_trust_id),
    lent(role_id) as (select unnest(role_ids) from delegation
      union select i.implied_role_id from role_implication i join lent l on l.role_id = i.prior_role_id),
    actor as (select u.* from "user" u join delegation d
      on u.id = case when d.impersonation then d.trustor_user_id else d.trustee_user_id end),`;

/** Whole: all who passed it on are enabled, and the first of them has every role that it names. */
const trustColumn = sql`(select json_build_object('trustor_user_id', d.trustor_user_id, 'trustee_user_id', d.trustee_user_id,
        'project_id', d.project_id, 'impersonation', d.impersonation,
        'expires_at', floor(extract(epoch from d.expires_at) * 1000),
        'chain', (select json_agg(distinct one) from lineage,
          unnest(array[lineage.id, trustor_user_id, trustee_user_id, origin_user_id]) as one),
        'whole', not exists (select from lineage l join "user" u on u.id in (l.trustor_user_id, l.trustee_user_id, l.origin_user_id)
            join domain ud on ud.id = u.domain_id where not u.enabled or not ud.enabled)
          and not exists (select from unnest(d.role_ids) as wanted(id) where id not in (select role_id from effective)))
        from delegation d)`;

/** Every role of a user in a project, domain's roles too. */
export async function effectiveRoleIds(db: Queryable, userId: UserId, projectId: ProjectId): Promise<RoleId[]> {
  const scope: ScopeRequest = { type: 'project', id: projectId };
  const { rows } = await sql<{ role_id: RoleId }>`with recursive target as (${target(scope)}),
    ${effectiveRoles(sql`${userId}::uuid`, scope)} select role_id from effective`.execute(db);
  return rows.map((row) => row.role_id);
}

const credentialTables = (userId: UserId, id: string | null): RawBuilder<unknown> =>
  id === null
    ? sql``
    : sql`, credential as (select * from application_credential where id = ${id} and user_id = ${userId}),
      chosen(role_id) as (
        select unnest(role_ids) from credential
        union select i.implied_role_id from role_implication i join chosen c on c.role_id = i.prior_role_id)`;

const credentialColumn = sql`(select json_build_object('name', c.name, 'unrestricted', c.unrestricted, 'project_id', c.project_id,
          'expires_at', floor(extract(epoch from c.expires_at) * 1000),
          'access_rules', case when c.access_rule_ids is null then null else coalesce(
            (select json_agg(json_build_object('service', a.service, 'method', a.method, 'path', a.path))
              from access_rule a where a.id = any(c.access_rule_ids)), '[]') end)
        from credential c)`;

/** project_id, project_name, project_enabled, domain_id, domain_name, domain_enabled; one row or none. */
function target(scope: ScopeRequest): RawBuilder<unknown> {
  if (scope.type === 'project') {
    return sql`select p.id as project_id, p.name as project_name, p.enabled as project_enabled,
        d.id as domain_id, d.name as domain_name, d.enabled as domain_enabled
      from project p join domain d on d.id = p.domain_id where ${projectCondition(scope)}`;
  }
  const condition = scope.type === 'domain' ? domainCondition(scope.domain) : sql`false`;
  return sql`select null::uuid as project_id, null::text as project_name, null::boolean as project_enabled,
    d.id as domain_id, d.name as domain_name, d.enabled as domain_enabled from domain d where ${condition}`;
}

function projectCondition(scope: ScopeRequest & { type: 'project' }): RawBuilder<unknown> {
  if ('id' in scope) return sql`p.id = ${scope.id}`;
  if ('ofTrust' in scope) return sql`p.id = (select project_id from delegation)`;
  if ('defaultOfUser' in scope) return sql`p.id = (select default_project_id from subject)`;
  return sql`p.name = ${scope.name} and ${domainCondition(scope.domain)}`;
}

const domainCondition = (domain: DomainReference): RawBuilder<unknown> =>
  'id' in domain ? sql`d.id = ${domain.id}` : sql`d.name = ${domain.name}`;

/** CTEs that end in effective(role_id): every role of the user in the one scope that `target` names. */
function effectiveRoles(user: RawBuilder<unknown>, scope: ScopeRequest): RawBuilder<unknown> {
  return sql`ancestor(id, parent_id) as (
      select p.id, p.parent_id from project p join target t on t.project_id = p.id
      union select p.id, p.parent_id from project p join ancestor a on p.id = a.parent_id),
    effective(role_id) as (
      select a.role_id from role_assignment a
      where (a.user_id = ${user} or a.group_id = any(array${groupsOf(user)}))
        and (${scopeCondition(scope)})
      union select i.implied_role_id from role_implication i join effective e on e.role_id = i.prior_role_id)`;
}

function scopeCondition(scope: ScopeRequest): RawBuilder<unknown> {
  switch (scope.type) {
    case 'unscoped':
      return sql`false`;
    case 'system':
      return sql`a.system and not a.inherited`;
    case 'domain':
      return sql`a.domain_id = (select domain_id from target) and not a.inherited`;
    case 'project':
      // An inherited assignment counts below the project or domain that it is made on, not there itself.
      return sql`a.project_id = (select project_id from target) and not a.inherited
        or a.inherited and (a.domain_id = (select domain_id from target)
          or a.project_id = any(array(select parent_id from ancestor)))`;
  }
}

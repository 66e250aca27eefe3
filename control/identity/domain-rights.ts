/**
 * Rights over a domain's directory, as Keystone's readers and managers of a domain have them: with a token for the domain, a
 * reader reads its users, groups, projects and assignments, and a manager changes them. Administrators may all of it anywhere.
 *
 * More narrowly than Keystone, a manager does not touch users and groups who are administrators or services anywhere, or have a role in the
 * system: with their passwords, or among them, a manager would be one.
 */
import { sql } from 'kysely';
import { CloudError } from '../../contract/errors.ts';
import type { DomainId } from '../../contract/ids.ts';
import { type Caller, isAdmin } from '../kit/caller.ts';
import type { Queryable } from '../kit/database/database.ts';
import { isSystemReader, refuse } from './rights.ts';

/** Who has one of these, or a role that comes to one, is more than a manager, wherever it is. */
const mighty = ['admin', 'service'];
/** What managers may give. */
const givable = ['manager', 'member', 'reader'];

export type DomainRight = 'read' | 'manage';
const roleFor: Record<DomainRight, string> = { read: 'reader', manage: 'manager' };

/** Everywhere, without a look at the domain. */
const mayAll = (caller: Caller, right: DomainRight): boolean =>
  isAdmin(caller) || (right === 'read' && isSystemReader(caller));

export const mayInDomain = (caller: Caller, right: DomainRight, domainId: string | null | undefined): boolean =>
  mayAll(caller, right) ||
  (caller.domainId !== null && caller.domainId === domainId && caller.roles.has(roleFor[right]));

/** @throws CloudError `forbidden` */
export function requireInDomain(
  caller: Caller,
  right: DomainRight,
  { domainId, operation }: { domainId: string | null | undefined; operation: string },
): void {
  if (!mayInDomain(caller, right, domainId)) refuse(operation);
}

/** Over something of a domain. @throws CloudError `forbidden`, also where it does not exist: who asks may not learn that */
export async function requireOver(
  db: Queryable,
  caller: Caller,
  right: DomainRight,
  { table, id, operation }: { table: 'user' | 'user_group' | 'project'; id: string; operation: string },
): Promise<void> {
  if (mayAll(caller, right)) return;
  if (caller.domainId === null) refuse(operation);
  const { rows } = await sql<{
    domain_id: DomainId;
  }>`select domain_id from ${sql.table(table)} where id = ${id}`.execute(db);
  requireInDomain(caller, right, { domainId: rows[0]?.domain_id, operation });
}

/**
 * The domain that a list is of: the one that is asked for, or a domain reader's own.
 * @throws CloudError `forbidden`
 */
export function listedDomain(caller: Caller, asked: DomainId | undefined, operation: string): DomainId | undefined {
  if (mayAll(caller, 'read')) return asked;
  const domainId = asked ?? caller.domainId ?? undefined;
  requireInDomain(caller, 'read', { domainId, operation });
  return domainId;
}

/** @throws CloudError `forbidden` where a manager would touch who is more than a manager */
export async function requireNoMightier(
  db: Queryable,
  caller: Caller,
  whom: { userId: string } | { groupId: string },
): Promise<void> {
  if (isAdmin(caller)) return;
  const holder =
    'userId' in whom
      ? sql`(a.user_id = ${whom.userId} or a.group_id = any(array(select group_id from user_group_member where user_id = ${whom.userId})))`
      : sql`a.group_id = ${whom.groupId}`;
  const trusted =
    'userId' in whom
      ? sql`union all select from trust t join might m on m.id = any(t.role_ids) where t.trustee_user_id = ${whom.userId}`
      : sql``;
  const { rows } = await sql`with recursive might(id) as (
      select id from role where name = any(${mighty}) and domain_id is null
      union select i.prior_role_id from role_implication i join might m on m.id = i.implied_role_id)
    select from role_assignment a where ${holder} and (a.system or a.role_id = any(array(select id from might)))
      ${trusted} limit 1`.execute(db);
  if (rows.length > 0) throw new CloudError('forbidden', 'mightier_than_manager', {});
}

/** @throws CloudError `forbidden` for a role that managers do not give */
export function requireGivable(
  caller: Caller,
  role: { name: string; domain_id: string | null },
  operation: string,
): void {
  if (isAdmin(caller) || (role.domain_id === null && givable.includes(role.name))) return;
  refuse(operation);
}

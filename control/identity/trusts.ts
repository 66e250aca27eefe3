/**
 * Trusts: a trustor lets a trustee act in one project with some of the trustor's roles, as the trustor (impersonation) or as
 * themselves. What a trust is good for is what its roles and the trustor's present ones have in common, all of them; a trust that
 * is passed on (redelegated) lives and ends with the one that it was made from.
 */
import { type RawBuilder, sql } from 'kysely';
import { CloudError } from '../../contract/errors.ts';
import { newOrderedId, type ProjectId, type RoleId, type UserId } from '../../contract/ids.ts';
import { actorOf, type Caller } from '../kit/caller.ts';
import type { Tx } from '../kit/database/database.ts';
import { notFound } from '../kit/refusal.ts';
import { effectiveRoleIds } from './authorization.ts';
import { type IdentityContext, refusing } from './context.ts';
import { requireAdministrator, requireReader, requireSelfOrReader } from './rights.ts';
import type { RoleRow, TrustTable } from './tables.ts';
import { futureInstant } from './times.ts';

export interface Trust extends Omit<TrustTable, 'expires_at' | 'created_at' | 'role_ids' | 'redelegation_count'> {
  /** UTC, microseconds, with zone: as trusts tell it. */
  expires_at: string | null;
  redelegation_count: number;
  roles: RoleRow[];
}

export interface NewTrust {
  trustorId: UserId;
  trusteeId: UserId;
  projectId: ProjectId | null;
  impersonation: boolean;
  roles: ({ id: string } | { name: string })[];
  /** ISO 8601 in UTC, up to microseconds. */
  expiresAt: string | null;
  remainingUses: number | null;
  allowRedelegation: boolean;
  redelegationCount: number | null;
}

/** Keystone's [trust] max_redelegation_count. */
const deepest = 3;

const columns = sql`t.id, t.trustor_user_id, t.trustee_user_id, t.project_id, t.origin_user_id, t.redelegated_trust_id, t.impersonation,
  t.remaining_uses, t.redelegation_count,
  to_char(t.expires_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as expires_at,
  coalesce((select json_agg(r order by r.name) from role r where r.id = any(t.role_ids)), '[]') as roles`;

/** A trust whose uses are used up is gone to everybody; one whose time is over is shown still. */
const there = sql`(t.remaining_uses is null or t.remaining_uses > 0)`;

export class TrustService {
  readonly #context: IdentityContext;
  constructor(context: IdentityContext) {
    this.#context = context;
  }

  /** @throws CloudError `forbidden`, `invalid`, `not_found` (trustee, project, role) */
  async create(caller: Caller, wanted: NewTrust): Promise<Trust> {
    requireNoApplicationCredential(caller);
    if (caller.userId !== wanted.trustorId) throw new CloudError('forbidden', 'trust_of_another_trustor', {});
    if (wanted.projectId && wanted.roles.length === 0) throw new CloudError('forbidden', 'trust_without_role', {});
    const expiresAt = wanted.expiresAt === null ? null : futureInstant(wanted.expiresAt);
    const id = newOrderedId();
    const refusals = {
      trust_trustee_user_id_fkey: () => notFound('user', wanted.trusteeId),
      trust_project_id_fkey: () => notFound('project', wanted.projectId ?? ''),
    };
    return refusing(refusals, () =>
      this.#context.write(actorOf(caller), async (tx) => {
        const parent =
          caller.trustId === undefined ? null : await this.#find(sql`t.id = ${caller.trustId}`, caller.trustId, tx);
        const count = parent ? passedOn(parent, wanted) : ownCount(wanted);
        const roleIds = await rolesIn(tx, wanted.roles);
        const origin = parent?.origin_user_id ?? caller.userId;
        await this.#requireRoles(tx, { origin, projectId: wanted.projectId, roleIds, parent });
        const end = sql`least(${expiresAt}::timestamptz, ${parent?.expires_at ?? null}::timestamptz)`;
        await sql`insert into trust (id, trustor_user_id, trustee_user_id, project_id, origin_user_id, redelegated_trust_id,
            impersonation, role_ids, expires_at, remaining_uses, redelegation_count)
          values (${id}, ${wanted.trustorId}, ${wanted.trusteeId}, ${wanted.projectId}, ${origin}, ${parent?.id ?? null},
            ${wanted.impersonation}, ${roleIds}, ${end}, ${wanted.remainingUses}, ${count})`.execute(tx);
        return this.#find(sql`t.id = ${id}`, id, tx);
      }),
    );
  }

  /** All are for administrators; those that one gave or got are one's own. @throws CloudError `forbidden` */
  async list(caller: Caller, filter: { trustorId?: UserId; trusteeId?: UserId }): Promise<Trust[]> {
    requireNoApplicationCredential(caller);
    const { trustorId, trusteeId } = filter;
    if (trustorId) requireSelfOrReader(caller, trustorId, 'identity:list_trusts_for_trustor');
    else if (trusteeId) requireSelfOrReader(caller, trusteeId, 'identity:list_trusts_for_trustee');
    else requireReader(caller, 'identity:list_trusts');
    const conditions: RawBuilder<unknown>[] = [there];
    if (trustorId) conditions.push(sql`t.trustor_user_id = ${trustorId}`);
    if (trusteeId) conditions.push(sql`t.trustee_user_id = ${trusteeId}`);
    const { rows } =
      await sql<Trust>`select ${columns} from trust t where ${sql.join(conditions, sql` and `)} order by t.id`.execute(
        this.#context.query,
      );
    return rows;
  }

  /** @throws CloudError `not_found`, `forbidden` for who neither gave nor got it */
  async get(caller: Caller, id: string): Promise<Trust> {
    const trust = await this.#find(sql`t.id = ${id}`, id);
    requireNoApplicationCredential(caller);
    const own = caller.userId === trust.trustor_user_id || caller.userId === trust.trustee_user_id;
    if (!own) requireReader(caller, 'identity:get_trust');
    return trust;
  }

  /** With those that were made from it. @throws CloudError `not_found`, `forbidden` */
  async delete(caller: Caller, id: string): Promise<void> {
    const trust = await this.#find(sql`t.id = ${id}`, id);
    requireNoApplicationCredential(caller);
    if (caller.userId !== trust.trustor_user_id) requireAdministrator(caller, 'identity:delete_trust');
    await this.#context.write(actorOf(caller), async (tx) => {
      await tx.deleteFrom('trust').where('id', '=', id).execute();
    });
  }

  /** @throws CloudError `unauthenticated` where there is none, `forbidden` where it is another's */
  async requireTrustee(userId: UserId, id: string): Promise<void> {
    const row = await this.#context.query
      .selectFrom('trust')
      .select('trustee_user_id')
      .where('id', '=', id)
      .executeTakeFirst();
    if (!row) throw new CloudError('unauthenticated', 'authentication_required', {});
    if (row.trustee_user_id !== userId) throw new CloudError('forbidden', 'trust_of_another_trustee', {});
  }

  /**
   * One more token by a trust that counts them. In one statement, so that the last use is one.
   * @throws CloudError `forbidden` where none is left
   */
  async use(trusteeId: UserId, id: string, requestId: string): Promise<void> {
    await this.#context.write({ actorId: trusteeId, requestId }, async (tx) => {
      const { rows } = await sql<{
        remaining_uses: number | null;
      }>`select remaining_uses from trust where id = ${id}`.execute(tx);
      if (rows[0] && rows[0].remaining_uses === null) return;
      const used = await sql`update trust set remaining_uses = remaining_uses - 1
        where id = ${id} and remaining_uses > 0 returning id`.execute(tx);
      if (used.rows.length === 0) throw new CloudError('forbidden', 'trust_used_up', { id });
    });
  }

  async #find(condition: RawBuilder<unknown>, id: string, tx?: Tx): Promise<Trust> {
    const { rows } = await sql<Trust>`select ${columns} from trust t where ${condition} and ${there}`.execute(
      tx ?? this.#context.query,
    );
    if (!rows[0]) throw notFound('trust', id);
    return rows[0];
  }

  /** @throws CloudError `not_found` for a role that the origin has not in the project; `forbidden` for one that the parent has not */
  async #requireRoles(
    tx: Tx,
    {
      origin,
      projectId,
      roleIds,
      parent,
    }: { origin: UserId; projectId: ProjectId | null; roleIds: RoleId[]; parent: Trust | null },
  ): Promise<void> {
    const given = parent?.roles.map((role) => role.id);
    if (given && !roleIds.every((id) => given.includes(id)))
      throw new CloudError('forbidden', 'trust_wider_than_its_parent', {});
    if (!projectId) return;
    if (parent && parent.project_id !== projectId) throw new CloudError('forbidden', 'trust_wider_than_its_parent', {});
    const held = await effectiveRoleIds(tx, origin, projectId);
    const missing = roleIds.find((id) => !held.includes(id));
    if (missing) throw notFound('role', missing);
  }
}

/** @throws CloudError `forbidden` */
function requireNoApplicationCredential(caller: Caller): void {
  if (caller.applicationCredential) throw new CloudError('forbidden', 'trust_by_application_credential', {});
}

/** How often a new trust may be passed on. @throws CloudError `forbidden`, `invalid` */
function ownCount({ allowRedelegation, redelegationCount, remainingUses }: NewTrust): number {
  if (!allowRedelegation || redelegationCount === 0) return 0;
  if (redelegationCount !== null && redelegationCount > deepest) {
    throw new CloudError('forbidden', 'trust_too_deep', { wanted: redelegationCount, maximum: deepest });
  }
  if (remainingUses !== null) throw new CloudError('invalid', 'trust_counted_and_passed_on', {});
  return redelegationCount ?? deepest;
}

/** And one that is made from another. @throws CloudError `forbidden` */
function passedOn(parent: Trust, wanted: NewTrust): number {
  const left = parent.redelegation_count;
  if (left <= 0) throw new CloudError('forbidden', 'trust_too_deep', { wanted: left, maximum: deepest });
  if (wanted.remainingUses !== null) throw new CloudError('forbidden', 'trust_counted_and_passed_on', {});
  if (wanted.impersonation && !parent.impersonation)
    throw new CloudError('forbidden', 'trust_wider_than_its_parent', {});
  if (
    wanted.expiresAt !== null &&
    parent.expires_at !== null &&
    Date.parse(futureInstant(wanted.expiresAt)) > Date.parse(parent.expires_at)
  ) {
    throw new CloudError('forbidden', 'trust_wider_than_its_parent', {});
  }
  const { redelegationCount } = wanted;
  if (!wanted.allowRedelegation || redelegationCount === 0) return 0;
  if (redelegationCount !== null && redelegationCount !== left - 1)
    throw new CloudError('forbidden', 'trust_depth_is_given', {});
  return left - 1;
}

/** @throws CloudError `not_found` */
async function rolesIn(tx: Tx, wanted: NewTrust['roles']): Promise<RoleId[]> {
  const ids: RoleId[] = [];
  for (const one of wanted) {
    const condition = 'id' in one ? sql`id = ${one.id}` : sql`name = ${one.name} and domain_id is null`;
    const { rows } = await sql<{ id: RoleId }>`select id from role where ${condition}`.execute(tx);
    if (!rows[0]) throw notFound('role', 'id' in one ? one.id : one.name);
    ids.push(rows[0].id);
  }
  return [...new Set(ids)];
}

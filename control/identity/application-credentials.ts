/**
 * Application credentials: a user's second key, for one project and some of the user's roles there. What it may do is the
 * intersection of its roles with those that the user has now: a role that is taken from the user is taken from it too.
 */

import { randomBytes } from 'node:crypto';
import { sql } from 'kysely';
import { CloudError } from '../../contract/errors.ts';
import { newOrderedId, type ProjectId, type RoleId, type UserId } from '../../contract/ids.ts';
import { Secret } from '../../contract/secret.ts';
import { type AccessRule, actorOf, type Caller } from '../kit/caller.ts';
import type { Tx } from '../kit/database/database.ts';
import { notFound } from '../kit/refusal.ts';
import { type IdentityContext, refusing } from './context.ts';
import { checkName, nameTaken } from './directory.ts';
import { loggedIn } from './fair-gate.ts';
import { maxPasswordLength } from './password.ts';
import { requireNoTrust, requireSelfOrAdministrator, requireSelfOrReader, requireUnrestricted } from './rights.ts';
import { futureInstant } from './times.ts';

export interface ApplicationCredential {
  id: string;
  user_id: UserId;
  project_id: ProjectId;
  name: string;
  description: string | null;
  unrestricted: boolean;
  /** As Keystone writes it: UTC, microseconds, no zone. */
  expires_at: string | null;
  roles: { id: string; name: string; domain_id: string | null }[];
  access_rules: (AccessRule & { id: string })[] | null;
}

export type StoredAccessRule = AccessRule & { id: string };

export interface NewApplicationCredential {
  name: string;
  description: string | null;
  /** Null: one is made. */
  secret: Secret | null;
  /** ISO 8601 in UTC, up to microseconds. */
  expiresAt: string | null;
  /** Null: all that the token has. */
  roles: ({ id: string } | { name: string })[] | null;
  unrestricted: boolean;
  accessRules: (AccessRule | { id: string })[] | null;
}

const maxName = 255;
const secretBytes = 64;

const columns = sql`c.id, c.user_id, c.project_id, c.name, c.description, c.unrestricted,
  to_char(c.expires_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US') as expires_at,
  coalesce((select json_agg(json_build_object('id', r.id, 'name', r.name, 'domain_id', r.domain_id) order by r.name)
    from role r where r.id = any(c.role_ids)), '[]') as roles,
  (select json_agg(json_build_object('id', a.id, 'service', a.service, 'method', a.method, 'path', a.path) order by a.id)
    from access_rule a where a.id = any(c.access_rule_ids)) as access_rules`;

export class ApplicationCredentialService {
  readonly #context: IdentityContext;
  constructor(context: IdentityContext) {
    this.#context = context;
  }

  /**
   * For the caller, in the project of the caller's token.
   * @throws CloudError `forbidden`, `invalid`, `conflict`
   */
  async create(
    caller: Caller,
    userId: UserId,
    wanted: NewApplicationCredential,
  ): Promise<{ credential: ApplicationCredential; secret: Secret }> {
    if (caller.userId !== userId) {
      throw new CloudError('forbidden', 'application_credential_of_another_user', {});
    }
    requireUnrestricted(caller, 'create_application_credential');
    requireNoTrust(caller, 'create_application_credential');
    const { projectId } = caller;
    if (!projectId) throw new CloudError('forbidden', 'application_credential_without_project', {});
    checkName('application_credential', wanted.name, maxName);
    const expiresAt = wanted.expiresAt === null ? null : futureInstant(wanted.expiresAt);
    const secret = wanted.secret ?? new Secret(randomBytes(secretBytes).toString('base64url'));
    const { length } = secret.reveal();
    if (length === 0 || length > maxPasswordLength) {
      throw new CloudError('invalid', 'secret_length_out_of_range', { maximum: maxPasswordLength });
    }
    const hash = await this.#context.passwords.hash(secret, loggedIn(caller.userId));
    const id = newOrderedId();
    const userGone = () => notFound('user', userId);
    const credential = await refusing(
      {
        application_credential_user_id_name_key: () => nameTaken('application_credential', wanted.name),
        // A token is good until its user's end is known to all.
        application_credential_user_id_fkey: userGone,
        access_rule_user_id_fkey: userGone,
      },
      () =>
        this.#context.write(actorOf(caller), async (tx) => {
          const roleIds = await ownRoles(tx, caller, wanted.roles);
          const ruleIds = wanted.accessRules?.length ? await storeRules(tx, userId, wanted.accessRules) : null;
          await sql`insert into application_credential
            (id, user_id, project_id, name, description, role_ids, access_rule_ids, unrestricted, expires_at)
            values (${id}, ${userId}, ${projectId}, ${wanted.name}, ${wanted.description}, ${roleIds}, ${ruleIds},
              ${wanted.unrestricted}, ${expiresAt}::timestamptz)`.execute(tx);
          await tx
            .insertInto('application_credential_secret')
            .values({ application_credential_id: id, hash })
            .execute();
          const { rows } = await sql<ApplicationCredential>`
            select ${columns} from application_credential c where c.id = ${id}`.execute(tx);
          return rows[0]!;
        }),
    );
    return { credential, secret };
  }

  /** @throws CloudError `forbidden` */
  async list(caller: Caller, userId: UserId, filter: { name?: string } = {}): Promise<ApplicationCredential[]> {
    requireSelfOrReader(caller, userId, 'identity:list_application_credentials');
    const { rows } = await sql<ApplicationCredential>`select ${columns} from application_credential c
      where c.user_id = ${userId} ${filter.name === undefined ? sql`` : sql`and c.name = ${filter.name}`}
      order by c.id`.execute(this.#context.query);
    return rows;
  }

  /** @throws CloudError `forbidden`, `not_found` */
  async get(caller: Caller, userId: UserId, id: string): Promise<ApplicationCredential> {
    requireSelfOrReader(caller, userId, 'identity:get_application_credential');
    const { rows } = await sql<ApplicationCredential>`select ${columns} from application_credential c
      where c.user_id = ${userId} and c.id = ${id}`.execute(this.#context.query);
    if (!rows[0]) throw notFound('application_credential', id);
    return rows[0];
  }

  /** Its tokens end with it. @throws CloudError `forbidden`, `not_found` */
  async delete(caller: Caller, userId: UserId, id: string): Promise<void> {
    requireSelfOrAdministrator(caller, userId, 'identity:delete_application_credential');
    requireUnrestricted(caller, 'delete_application_credential');
    requireNoTrust(caller, 'delete_application_credential');
    await this.#context.write(actorOf(caller), async (tx) => {
      const row = await tx
        .deleteFrom('application_credential')
        .where('id', '=', id)
        .where('user_id', '=', userId)
        .returning('id')
        .executeTakeFirst();
      if (!row) throw notFound('application_credential', id);
    });
  }

  /** @throws CloudError `forbidden` */
  async accessRules(caller: Caller, userId: UserId): Promise<StoredAccessRule[]> {
    requireSelfOrReader(caller, userId, 'identity:list_access_rules');
    return this.#context.query
      .selectFrom('access_rule')
      .select(['id', 'service', 'method', 'path'])
      .where('user_id', '=', userId)
      .orderBy('id')
      .execute();
  }

  /** @throws CloudError `forbidden`, `not_found` */
  async accessRule(caller: Caller, userId: UserId, id: string): Promise<StoredAccessRule> {
    const rule = (await this.accessRules(caller, userId)).find((one) => one.id === id);
    if (!rule) throw notFound('access_rule', id);
    return rule;
  }

  /** @throws CloudError `forbidden` while a credential uses it, `not_found` */
  async deleteAccessRule(caller: Caller, userId: UserId, id: string): Promise<void> {
    requireSelfOrAdministrator(caller, userId, 'identity:delete_access_rule');
    requireUnrestricted(caller, 'delete_access_rule');
    requireNoTrust(caller, 'delete_access_rule');
    await this.#context.write(actorOf(caller), async (tx) => {
      // The lock keeps a credential that names the rule from being made meanwhile (see storeRules).
      const rule = await tx
        .selectFrom('access_rule')
        .select('id')
        .where('id', '=', id)
        .where('user_id', '=', userId)
        .forUpdate()
        .executeTakeFirst();
      if (!rule) throw notFound('access_rule', id);
      const { rows } =
        await sql`select from application_credential where ${id}::uuid = any(access_rule_ids) limit 1`.execute(tx);
      if (rows.length > 0) {
        throw new CloudError('forbidden', 'access_rule_in_use', { id });
      }
      await tx.deleteFrom('access_rule').where('id', '=', id).execute();
    });
  }
}

/** The ids of the wanted roles, each of which the caller must have in the project. */
async function ownRoles(tx: Tx, caller: Caller, wanted: NewApplicationCredential['roles']): Promise<RoleId[]> {
  const own = await tx
    .selectFrom('role')
    .select(['id', 'name'])
    .where('domain_id', 'is', null)
    .where('name', 'in', [...caller.roles])
    .execute();
  if (!wanted || wanted.length === 0) return own.map((role) => role.id);
  return wanted.map((one) => {
    const role = own.find((mine) => ('id' in one ? mine.id === one.id : mine.name === one.name));
    if (!role) {
      const which = 'id' in one ? one.id : one.name;
      throw new CloudError('invalid', 'application_credential_role_not_held', { role: which });
    }
    return role.id;
  });
}

/** The ids of a user's rules; rules that are new are stored, equal ones shared. */
async function storeRules(tx: Tx, userId: UserId, rules: (AccessRule | { id: string })[]): Promise<string[]> {
  const ids: string[] = [];
  for (const rule of rules) {
    const { rows } =
      'id' in rule
        ? await sql<{
            id: string;
          }>`select id from access_rule where id = ${rule.id} and user_id = ${userId} for share`.execute(tx)
        : await sql<{ id: string }>`insert into access_rule (id, user_id, service, method, path)
            values (${newOrderedId()}, ${userId}, ${rule.service}, ${rule.method}, ${rule.path})
            on conflict (user_id, service, method, path) do update set path = excluded.path returning id`.execute(tx);
    if (!rows[0]) throw notFound('access_rule', 'id' in rule ? rule.id : '');
    ids.push(rows[0].id);
  }
  return [...new Set(ids)];
}

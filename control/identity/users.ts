/** Users and their passwords. */
import { type RawBuilder, sql } from 'kysely';
import { CloudError } from '../../contract/errors.ts';
import { type DomainId, newId, type ProjectId, type UserId } from '../../contract/ids.ts';
import type { Secret } from '../../contract/secret.ts';
import type { Queryable, Tx } from '../database/database.ts';
import { json } from '../database/schema.ts';
import { actorOf, type Caller } from './caller.ts';
import { type IdentityContext, refusing } from './context.ts';
import {
  checkName,
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
import { provePassword } from './login.ts';
import { maxPasswordLength } from './password.ts';
import { requireAdministrator, requireReader, requireSelfOrReader } from './rights.ts';
import type { Extra, UserRow } from './tables.ts';

export interface UserChange {
  name?: string;
  description?: string | null;
  email?: string | null;
  /** Null takes the password away. */
  password?: Secret | null;
  enabled?: boolean;
  defaultProjectId?: ProjectId | null;
  options?: Extra;
  extra?: Extra;
}
export type NewUser = UserChange & { name: string; domainId: DomainId };

/** A user with what may be told of the password. */
export type UserView = UserRow & { password_expires_at: Date | null };

const known = [
  'ignore_change_password_upon_first_use',
  'ignore_password_expiry',
  'ignore_lockout_failure_attempts',
  'ignore_user_inactivity',
  'lock_password',
  'multi_factor_auth_enabled',
  'multi_factor_auth_rules',
];
const maxName = 255;

export class UserService {
  readonly #context: IdentityContext;
  constructor(context: IdentityContext) {
    this.#context = context;
  }

  /** @throws CloudError `forbidden`, `invalid`, `not_found` (domain), `conflict` */
  async create(caller: Caller, wanted: NewUser): Promise<UserView> {
    requireAdministrator(caller, 'identity:create_user');
    check(wanted);
    const hash = wanted.password ? await this.#context.passwords.hash(wanted.password) : null;
    const row = {
      id: newId<UserId>(),
      domain_id: wanted.domainId,
      name: wanted.name,
      description: wanted.description ?? '',
      email: wanted.email ?? null,
      default_project_id: wanted.defaultProjectId ?? null,
      enabled: wanted.enabled ?? true,
      options: json(mergeOptions(known, {}, wanted.options)),
      extra: mergeExtra({}, wanted.extra),
    };
    return this.#named(wanted.name, wanted.domainId, () =>
      this.#context.write(actorOf(caller), async (tx) => {
        const user = await tx.insertInto('user').values(row).returningAll().executeTakeFirstOrThrow();
        if (hash) await tx.insertInto('user_password').values({ user_id: user.id, hash }).execute();
        return { ...user, password_expires_at: null };
      }),
    );
  }

  /** @throws CloudError `forbidden` */
  async list(
    caller: Caller,
    filter: { name?: string; enabled?: boolean; domainId?: DomainId },
    page: PageRequest,
  ): Promise<Page<UserView>> {
    requireReader(caller, 'identity:list_users');
    return this.#page(
      sql`true ${filter.name === undefined ? sql`` : sql`and u.name = ${filter.name}`}
        ${filter.enabled === undefined ? sql`` : sql`and u.enabled = ${filter.enabled}`}
        ${filter.domainId ? sql`and u.domain_id = ${filter.domainId}` : sql``}`,
      page,
    );
  }

  /** @throws CloudError `forbidden`, `not_found` */
  async ofGroup(
    caller: Caller,
    groupId: string,
    filter: { name?: string },
    page: PageRequest,
  ): Promise<Page<UserView>> {
    requireReader(caller, 'identity:list_users_in_group');
    const group = await this.#context.query
      .selectFrom('user_group')
      .select('id')
      .where('id', '=', groupId)
      .executeTakeFirst();
    if (!group) throw notFound('group', groupId);
    return this.#page(
      sql`u.id in (select user_id from user_group_member where group_id = ${groupId})
        ${filter.name === undefined ? sql`` : sql`and u.name = ${filter.name}`}`,
      page,
    );
  }

  /** @throws CloudError `not_found`, `forbidden` */
  async get(caller: Caller, id: UserId): Promise<UserView> {
    requireSelfOrReader(caller, id, 'identity:get_user');
    const { rows } = await this.#page(sql`u.id = ${id}`, {});
    if (!rows[0]) throw notFound('user', id);
    return rows[0];
  }

  /**
   * A changed password, or a user who is disabled, ends all of the user's tokens.
   * @throws CloudError `forbidden`, `not_found`, `invalid`, `conflict`
   */
  async update(caller: Caller, id: UserId, change: UserChange): Promise<UserView> {
    requireAdministrator(caller, 'identity:update_user');
    check(change);
    const hash = change.password ? await this.#context.passwords.hash(change.password) : null;
    return this.#named(change.name ?? '', '', () =>
      this.#context.write(actorOf(caller), async (tx) => {
        const before = await find(tx, id);
        const ends = change.password !== undefined || (change.enabled === false && before.enabled);
        if (change.password !== undefined) await storePassword(tx, id, hash);
        const row = await tx
          .updateTable('user')
          .set({
            ...defined({
              name: change.name,
              enabled: change.enabled,
              email: change.email,
              default_project_id: change.defaultProjectId,
            }),
            ...(change.description === undefined ? {} : { description: change.description ?? '' }),
            ...(ends ? { token_version: before.token_version + 1 } : {}),
            options: json(mergeOptions(known, before.options, change.options)),
            extra: mergeExtra(before.extra, change.extra),
            updated_at: new Date(),
          })
          .where('id', '=', id)
          .returningAll()
          .executeTakeFirstOrThrow();
        return { ...row, password_expires_at: null };
      }),
    );
  }

  /**
   * Changes a password for whoever knows the present one: that is the proof, no token is needed.
   * @throws CloudError `unauthenticated` when the present one is wrong, `invalid`
   */
  async changePassword(id: UserId, present: Secret, next: Secret, requestId: string): Promise<void> {
    check({ password: next });
    const { query, passwords } = this.#context;
    const proven = await provePassword(query, passwords, { id }, present);
    const hash = await passwords.hash(next);
    await this.#context.write({ actorId: id, requestId }, async (tx) => {
      const user = await find(tx, id);
      if (user.options.lock_password === true) throw new CloudError('forbidden', 'the password of this user is locked');
      if (user.token_version !== proven.version || !user.enabled) {
        throw new CloudError('unauthenticated', 'The request you have made requires authentication.');
      }
      await storePassword(tx, id, hash);
      await tx
        .updateTable('user')
        .set({ token_version: user.token_version + 1, updated_at: new Date() })
        .where('id', '=', id)
        .execute();
    });
  }

  /** With all that is the user's alone: assignments, memberships, credentials, key pairs. @throws CloudError `forbidden`, `not_found` */
  async delete(caller: Caller, id: UserId): Promise<void> {
    requireAdministrator(caller, 'identity:delete_user');
    await this.#context.write(actorOf(caller), async (tx) => {
      await find(tx, id);
      await sql`delete from key_pair where user_id = ${id}`.execute(tx);
      await tx.deleteFrom('user').where('id', '=', id).execute();
    });
  }

  async #page(condition: RawBuilder<unknown>, page: PageRequest): Promise<Page<UserView>> {
    const { rows } = await sql<UserView>`
      select u.*, p.expires_at as password_expires_at from "user" u left join user_password p on p.user_id = u.id
      where ${condition} ${pageStart(page, 'u.id')} order by u.id ${pageEnd(page)}`.execute(this.#context.query);
    return toPage(rows, page);
  }

  #named<T>(name: string, domainId: string, work: () => Promise<T>): Promise<T> {
    return refusing(
      {
        user_domain_id_name_key: () => nameTaken('user', name),
        user_domain_id_fkey: () => notFound('domain', domainId),
      },
      work,
    );
  }
}

function check(change: UserChange): void {
  if (change.name !== undefined) checkName('user', change.name, maxName);
  if (!change.password) return;
  const { length } = change.password.reveal();
  if (length === 0) throw new CloudError('invalid', 'a password can not be empty');
  if (length > maxPasswordLength) {
    throw new CloudError('invalid', `a password can have at most ${maxPasswordLength} characters`);
  }
}

async function find(tx: Tx | Queryable, id: UserId): Promise<UserRow> {
  const row = await tx.selectFrom('user').selectAll().where('id', '=', id).forUpdate().executeTakeFirst();
  if (!row) throw notFound('user', id);
  return row;
}

async function storePassword(tx: Tx, id: UserId, hash: string | null): Promise<void> {
  if (hash === null) await tx.deleteFrom('user_password').where('user_id', '=', id).execute();
  else {
    await sql`insert into user_password (user_id, hash) values (${id}, ${hash})
      on conflict (user_id) do update set hash = excluded.hash, expires_at = null, created_at = now()`.execute(tx);
  }
}

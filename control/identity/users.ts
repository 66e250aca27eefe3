/** Users and their passwords. */

import { type RawBuilder, sql } from 'kysely';
import { CloudError } from '../../contract/errors.ts';
import type { DomainId, ProjectId, UserId } from '../../contract/ids.ts';
import type { Secret } from '../../contract/secret.ts';
import type { Caller } from '../kit/caller.ts';
import { defined } from '../kit/database/schema.ts';
import { notFound } from '../kit/refusal.ts';
import type { IdentityContext } from './context.ts';
import {
  matching,
  membersOf,
  type Page,
  type PageRequest,
  pageEnd,
  pageStart,
  requireMarker,
  toPage,
} from './directory.ts';
import { type DomainRight, listedDomain, requireInDomain, requireNoMightier, requireOver } from './domain-rights.ts';
import { Entries, type EntryChange, findEntry, type Kind } from './entries.ts';
import { checkFactorOptions, factorRulesOption, factorsEnabledOption } from './factors.ts';
import { loggedIn } from './fair-gate.ts';
import { groupKind } from './groups.ts';
import { provePassword } from './login.ts';
import type { UserRow } from './tables.ts';

export interface UserChange extends Omit<EntryChange, 'tags'> {
  email?: string | null;
  /** Null takes the password away. */
  password?: Secret | null;
  defaultProjectId?: ProjectId | null;
}
export type NewUser = UserChange & { name: string; domainId: DomainId };

/** A user with what may be told of the password. */
export type UserView = UserRow & { password_expires_at: Date | null };

export interface UserFilter {
  name?: string;
  enabled?: boolean;
  domainId?: DomainId;
  /** Those whose passwords end so; of one that never ends nothing is so. */
  passwordEnds?: { is: keyof typeof operators; at: Date };
  /** Who they are at identity providers; the provider by its name. */
  federated?: { provider?: string; protocol?: string; uniqueId?: string };
}

const operators = { lt: sql`<`, lte: sql`<=`, gt: sql`>`, gte: sql`>=`, eq: sql`=`, neq: sql`<>` } as const;

const options = [
  'ignore_change_password_upon_first_use',
  'ignore_password_expiry',
  'ignore_lockout_failure_attempts',
  'ignore_user_inactivity',
  'lock_password',
  factorsEnabledOption,
  factorRulesOption,
];
const kind: Kind<'user'> = { table: 'user', noun: 'user', maxName: 255, options };

export class UserService {
  readonly #context: IdentityContext;
  readonly #entries: Entries<'user'>;
  constructor(context: IdentityContext) {
    this.#context = context;
    this.#entries = new Entries(context, kind);
  }

  /** @throws CloudError `forbidden`, `invalid`, `not_found` (domain), `conflict` */
  async create(caller: Caller, wanted: NewUser): Promise<UserView> {
    requireInDomain(caller, 'manage', { domainId: wanted.domainId, operation: 'identity:create_user' });
    checkFactorOptions(wanted.options);
    const hash = await this.#hash(caller, wanted.password);
    const own = {
      domain_id: wanted.domainId,
      email: wanted.email ?? null,
      default_project_id: wanted.defaultProjectId ?? null,
    };
    let expiresAt: Date | null = null;
    const row = await this.#entries.create(caller, wanted, own, {
      after: async (tx, user) => {
        if (hash) expiresAt = await this.#context.passwordRules.store(tx, user, hash, 'administrator');
      },
    });
    return { ...row, password_expires_at: expiresAt };
  }

  /** @throws CloudError `forbidden` */
  async list(caller: Caller, filter: UserFilter, page: PageRequest): Promise<Page<UserView>> {
    const { name, enabled, passwordEnds, federated } = filter;
    const domainId = listedDomain(caller, filter.domainId, 'identity:list_users');
    const known = matching({ 'u.name': name, 'u.enabled': enabled, 'u.domain_id': domainId });
    const ends =
      passwordEnds === undefined
        ? sql`true`
        : sql`exists (select from user_password p where p.user_id = u.id
            and p.expires_at ${operators[passwordEnds.is]} ${passwordEnds.at})`;
    const { provider, protocol, uniqueId } = federated ?? {};
    const there =
      federated === undefined
        ? sql`true`
        : sql`exists (select from federated_user f join identity_provider i on i.id = f.identity_provider_id where f.user_id = u.id
            and ${matching({ 'i.name': provider, 'f.protocol': protocol, 'f.unique_id': uniqueId })})`;
    return this.#page(sql`${known} and ${ends} and ${there}`, page);
  }

  /** @throws CloudError `forbidden`, `not_found` */
  async ofGroup(
    caller: Caller,
    groupId: string,
    filter: { name?: string },
    page: PageRequest,
  ): Promise<Page<UserView>> {
    await this.#over(caller, 'read', { table: 'user_group', id: groupId, operation: 'identity:list_users_in_group' });
    await findEntry(this.#context.query, groupKind, groupId);
    return this.#page(sql`u.id in ${membersOf(groupId)} and ${matching({ 'u.name': filter.name })}`, page);
  }

  /** @throws CloudError `not_found`, `forbidden` */
  async get(caller: Caller, id: UserId): Promise<UserView> {
    if (caller.userId !== id) await this.#over(caller, 'read', { table: 'user', id, operation: 'identity:get_user' });
    const { rows } = await this.#page(sql`u.id = ${id}`, {});
    if (!rows[0]) throw notFound('user', id);
    return rows[0];
  }

  /**
   * A changed password, or a user who is disabled, ends all of the user's tokens.
   * @throws CloudError `forbidden`, `not_found`, `invalid`, `conflict`
   */
  async update(caller: Caller, id: UserId, change: UserChange): Promise<UserView> {
    await this.#over(caller, 'manage', { table: 'user', id, operation: 'identity:update_user' });
    await requireNoMightier(this.#context.query, caller, { userId: id });
    checkFactorOptions(change.options);
    const hash = await this.#hash(caller, change.password);
    const row = await this.#entries.update(caller, id, change, async (tx, before) => {
      const ends = hash !== undefined || (change.enabled === false && before.enabled);
      const options = { ...before.options, ...change.options };
      if (hash !== undefined) await this.#context.passwordRules.store(tx, { id, options }, hash, 'administrator');
      return defined({
        email: change.email,
        default_project_id: change.defaultProjectId,
        token_version: ends ? before.token_version + 1 : undefined,
      });
    });
    return { ...row, password_expires_at: await this.#passwordEnd(id) };
  }

  #over(caller: Caller, right: DomainRight, what: Parameters<typeof requireOver>[3]): Promise<void> {
    return requireOver(this.#context.query, caller, right, what);
  }

  async #passwordEnd(id: UserId): Promise<Date | null> {
    const { query } = this.#context;
    const row = await query
      .selectFrom('user_password')
      .select('expires_at')
      .where('user_id', '=', id)
      .executeTakeFirst();
    return row?.expires_at ?? null;
  }

  /**
   * Changes a password for whoever knows the present one: that is the proof, no token is needed.
   * @throws CloudError `unauthenticated` when the present one is wrong, `invalid`
   */
  async changePassword(
    id: UserId,
    present: Secret,
    next: Secret,
    { requestId, address }: { requestId: string; address: string },
  ): Promise<void> {
    const { query, passwords, passwordRules } = this.#context;
    const proven = await provePassword(this.#context, { id }, present, { address, toChangeIt: true });
    passwordRules.check(next);
    const asker = { address, user: JSON.stringify({ id }) };
    await passwordRules.checkOwnChoice(query, { id, present, asker }, next);
    const hash = await passwords.hash(next, asker);
    await this.#context.write({ actorId: id, requestId }, async (tx) => {
      const user = await findEntry(tx, kind, id, 'change');
      if (user.options.lock_password === true) throw new CloudError('invalid', 'password_locked', {});
      if (user.token_version !== proven.version || !user.enabled) {
        throw new CloudError('unauthenticated', 'authentication_required', {});
      }
      await passwordRules.store(tx, user, hash, 'user');
      await tx
        .updateTable('user')
        .set({ token_version: user.token_version + 1, updated_at: sql`now()` })
        .where('id', '=', id)
        .execute();
    });
  }

  /** With all that is the user's alone: assignments, memberships, credentials, key pairs. @throws CloudError `forbidden`, `not_found` */
  async delete(caller: Caller, id: UserId): Promise<void> {
    await this.#over(caller, 'manage', { table: 'user', id, operation: 'identity:delete_user' });
    await requireNoMightier(this.#context.query, caller, { userId: id });
    await this.#entries.delete(caller, id, async (tx) => {
      await sql`delete from key_pair where user_id = ${id}`.execute(tx);
    });
  }

  async #page(condition: RawBuilder<unknown>, page: PageRequest): Promise<Page<UserView>> {
    await requireMarker(this.#context.query, 'user', page);
    const { rows } = await sql<UserView>`
      select u.*, p.expires_at as password_expires_at from "user" u left join user_password p on p.user_id = u.id
      where ${condition} ${pageStart(page, 'u.id')} order by u.id ${pageEnd(page)}`.execute(this.#context.query);
    return toPage(rows, page);
  }

  /** Null where there is to be no password, nothing where it stays. @throws CloudError `invalid` */
  async #hash(caller: Caller, password: Secret | null | undefined): Promise<string | null | undefined> {
    if (!password) return password;
    this.#context.passwordRules.check(password);
    return this.#context.passwords.hash(password, loggedIn(caller.userId));
  }
}

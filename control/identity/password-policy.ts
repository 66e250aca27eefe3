/**
 * What passwords must be, how long they last, and what ends guessing: Keystone's [security_compliance]. All of it is off
 * unless the cloud's settings say otherwise, as in Keystone.
 *
 * Who locks a user out is whoever knows the name; so there is an option of the user against it, and a lock-out ends.
 */
import { type RawBuilder, sql } from 'kysely';
import { CloudError } from '../../contract/errors.ts';
import { newOrderedId, type UserId } from '../../contract/ids.ts';
import type { Secret } from '../../contract/secret.ts';
import type { Queryable, Tx } from '../kit/database/database.ts';
import type { Asker } from './fair-gate.ts';
import { maxPasswordLength, type PasswordHasher } from './password.ts';
import type { Extra, UserRow } from './tables.ts';

/** Zero: not asked for. */
export interface PasswordPolicy {
  /** A regular expression that every password must match; empty: none. */
  pattern: string;
  /** What it means, for people. */
  patternDescription: string;
  /** A password lasts that long. */
  days: number;
  /** A password that users chose themselves lasts at least that long. */
  minimumDays: number;
  /** Users may choose none of their last so many passwords, the present one among them. Each costs a computation. */
  unique: number;
  /** What an administrator sets is good for choosing another one only. */
  changeFirst: boolean;
  /** So many wrong proofs in a row lock a user out. */
  lockoutAttempts: number;
  /** For so long; zero: until an administrator sets another password. */
  lockoutSeconds: number;
  /** Who has not logged in for so long is out. */
  inactiveDays: number;
}

export const noPolicy: PasswordPolicy = {
  pattern: '',
  patternDescription: '',
  days: 0,
  minimumDays: 0,
  unique: 0,
  changeFirst: false,
  lockoutAttempts: 0,
  lockoutSeconds: 1800,
  inactiveDays: 0,
};

export class PasswordRules {
  readonly policy: PasswordPolicy;
  readonly #passwords: PasswordHasher;
  readonly #pattern: RegExp | undefined;

  constructor(policy: PasswordPolicy, passwords: PasswordHasher) {
    this.policy = policy;
    this.#passwords = passwords;
    this.#pattern = policy.pattern === '' ? undefined : new RegExp(`^(?:${policy.pattern})`, 'u');
  }

  /** @throws CloudError `invalid` */
  check(password: Secret): void {
    const text = password.reveal();
    if (text.length === 0) throw new CloudError('invalid', 'password_empty', {});
    if (text.length > maxPasswordLength) {
      throw new CloudError('invalid', 'password_too_long', { maximum: maxPasswordLength });
    }
    if (this.#pattern && !this.#pattern.test(text)) {
      throw new CloudError('invalid', 'password_unlike_pattern', { description: this.policy.patternDescription });
    }
  }

  /**
   * A user's own choice, beside what every password must be.
   * @throws CloudError `invalid` where it is too early, or one that was
   */
  async checkOwnChoice(
    db: Queryable,
    user: { id: UserId; present: Secret; asker: Asker },
    next: Secret,
  ): Promise<void> {
    const { minimumDays, unique } = this.policy;
    const { rows } = await sql<{ days_left: number }>`select ceil(extract(epoch from
        created_at + ${minimumDays}::integer * interval '1 day' - now()) / 86400)::integer as days_left
      from user_password where user_id = ${user.id} and expires_at is distinct from created_at`.execute(db);
    const left = rows[0]?.days_left ?? 0;
    if (minimumDays > 0 && left > 0) {
      throw new CloudError('invalid', 'password_too_young', { minimum_days: minimumDays, days_left: left });
    }
    if (unique === 0) return;
    const repeats = new CloudError('invalid', 'password_repeats', { unique });
    if (next.reveal() === user.present.reveal()) throw repeats;
    const past = await sql<{ hash: string }>`select hash from user_password_past where user_id = ${user.id}
      order by id desc limit ${unique - 1}`.execute(db);
    for (const { hash } of past.rows) if (await this.#passwords.verify(next, hash, user.asker)) throw repeats;
  }

  /** Puts the present password among those that were, and this in its place; null takes it away. */
  async store(tx: Tx, user: Pick<UserRow, 'id' | 'options'>, hash: string | null, by: 'user' | 'administrator') {
    await this.#remember(tx, user.id);
    if (hash === null) {
      await tx.deleteFrom('user_password').where('user_id', '=', user.id).execute();
      return null;
    }
    const { rows } = await sql<{ expires_at: Date | null }>`
      insert into user_password (user_id, hash, expires_at) values (${user.id}, ${hash}, ${this.#end(user.options, by)})
      on conflict (user_id) do update set hash = excluded.hash, expires_at = excluded.expires_at, created_at = now()
      returning expires_at`.execute(tx);
    // Whoever can set another's password has made good what was guessed wrong; not whoever knows one, and guesses the passcode.
    if (by === 'administrator')
      await sql`update user_login set failures = 0 where user_id = ${user.id} and failures > 0`.execute(tx);
    return rows[0]!.expires_at;
  }

  async #remember(tx: Tx, userId: UserId): Promise<void> {
    const kept = this.policy.unique - 1;
    if (kept < 1) return;
    await sql`insert into user_password_past (id, user_id, hash)
      select ${newOrderedId()}, user_id, hash from user_password where user_id = ${userId}`.execute(tx);
    await sql`delete from user_password_past where user_id = ${userId} and id not in
      (select id from user_password_past where user_id = ${userId} order by id desc limit ${kept})`.execute(tx);
  }

  #end(options: Extra, by: 'user' | 'administrator'): RawBuilder<unknown> {
    const { changeFirst, days } = this.policy;
    if (changeFirst && by === 'administrator' && options.ignore_change_password_upon_first_use !== true)
      return sql`now()`;
    return days > 0 && options.ignore_password_expiry !== true
      ? sql`now() + ${days}::integer * interval '1 day'`
      : sql`null`;
  }
}

/** What a lock-out is judged by. */
export interface Failures {
  failures: number | null;
  /** Seconds since the last one. */
  failed_ago: number | null;
  options: Extra;
}

export function isLocked({ lockoutAttempts, lockoutSeconds }: PasswordPolicy, user: Failures): boolean {
  if (lockoutAttempts === 0 || user.options.ignore_lockout_failure_attempts === true) return false;
  if ((user.failures ?? 0) < lockoutAttempts) return false;
  return lockoutSeconds === 0 || (user.failed_ago ?? 0) < lockoutSeconds;
}

/** One more wrong proof; after a lock-out that is over, counted anew. */
export async function recordFailure(db: Queryable, policy: PasswordPolicy, userId: UserId): Promise<void> {
  const { lockoutAttempts, lockoutSeconds } = policy;
  if (lockoutAttempts === 0) return;
  await sql`insert into user_login (user_id, failures, failed_at) values (${userId}, 1, now())
    on conflict (user_id) do update set failed_at = now(), failures = case
      when user_login.failures >= ${lockoutAttempts} and ${lockoutSeconds}::integer > 0
        and user_login.failed_at < now() - ${lockoutSeconds}::integer * interval '1 second' then 1
      else user_login.failures + 1 end`.execute(db);
}

/**
 * Have wrong proofs, tried beside a right one, locked the user out meanwhile? So of many guesses at once no more count than one
 * after the other.
 * @param options.always also where the user's options would let guess
 */
export async function isLockedMeanwhile(
  db: Queryable,
  policy: PasswordPolicy,
  userId: UserId,
  { always = false }: { always?: boolean } = {},
): Promise<boolean> {
  if (policy.lockoutAttempts === 0) return false;
  const { rows } =
    await sql<Failures>`select l.failures, extract(epoch from now() - l.failed_at)::float8 as failed_ago, u.options
    from "user" u left join user_login l on l.user_id = u.id where u.id = ${userId}`.execute(db);
  return !rows[0] || isLocked(policy, always ? { ...rows[0], options: {} } : rows[0]);
}

/** Ends the count, but no lock-out. */
export async function forgetFailures(db: Queryable, policy: PasswordPolicy, userId: UserId): Promise<void> {
  const { lockoutAttempts, lockoutSeconds } = policy;
  if (lockoutAttempts === 0) return;
  await sql`update user_login set failures = 0 where user_id = ${userId} and failures > 0
    and (failures < ${lockoutAttempts} or ${lockoutSeconds}::integer > 0
      and failed_at < now() - ${lockoutSeconds}::integer * interval '1 second')`.execute(db);
}

/**
 * Notes that the user was here today; false where that comes too late. At most one write a day and user.
 */
export async function noteActivity(db: Queryable, policy: PasswordPolicy, userId: UserId): Promise<boolean> {
  if (policy.inactiveDays === 0) return true;
  const { rows } = await sql<{ days: number; today: boolean; options: Extra }>`
    select current_date - coalesce(l.active_on, u.created_at::date) as days, l.active_on is not distinct from current_date as today,
      u.options
    from "user" u left join user_login l on l.user_id = u.id where u.id = ${userId}`.execute(db);
  const row = rows[0];
  if (!row || (row.days > policy.inactiveDays && row.options.ignore_user_inactivity !== true)) return false;
  if (!row.today) {
    await sql`insert into user_login (user_id, active_on) values (${userId}, current_date)
      on conflict (user_id) do update set active_on = current_date`.execute(db);
  }
  return true;
}

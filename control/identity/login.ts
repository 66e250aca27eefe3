/**
 * Proofs of identity: password, token, application credential. Each says who it is and what a new token may at most be;
 * none says what the user may do. Every refusal reads the same to the caller; the log knows why.
 */
import { sql } from 'kysely';
import { CloudError } from '../../contract/errors.ts';
import { type ProjectId, parseId, type UserId } from '../../contract/ids.ts';
import type { Secret } from '../../contract/secret.ts';
import type { Queryable } from '../kit/database/database.ts';
import type { DomainReference, ScopeRequest } from './authorization.ts';
import type { IdentityContext } from './context.ts';
import type { AccessKey, CredentialService } from './credentials.ts';
import type { Asker } from './fair-gate.ts';
import type { PasswordHasher } from './password.ts';
import {
  type Failures,
  forgetFailures,
  isLocked,
  isLockedMeanwhile,
  type PasswordPolicy,
  recordFailure,
} from './password-policy.ts';
import type { Claims } from './token.ts';
import { isPasscode, maxSeedLength, readSeed } from './totp.ts';

export type UserReference = { id: UserId } | { name: string; domain: DomainReference };

export type Proof =
  | { method: 'password'; user: UserReference; password: Secret }
  | { method: 'token'; token: Secret }
  | {
      method: 'application_credential';
      credential: { id: string } | { name: string; user: UserReference };
      secret: Secret;
    }
  | { method: 'totp'; user: UserReference; passcode: Secret };

/** What a proof has shown. */
export interface Proven {
  userId: UserId;
  /** token_version, read together with what the proof was compared with. */
  version: number;
  methods: string[];
  /** A token made from this may not outlive it; null: no such bound. */
  expiresAt: number | null;
  /** The first audit id of the chain that the new token continues. */
  parentAuditId: string | null;
  applicationCredential: { id: string; projectId: ProjectId } | null;
  /** The trust that the token which was the proof came from. */
  trustId: string | null;
  /** The scope of the token that was the proof. */
  parentScope: Claims['scope'] | null;
}

/** A proof that bounds nothing and continues no token. */
export const nobodyYet = {
  expiresAt: null,
  parentAuditId: null,
  applicationCredential: null,
  trustId: null,
  parentScope: null,
} as const;

export const unauthenticated = (cause?: unknown): CloudError =>
  new CloudError('unauthenticated', 'authentication_required', {}, { cause });

/** Who asks for a computation: by the name that was given, so that it says nothing about who exists. */
const askerOf = (address: string, user: UserReference): Asker => ({ address, user: JSON.stringify(user) });

const userCondition = (user: UserReference) =>
  'id' in user
    ? sql`u.id = ${user.id}`
    : 'id' in user.domain
      ? sql`u.name = ${user.name} and u.domain_id = ${user.domain.id}`
      : sql`u.name = ${user.name} and u.domain_id = (select id from domain where name = ${user.domain.name})`;

interface PasswordRow extends Failures {
  id: UserId;
  token_version: number;
  hash: string | null;
  expired: boolean | null;
}

/**
 * @param options.toChangeIt an expired password is good for choosing the next
 * @throws CloudError `unauthenticated`, after as long a time as a right password takes
 */
export async function provePassword(
  { query: db, passwords, passwordRules: { policy } }: IdentityContext,
  user: UserReference,
  password: Secret,
  { address, toChangeIt = false }: { address: string; toChangeIt?: boolean },
): Promise<Proven> {
  const asker = askerOf(address, user);
  const { rows } =
    await sql<PasswordRow>`select u.id, u.token_version, u.options, p.hash, p.expires_at <= now() as expired,
      l.failures, extract(epoch from now() - l.failed_at)::float8 as failed_ago
    from "user" u left join user_password p on p.user_id = u.id left join user_login l on l.user_id = u.id
    where ${userCondition(user)}`.execute(db);
  const row = rows[0];
  const locked = row !== undefined && isLocked(policy, row);
  const right = await passwords.prove(password, locked ? null : row?.hash, asker);
  if (!row) throw unauthenticated('no such user');
  if (locked) throw unauthenticated('locked out');
  if (!right) {
    await recordFailure(db, policy, row.id);
    throw unauthenticated('wrong password');
  }
  if (await isLockedMeanwhile(db, policy, row.id)) throw unauthenticated('locked out meanwhile');
  if (row.expired && !toChangeIt && row.options.ignore_password_expiry !== true) {
    throw new CloudError('unauthenticated', 'password_expired', { user: row.id });
  }
  if (passwords.outdated(row.hash!)) {
    const hash = await passwords.hash(password, asker);
    // Only if nobody has changed the password since.
    await sql`update user_password set hash = ${hash} where user_id = ${row.id} and hash = ${row.hash}`.execute(db);
  }
  return { ...nobodyYet, userId: row.id, version: row.token_version, methods: ['password'] };
}

/** Six digits are guessed in no time: they are counted also where passwords are not, and no option of the user ends that. */
const passcodeTries = { lockoutAttempts: 10, lockoutSeconds: 300 };
const passcodePolicy = (policy: PasswordPolicy): PasswordPolicy =>
  policy.lockoutAttempts === 0 ? { ...policy, ...passcodeTries } : policy;

/** @throws CloudError `unauthenticated` */
export async function provePasscode(
  { query: db, passwordRules }: IdentityContext,
  credentials: CredentialService,
  { user, passcode }: Proof & { method: 'totp' },
): Promise<Proven> {
  const policy = passcodePolicy(passwordRules.policy);
  const { rows } = await sql<
    Omit<PasswordRow, 'hash' | 'expired'>
  >`select u.id, u.token_version, '{}'::jsonb as options, l.failures,
      extract(epoch from now() - l.failed_at)::float8 as failed_ago
    from "user" u left join user_login l on l.user_id = u.id where ${userCondition(user)}`.execute(db);
  const row = rows[0];
  if (!row) throw unauthenticated('no such user');
  if (isLocked(policy, row)) throw unauthenticated('locked out');
  const texts = await credentials.textsOf(row.id, 'totp', { maxBytes: maxSeedLength });
  const seeds = texts.flatMap((text) => readSeed(text) ?? []);
  const now = Date.now();
  if (!seeds.some((seed) => isPasscode(seed, passcode.reveal(), now))) {
    await recordFailure(db, policy, row.id);
    throw unauthenticated('wrong passcode');
  }
  if (await isLockedMeanwhile(db, policy, row.id, { always: true })) throw unauthenticated('locked out meanwhile');
  return { ...nobodyYet, userId: row.id, version: row.token_version, methods: ['totp'] };
}

/**
 * A log-in that is whole ends the count of what was guessed wrong. No single proof does: who knows a password would else guess
 * passcodes for ever.
 */
export async function forgetGuesses(
  { query, passwordRules: { policy } }: IdentityContext,
  userId: UserId,
  proofs: readonly Proof[],
): Promise<void> {
  if (proofs.some(({ method }) => method === 'totp')) await forgetFailures(query, passcodePolicy(policy), userId);
  else if (proofs.some(({ method }) => method === 'password')) await forgetFailures(query, policy, userId);
}

/** @throws CloudError `unauthenticated`, after as long a time as a right secret takes */
export async function proveApplicationCredential(
  db: Queryable,
  passwords: PasswordHasher,
  proof: Proof & { method: 'application_credential' },
  address: string,
): Promise<Proven> {
  const { credential, secret } = proof;
  const asker = { address, user: JSON.stringify(credential) };
  const condition =
    'id' in credential
      ? sql`c.id = ${credential.id}`
      : sql`c.name = ${credential.name} and ${userCondition(credential.user)}`;
  const { rows } = await sql<{
    id: string;
    project_id: ProjectId;
    expires_at: number | null;
    user_id: UserId;
    token_version: number;
    hash: string;
  }>`
    select c.id, c.project_id, floor(extract(epoch from c.expires_at) * 1000)::bigint as expires_at,
      u.id as user_id, u.token_version, s.hash
    from application_credential c join "user" u on u.id = c.user_id
      join application_credential_secret s on s.application_credential_id = c.id where ${condition}`.execute(db);
  const row = rows[0];
  const right = await passwords.prove(secret, row?.hash, asker);
  if (!row || !right) throw unauthenticated(row ? 'wrong secret' : 'no such application credential');
  return {
    userId: row.user_id,
    version: row.token_version,
    methods: ['application_credential'],
    expiresAt: row.expires_at,
    parentAuditId: null,
    applicationCredential: { id: row.id, projectId: row.project_id },
    trustId: null,
    parentScope: null,
  };
}

/** What the right secret of an access key proves; an impersonating trust's is its trustee's. @throws CloudError `unauthenticated` */
export async function proveAccessKey(
  db: Queryable,
  key: AccessKey,
): Promise<{ proven: Proven; scope: ScopeRequest; trustId: string | null }> {
  const { rows } = await sql<{ id: UserId; token_version: number }>`select id, token_version from "user"
    where id = coalesce((select trustee_user_id from trust where id = ${parseId(key.trustId ?? '') ?? null}
      and trustor_user_id = ${key.userId} and impersonation), ${key.userId})`.execute(db);
  if (!rows[0]) throw unauthenticated('no such user');
  const [trustId, credentialId] = [key.trustId, key.applicationCredentialId].map(
    (id) => id && (parseId(id) ?? nothing),
  );
  const applicationCredential = credentialId ? { id: credentialId, projectId: key.projectId } : null;
  const proven = { ...nobodyYet, userId: rows[0].id, version: rows[0].token_version, methods: ['ec2credential'] };
  return {
    proven: { ...proven, applicationCredential },
    scope: { type: 'project', id: key.projectId },
    trustId: trustId ?? null,
  };
}

/** An id that nothing has. */
const nothing = '00000000-0000-0000-0000-000000000000';

/** What a valid token proves: its user, at most until its own end. */
export function proveToken(claims: Claims): Proven {
  return {
    userId: claims.userId,
    version: claims.version,
    methods: [...claims.methods.filter((method) => method !== 'token'), 'token'],
    expiresAt: claims.expiresAt,
    parentAuditId: claims.auditIds.at(-1)!,
    applicationCredential:
      claims.applicationCredentialId && claims.scope.type === 'project'
        ? { id: claims.applicationCredentialId, projectId: claims.scope.projectId }
        : null,
    trustId: claims.trustId,
    parentScope: claims.scope,
  };
}

/**
 * Several proofs together must be of one user; the new token is bounded by each of them.
 * @throws CloudError `unauthenticated`
 */
export function combineProofs(proofs: readonly Proven[]): Proven {
  const [first, ...others] = proofs;
  if (!first) throw unauthenticated('no method');
  if (others.length === 0) return first;
  if (proofs.some((one) => one.userId !== first.userId || one.version !== first.version)) {
    throw unauthenticated('methods of different users');
  }
  if (proofs.some((one) => one.applicationCredential)) throw unauthenticated('an application credential stands alone');
  const bounds = proofs.flatMap(({ expiresAt }) => expiresAt ?? []);
  return {
    ...first,
    methods: [...new Set(proofs.flatMap((one) => one.methods))],
    expiresAt: bounds.length > 0 ? Math.min(...bounds) : null,
    parentAuditId: proofs.find((one) => one.parentAuditId)?.parentAuditId ?? null,
    trustId: proofs.find((one) => one.trustId)?.trustId ?? null,
    parentScope: proofs.find((one) => one.parentScope)?.parentScope ?? null,
  };
}

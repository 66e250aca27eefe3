/**
 * What a new cloud needs before anyone can log in: the default domain, the built-in roles, the first administrator.
 * One transaction under a lock, so that control processes that start together make it once. Later starts change nothing but
 * built-in roles that a newer version brought: what administrators renamed, disabled or deleted stays so.
 */
import { sql } from 'kysely';
import { type DomainId, newOrderedId, type ProjectId, type RoleId, type UserId } from '../../contract/ids.ts';
import type { Secret } from '../../contract/secret.ts';
import { cloudActor, type Database, type Tx } from '../kit/database/database.ts';
import { json } from '../kit/database/schema.ts';
import { keepAccessKey } from './credentials.ts';
import { PasswordHasher } from './password.ts';
import type { Sealer } from './sealing.ts';

/** Each implies the next. */
const ladder = ['admin', 'manager', 'member', 'reader'] as const;
/** For accounts of services: may ask what a token says. */
const others = ['service'] as const;

/** The first administrator's, for S3; the file for clients has it from the first start on. */
export interface FirstAccessKey {
  access: string;
  secret: Secret;
  sealer: Sealer;
}

export async function bootstrapIdentity(
  database: Database,
  options: { adminPassword: Secret; passwords?: PasswordHasher; accessKey?: FirstAccessKey },
): Promise<void> {
  const known = await database.query
    .selectFrom('domain')
    .select('id')
    .where('is_default', '=', true)
    .executeTakeFirst();
  const hash = known ? null : await (options.passwords ?? new PasswordHasher()).hash(options.adminPassword);
  await database.transaction(cloudActor, async (tx) => {
    await sql`select pg_advisory_xact_lock(hashtextextended('bootstrap identity', 0))`.execute(tx);
    const roles = await ensureRoles(tx);
    const domain = await tx.selectFrom('domain').select('id').where('is_default', '=', true).executeTakeFirst();
    if (!domain && hash) await makeFirst(tx, hash, roles.admin, options.accessKey);
  });
}

async function ensureRoles(tx: Tx): Promise<Record<string, RoleId>> {
  const ids: Record<string, RoleId> = {};
  const before = await tx.selectFrom('role').select(['id', 'name']).where('domain_id', 'is', null).execute();
  for (const name of [...ladder, ...others]) {
    const found = before.find((role) => role.name === name);
    ids[name] = found?.id ?? newOrderedId<RoleId>();
    if (!found)
      await tx
        .insertInto('role')
        .values({ id: ids[name], name, domain_id: null, options: json({ immutable: true }), extra: json({}) })
        .execute();
  }
  for (const [index, name] of ladder.slice(0, -1).entries()) {
    await sql`insert into role_implication (prior_role_id, implied_role_id)
      values (${ids[name]}, ${ids[ladder[index + 1]!]}) on conflict do nothing`.execute(tx);
  }
  return ids;
}

async function makeFirst(
  tx: Tx,
  hash: string,
  adminRole: RoleId | undefined,
  accessKey: FirstAccessKey | undefined,
): Promise<void> {
  const [domainId, projectId, userId] = [newOrderedId<DomainId>(), newOrderedId<ProjectId>(), newOrderedId<UserId>()];
  await sql`insert into domain (id, name, description, is_default)
    values (${domainId}, 'Default', 'The default domain', true)`.execute(tx);
  await sql`insert into project (id, domain_id, name, description)
    values (${projectId}, ${domainId}, 'admin', 'Project of the first administrator')`.execute(tx);
  await sql`insert into "user" (id, domain_id, name) values (${userId}, ${domainId}, 'admin')`.execute(tx);
  await sql`insert into user_password (user_id, hash) values (${userId}, ${hash})`.execute(tx);
  await sql`insert into role_assignment (id, role_id, user_id, project_id, system)
    values (${newOrderedId()}, ${adminRole}, ${userId}, ${projectId}, false),
      (${newOrderedId()}, ${adminRole}, ${userId}, null, true)`.execute(tx);
  if (!accessKey) return;
  const { access, secret, sealer } = accessKey;
  const blob = JSON.stringify({ access, secret: secret.reveal(), trust_id: null });
  await keepAccessKey(tx, { id: newOrderedId(), userId, projectId, access, blob, sealer });
}

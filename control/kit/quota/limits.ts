/** The rows of limits: what everybody has (no project) and what administrators gave a project of its own. */
import { sql } from 'kysely';
import { newId } from '../../../contract/ids.ts';
import type { Queryable, Tx } from '../database/database.ts';

/** -1: no limit. */
export type Limits = Record<string, number>;

/** Limits of a project by resource. */
export async function quotaLimits(db: Queryable, projectId: string): Promise<Limits> {
  const rows = await db
    .selectFrom('quota')
    .select(['resource', 'maximum', 'project_id'])
    .where((eb) => eb.or([eb('project_id', 'is', null), eb('project_id', '=', projectId)]))
    .orderBy(sql`project_id nulls first`)
    .execute();
  return Object.fromEntries(rows.map((row) => [row.resource, row.maximum]));
}

/** What a project has that nobody set anything for. */
export async function defaultLimits(db: Queryable): Promise<Limits> {
  const rows = await db.selectFrom('quota').select(['resource', 'maximum']).where('project_id', 'is', null).execute();
  return Object.fromEntries(rows.map((row) => [row.resource, row.maximum]));
}

/** @param projectId null: what everybody has */
export async function setLimits(tx: Tx, projectId: string | null, limits: Readonly<Partial<Limits>>): Promise<void> {
  const rows = Object.entries(limits).map(([resource, maximum]) => ({ id: newId(), resource, maximum }));
  if (rows.length === 0) return;
  await sql`insert into quota (id, project_id, resource, maximum)
    select id, ${projectId}::uuid, resource, maximum
    from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as r(id uuid, resource text, maximum bigint)
    on conflict (project_id, resource) do update set maximum = excluded.maximum`.execute(tx);
}

/** What administrators gave a user of the project for their own. */
export async function userLimits(db: Queryable, projectId: string, userId: string): Promise<Limits> {
  const { rows } = await sql<{ resource: string; maximum: number }>`select resource, maximum from user_quota
    where project_id = ${projectId} and user_id = ${userId}`.execute(db);
  return Object.fromEntries(rows.map((row) => [row.resource, row.maximum]));
}

export async function setUserLimits(
  tx: Tx,
  projectId: string,
  userId: string,
  limits: Readonly<Partial<Limits>>,
): Promise<void> {
  const rows = Object.entries(limits).map(([resource, maximum]) => ({ id: newId(), resource, maximum }));
  if (rows.length === 0) return;
  await sql`insert into user_quota (id, project_id, user_id, resource, maximum)
    select id, ${projectId}::uuid, ${userId}::uuid, resource, maximum
    from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as r(id uuid, resource text, maximum bigint)
    on conflict (project_id, user_id, resource) do update set maximum = excluded.maximum`.execute(tx);
}

/** @param userId null: of all users */
export async function resetUserLimits(tx: Tx, projectId: string, userId: string | null): Promise<void> {
  await sql`delete from user_quota where project_id = ${projectId}
    and (${userId}::uuid is null or user_id = ${userId}::uuid)`.execute(tx);
}

/** Back to the defaults, for the named resources. */
export async function resetLimits(tx: Tx, projectId: string, resources: readonly string[]): Promise<void> {
  await sql`delete from quota where project_id = ${projectId} and resource = any(${[...resources]}::text[])`.execute(
    tx,
  );
}

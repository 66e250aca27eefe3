/**
 * Quota: counted from the truth, in the transaction that decides. There is no usage counter that could drift.
 * A per-project advisory lock makes concurrent creations of one kind count one after another.
 */

import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import type { Queryable, Tx } from '../database/database.ts';
import type { Usage, UserUsage } from '../resource.ts';

/** What a project uses now of all that `usage` counts. */
export async function quotaUsage(db: Queryable, projectId: string, usage: Usage): Promise<Record<string, number>> {
  const parts = Object.entries(usage).map(
    ([r, count]) => sql`select ${r}::text as resource, used from (${count(projectId)}) u`,
  );
  const { rows } = await sql<{ resource: string; used: number }>`${sql.join(parts, sql` union all `)}`.execute(db);
  return Object.fromEntries(rows.map((row) => [row.resource, row.used]));
}

/** One user's part of a project's quota. */
export interface UserShare {
  userId: string;
  usage: UserUsage;
}

/** What a project uses and may use. A maximum of null or below 0 is no limit. */
type Wanted = Readonly<Record<string, number | undefined>>;
export type Quota = Readonly<Record<string, { used: number; maximum: number | null }>>;

/**
 * Refuses what would exceed the project's quota; as {@link lockQuota} and {@link requireQuota} together.
 * @param usage how each is counted: the resource's own, see its `resource.ts`
 * @param wanted how many more of each; what is not wanted is not counted
 * @throws CloudError `quota_exceeded`
 */
export async function checkQuota<U extends Usage>(
  tx: Tx,
  projectId: string,
  usage: U,
  wanted: Readonly<{ [K in keyof U]?: number }>,
  share?: UserShare,
): Promise<void> {
  const counted = Object.fromEntries(Object.entries(usage).filter(([resource]) => (wanted[resource] ?? 0) > 0));
  if (Object.keys(counted).length > 0) {
    requireQuota(await lockQuota(tx, projectId, counted, share), wanted as Wanted);
  }
}

/**
 * Call it BEFORE the inserts of the same transaction; other transactions that ask for the same project's resources wait
 * until this one ends.
 * @param share whose limit of their own holds, too: of each resource the one that leaves less is answered
 */
export async function lockQuota(tx: Tx, projectId: string, usage: Usage, share?: UserShare): Promise<Quota> {
  const locks = locksOf(projectId, Object.keys(usage));
  const parts = Object.entries(usage).map(
    ([r, count]) => sql`select ${r}::text as resource, used,
      (select maximum from quota where resource = ${r} and (project_id = ${projectId} or project_id is null)
       order by project_id nulls last limit 1) as maximum
      from (${count(projectId)}) u`,
  );
  // What nobody limited is not counted.
  const shares = Object.entries(share?.usage ?? {}).filter(([resource]) => resource in usage);
  const ofUser = shares.map(
    ([r, count]) => sql`select q.resource, used, q.maximum from user_quota q,
      lateral (${count(projectId, share!.userId)}) u
      where q.project_id = ${projectId} and q.user_id = ${share!.userId} and q.resource = ${r}`,
  );
  // One round trip, but two statements: the count must not see the world as it was before the lock was ours.
  const [, { rows }] = await Promise.all([
    sql`select ${sql.join(locks)}`.execute(tx),
    sql<{
      resource: string;
      used: number;
      maximum: number | null;
    }>`${sql.join([...parts, ...ofUser], sql` union all `)}`.execute(tx),
  ]);
  const quota: Record<string, { used: number; maximum: number | null }> = {};
  for (const { resource, ...row } of rows) {
    const known = quota[resource];
    if (!known || left(row) < left(known)) quota[resource] = row;
  }
  return quota;
}

const locksOf = (projectId: string, resources: readonly string[]) =>
  resources.toSorted().map((r) => sql`pg_advisory_xact_lock(hashtextextended(${`quota ${r} ${projectId}`}, 0))`);

/** Only that others wait: for a transaction that counts later, and takes something else in between that those have who count. */
export async function holdQuota(tx: Tx, projectId: string, resources: readonly string[]): Promise<void> {
  await sql`select ${sql.join(locksOf(projectId, resources))}`.execute(tx);
}

const left = ({ used, maximum }: Quota[string]): number =>
  maximum === null || maximum < 0 ? Number.POSITIVE_INFINITY : maximum - used;

/** How often `each` fits into what is left; Infinity where nothing limits it. */
export function timesWithin(quota: Quota, each: Readonly<Record<string, number>>): number {
  const times = Object.entries(quota).map(([resource, { used, maximum }]) =>
    maximum === null || maximum < 0 || !(each[resource]! > 0)
      ? Number.POSITIVE_INFINITY
      : Math.floor((maximum - used) / each[resource]!),
  );
  return Math.max(0, Math.min(...times));
}

/** @throws CloudError `quota_exceeded`, details: resource, limit, used, wanted */
export function requireQuota(quota: Quota, wanted: Wanted): void {
  for (const [resource, { used, maximum }] of Object.entries(quota)) {
    const more = wanted[resource] ?? 0;
    const limit = maximum ?? -1;
    if (more > 0 && limit >= 0 && used + more > limit) {
      throw new CloudError('quota_exceeded', 'quota_exceeded', { resource, limit, used, wanted: more });
    }
  }
}

/**
 * For who sets limits and does not want one below what there is already.
 * @param counted how what can be counted is; a limit of anything else is not looked at
 * @throws CloudError `invalid`
 */
export async function requireAboveUsage(
  db: Queryable,
  projectId: string,
  limits: Readonly<Record<string, number>>,
  counted: Usage,
): Promise<void> {
  const asked = Object.fromEntries(Object.entries(counted).filter(([resource]) => resource in limits));
  if (Object.keys(asked).length === 0) return;
  const usage = await quotaUsage(db, projectId, asked);
  for (const [resource, used] of Object.entries(usage)) {
    const limit = limits[resource]!;
    if (limit >= 0 && limit < used) throw new CloudError('invalid', 'quota_below_usage', { resource, limit, used });
  }
}

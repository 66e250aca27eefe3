/**
 * Quota: counted from the truth, in the transaction that decides. There is no usage counter that could drift.
 * A per-project advisory lock makes concurrent creations of one kind count one after another.
 */
import { type RawBuilder, sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import type { Queryable, Tx } from '../database/database.ts';

/** How each resource is counted for project $1. One place, so that limits pages and checks can't differ. */
const usage: Record<string, (projectId: string) => RawBuilder<{ used: number }>> = {
  servers: (p) => sql`select count(*) as used from server where project_id = ${p}`,
  vcpus: (p) => sql`select coalesce(sum(vcpus), 0)::bigint as used from server where project_id = ${p}`,
  memory_mib: (p) => sql`select coalesce(sum(memory_mib), 0)::bigint as used from server where project_id = ${p}`,
  networks: (p) => sql`select count(*) as used from network where project_id = ${p}`,
  subnets: (p) => sql`select count(*) as used from subnet where project_id = ${p}`,
  ports: (p) =>
    sql`select count(*) as used from port where project_id = ${p}
      and device_owner not in ('network:distributed', 'network:router_gateway', 'network:floatingip')`,
  routers: (p) => sql`select count(*) as used from router where project_id = ${p}`,
  floating_ips: (p) => sql`select count(*) as used from floating_ip where project_id = ${p}`,
  security_groups: (p) => sql`select count(*) as used from security_group where project_id = ${p}`,
  security_group_rules: (p) => sql`select count(*) as used from security_group_rule where project_id = ${p}`,
  // What is deleted is the caller's no more, also while a host is away that holds its bytes.
  images: (p) => sql`select count(*) as used from image where project_id = ${p} and desired_presence = 'present'`,
  image_bytes: (p) =>
    sql`select coalesce(sum(size_bytes), 0)::bigint as used from image where project_id = ${p} and desired_presence = 'present'`,
};

/** Limits of a project by resource; -1 is no limit. */
export async function quotaLimits(db: Queryable, projectId: string): Promise<Record<string, number>> {
  const rows = await db
    .selectFrom('quota')
    .select(['resource', 'maximum', 'project_id'])
    .where((eb) => eb.or([eb('project_id', 'is', null), eb('project_id', '=', projectId)]))
    .orderBy(sql`project_id nulls first`)
    .execute();
  return Object.fromEntries(rows.map((row) => [row.resource, row.maximum]));
}

/** What a project uses now of the named resources. */
export async function quotaUsage(
  db: Queryable,
  projectId: string,
  resources: readonly string[],
): Promise<Record<string, number>> {
  const parts = resources.map((r) => sql`select ${r}::text as resource, used from (${usage[r]!(projectId)}) u`);
  const { rows } = await sql<{ resource: string; used: number }>`${sql.join(parts, sql` union all `)}`.execute(db);
  return Object.fromEntries(rows.map((row) => [row.resource, row.used]));
}

/** What a project uses and may use. A maximum of null or below 0 is no limit. */
export type Quota = Readonly<Record<string, { used: number; maximum: number | null }>>;

/**
 * Refuses what would exceed the project's quota; as {@link lockQuota} and {@link requireQuota} together.
 * @param wanted how many more of each resource
 * @throws CloudError `quota_exceeded`
 */
export async function checkQuota(tx: Tx, projectId: string, wanted: Readonly<Record<string, number>>): Promise<void> {
  const resources = Object.keys(wanted).filter((r) => wanted[r]! > 0);
  if (resources.length > 0) requireQuota(await lockQuota(tx, projectId, resources), wanted);
}

/**
 * Call it BEFORE the inserts of the same transaction; other transactions that ask for the same project's resources wait
 * until this one ends.
 */
export async function lockQuota(tx: Tx, projectId: string, resources: readonly string[]): Promise<Quota> {
  const locks = resources
    .toSorted()
    .map((r) => sql`pg_advisory_xact_lock(hashtextextended(${`quota ${r} ${projectId}`}, 0))`);
  const parts = resources.map(
    (r) => sql`select ${r}::text as resource, used,
      (select maximum from quota where resource = ${r} and (project_id = ${projectId} or project_id is null)
       order by project_id nulls last limit 1) as maximum
      from (${usage[r]!(projectId)}) u`,
  );
  // One round trip, but two statements: the count must not see the world as it was before the lock was ours.
  const [, { rows }] = await Promise.all([
    sql`select ${sql.join(locks)}`.execute(tx),
    sql<{ resource: string; used: number; maximum: number | null }>`${sql.join(parts, sql` union all `)}`.execute(tx),
  ]);
  return Object.fromEntries(rows.map(({ resource, used, maximum }) => [resource, { used, maximum }]));
}

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
export function requireQuota(quota: Quota, wanted: Readonly<Record<string, number>>): void {
  for (const [resource, { used, maximum }] of Object.entries(quota)) {
    const more = wanted[resource] ?? 0;
    const limit = maximum ?? -1;
    if (more > 0 && limit >= 0 && used + more > limit) {
      throw new CloudError(
        'quota_exceeded',
        `quota exceeded for ${resource}: ${used} of ${limit} used, ${more} more requested`,
        { details: { resource, limit, used, wanted: more } },
      );
    }
  }
}

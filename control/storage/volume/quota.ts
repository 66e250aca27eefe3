/** What a project's volumes count against: how many, how large, and the same of each type where somebody limited that. */
import { sql } from 'kysely';
import type { Queryable, Tx } from '../../kit/database/database.ts';
import { holdQuota, lockQuota, requireQuota } from '../../kit/quota/quota.ts';
import type { Usage } from '../../kit/resource.ts';
import { usageOfType } from '../volume-type/index.ts';
import { volume as descriptor } from './resource.ts';

export interface QuotaWish {
  volumes?: number;
  gigabytes?: number;
  snapshots?: number;
  /** How large the volume shall be, where that changes. */
  each?: number;
}

const snapshots: Usage = {
  volume_snapshots: (p) => sql`select count(*) as used from volume_snapshot where project_id = ${p} and consumes_quota`,
};

/** Of a project at all, whatever the type. A size alone is compared with its limit, nothing is counted. */
function usageFor({ volumes, gigabytes, snapshots: taken, each }: QuotaWish): Usage {
  const { volumes: counted, volume_gigabytes: summed } = descriptor.usage;
  return {
    ...(volumes && { volumes: counted }),
    ...(gigabytes && { volume_gigabytes: summed }),
    ...(taken && snapshots),
    ...(each && { volume_gigabytes_each: () => sql`select 0 as used` }),
  };
}

const wantedOf = ({ volumes, gigabytes, snapshots: taken, each }: QuotaWish) => ({
  ...{ volumes, volume_gigabytes: gigabytes, volume_snapshots: taken, volume_gigabytes_each: each },
});

/** Does anybody limit a type? Then each of its volumes is counted once more. */
export async function typesAreLimited(db: Queryable): Promise<boolean> {
  const { rows } = await sql<{ limited: boolean }>`select exists (select from quota
    where maximum >= 0 and resource ~ '^(volumes|gigabytes|snapshots)_') as limited`.execute(db);
  return rows[0]!.limited;
}

/** @throws CloudError `quota_exceeded` */
export async function requireVolumeQuota(tx: Tx, projectId: string, wish: QuotaWish): Promise<void> {
  const usage = usageFor(wish);
  if (Object.keys(usage).length > 0) requireQuota(await lockQuota(tx, projectId, usage), wantedOf(wish));
}

/** The same of one type; only where {@link typesAreLimited}. @throws CloudError `quota_exceeded` */
export async function requireTypeQuota(
  tx: Tx,
  projectId: string,
  type: { id: string; name: string },
  { volumes, gigabytes, snapshots: taken }: QuotaWish,
): Promise<void> {
  const quota = await lockQuota(tx, projectId, usageOfType(type));
  const { name } = type;
  requireQuota(quota, { [`volumes_${name}`]: volumes, [`gigabytes_${name}`]: gigabytes, [`snapshots_${name}`]: taken });
}

/**
 * For who makes volumes of these types in a transaction that chooses hosts and pools before it counts: whoever makes a volume counts first, and both would
 * wait for each other.
 */
export async function holdVolumeQuota(
  tx: Tx,
  projectId: string,
  types: readonly { id: string; name: string }[],
): Promise<void> {
  await holdQuota(tx, projectId, Object.keys(usageFor({ volumes: 1, gigabytes: 1, each: 1 })));
  if (!(await typesAreLimited(tx))) return;
  await holdQuota(tx, projectId, [...new Set(types.flatMap((type) => Object.keys(usageOfType(type))))]);
}

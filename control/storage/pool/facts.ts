/**
 * What hosts say of their pools, as rows. A pool that a host names no more keeps what is in it, and takes nothing new. Of a pool that is
 * declared by API the host says how it is; what it is the row says, and one that has no row any more gets none by its host's word.
 */
import { sql } from 'kysely';
import type { DeclaredPool, HostPool, PoolLevel } from '../../../contract/host/index.ts';
import { type HostId, newId } from '../../../contract/ids.ts';
import type { Queryable } from '../../kit/database/database.ts';
import { json } from '../../kit/database/schema.ts';

/** Why nothing is made in a pool that its host names no more. */
export const unnamed = 'the host has no pool of this name any more';

/** All pools of the host; what is as it was is not written. What its settings name goes before what was declared under that name. */
export async function recordPools(db: Queryable, hostId: HostId, pools: readonly HostPool[]): Promise<void> {
  await recordNamed(
    db,
    hostId,
    pools.filter(({ declared }) => !declared),
  );
  const levels = pools.filter(({ declared }) => declared);
  if (levels.length > 0) await recordLevels(db, hostId, levels);
}

async function recordNamed(db: Queryable, hostId: HostId, pools: readonly HostPool[]): Promise<void> {
  const said = pools.map((pool) => ({
    ...{ id: newId(), name: pool.name, tier: pool.tier, kind: pool.kind, problem: pool.problem },
    ...{ total_bytes: pool.totalBytes, free_bytes: pool.freeBytes, reserved_percentage: pool.reservedPercentage ?? 0 },
    over_subscription: (pool.promisedPercentage ?? 2000) / 100,
  }));
  await sql`
    with said as (select * from jsonb_to_recordset(${json(said)}::jsonb) as s(id uuid, name text, tier text, kind text,
      total_bytes bigint, free_bytes bigint, problem text, over_subscription double precision, reserved_percentage integer)),
    unnamed as (
      update storage_pool set problem = ${unnamed}, generation = generation + 1, updated_at = now()
      where host_id = ${hostId} and not declared and name not in (select name from said) and problem is distinct from ${unnamed})
    insert into storage_pool as p (id, host_id, name, tier, kind, total_bytes, free_bytes, problem, over_subscription, reserved_percentage)
    select id, ${hostId}, name, tier, kind, total_bytes, free_bytes, problem, over_subscription, reserved_percentage from said
    on conflict (host_id, name) do update set tier = excluded.tier, kind = excluded.kind, total_bytes = excluded.total_bytes,
      free_bytes = excluded.free_bytes, problem = excluded.problem, over_subscription = excluded.over_subscription,
      reserved_percentage = excluded.reserved_percentage, declared = false, source = null, iops_per_volume = null,
      generation = p.generation + 1, updated_at = now()
    where (p.declared, p.tier, p.kind, p.total_bytes, p.free_bytes, p.problem, p.over_subscription, p.reserved_percentage)
      is distinct from (false, excluded.tier, excluded.kind, excluded.total_bytes, excluded.free_bytes, excluded.problem,
        excluded.over_subscription, excluded.reserved_percentage)`.execute(db);
}

/** How some pools of the host are by now; one that it has not named in its hello is left alone. */
export async function recordLevels(db: Queryable, hostId: HostId, levels: readonly PoolLevel[]): Promise<void> {
  const said = levels.map(({ name, totalBytes, freeBytes, problem }) => ({
    ...{ name, total_bytes: totalBytes, free_bytes: freeBytes, problem },
  }));
  await sql`
    update storage_pool p set total_bytes = s.total_bytes, free_bytes = s.free_bytes, problem = s.problem, updated_at = now()
    from jsonb_to_recordset(${json(said)}::jsonb) as s(name text, total_bytes bigint, free_bytes bigint, problem text)
    where p.host_id = ${hostId} and p.name = s.name and p.problem is distinct from ${unnamed}
      and (p.total_bytes, p.free_bytes, p.problem) is distinct from (s.total_bytes, s.free_bytes, s.problem)`.execute(
    db,
  );
}

/** The pools that are declared for each of these hosts. */
export async function declaredPools(
  db: Queryable,
  hostIds: readonly HostId[],
): Promise<ReadonlyMap<HostId, DeclaredPool[]>> {
  const { rows } = await sql<{ host_id: HostId; pool: DeclaredPool }>`
    select host_id, jsonb_strip_nulls(jsonb_build_object('name', name, 'tier', tier, 'kind', kind, 'source', source,
      'iopsPerVolume', iops_per_volume)) as pool
    from storage_pool where declared and host_id = any(${[...hostIds]}::uuid[]) order by name`.execute(db);
  const found = new Map<HostId, DeclaredPool[]>();
  for (const { host_id, pool } of rows) {
    const known = found.get(host_id);
    if (known) known.push(pool);
    else found.set(host_id, [pool]);
  }
  return found;
}

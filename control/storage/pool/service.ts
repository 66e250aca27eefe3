/**
 * Pools as administrators declare and steer them. A declared pool is a row, of which its host is told (control/host); what the host's own
 * settings name is theirs: here it can be closed, and no more. Nothing that lies in a pool is ever moved or erased by a word about the pool.
 */
import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import { type DeclaredPool, layerLimits } from '../../../contract/host/index.ts';
import { type HostId, newId, parseId } from '../../../contract/ids.ts';
import { actorOf, type Caller, requireAdmin } from '../../kit/caller.ts';
import type { Database, Tx } from '../../kit/database/database.ts';
import { notFound } from '../../kit/refusal.ts';
import { unnamed } from './facts.ts';
import { type PoolFigures, poolFigures } from './figures.ts';
import { lockPools } from './placement.ts';
import type { PoolTier } from './tables.ts';

/** What may be said of a pool at any time. */
export interface PoolChanges {
  tier?: PoolTier;
  iopsPerVolume?: number | null;
  overSubscription?: number;
  reservedPercentage?: number;
  /** Reads and writes a second that it gives to guests; null: whatever it gives. */
  iops?: number | null;
  iopsOverSubscription?: number;
  enabled?: boolean;
  disabledReason?: string | null;
}

export interface NewPool extends Omit<PoolChanges, 'tier'> {
  hostId: string;
  name: string;
  tier: PoolTier;
  kind: DeclaredPool['kind'];
  source: string;
}

/** Of what its host's settings say all but this is theirs. */
const ofAnybody: ReadonlySet<string> = new Set([
  ...(['enabled', 'disabledReason', 'iops', 'iopsOverSubscription'] satisfies (keyof PoolChanges)[]),
]);
const notYet = 'its host has not looked at it yet';

export class StoragePoolService {
  readonly #database: Database;

  constructor(options: { database: Database }) {
    this.#database = options.database;
  }

  /** Of all hosts, or of one. @throws CloudError `forbidden` */
  async list(caller: Caller, { hostId }: { hostId?: string } = {}): Promise<PoolFigures[]> {
    requireAdmin(caller, 'list storage pools');
    if (hostId === undefined) return poolFigures(this.#database.query);
    const { rows } = await sql<{
      id: string;
    }>`select id from storage_pool where host_id = ${parseId(hostId) ?? null}`.execute(this.#database.query);
    return poolFigures(
      this.#database.query,
      rows.map(({ id }) => id),
    );
  }

  /** @throws CloudError `forbidden`, `not_found` */
  async get(caller: Caller, id: string): Promise<PoolFigures> {
    requireAdmin(caller, 'show a storage pool');
    const known = parseId(id);
    const [pool] = known ? await poolFigures(this.#database.query, [known]) : [];
    if (!pool) throw notFound('storage_pool', id);
    return pool;
  }

  /** Takes volumes once its host has said that it is well. @throws CloudError `forbidden`, `invalid`, `conflict` */
  async create(caller: Caller, wish: NewPool): Promise<PoolFigures> {
    requireAdmin(caller, 'declare a storage pool');
    requireFittingSource(wish);
    const id = await this.#database.transaction(actorOf(caller), async (tx) => {
      await lockPools(tx);
      await requireNewPlace(tx, wish);
      const { name, tier, kind, source, overSubscription = 20, reservedPercentage = 0 } = wish;
      const { iops = null, iopsOverSubscription = 1 } = wish;
      const made = newId();
      await sql`insert into storage_pool (id, host_id, name, tier, kind, total_bytes, free_bytes, problem, declared, source,
          iops_per_volume, over_subscription, reserved_percentage, iops, iops_over_subscription, disabled, disabled_reason)
        values (${made}, ${wish.hostId}, ${name}, ${tier}, ${kind}, 0, 0, ${notYet}, true, ${source}, ${wish.iopsPerVolume ?? null},
          ${overSubscription}, ${reservedPercentage}, ${iops}, ${iopsOverSubscription}, ${wish.enabled === false}, ${wish.disabledReason ?? null})`.execute(
        tx,
      );
      return made;
    });
    return this.get(caller, id);
  }

  /** @throws CloudError `forbidden`, `not_found`, `conflict` where the settings of its host say it */
  async update(caller: Caller, id: string, changes: PoolChanges): Promise<PoolFigures> {
    requireAdmin(caller, 'change a storage pool');
    await this.#database.transaction(actorOf(caller), async (tx) => {
      const pool = await lockPool(tx, id);
      const theirs = Object.keys(changes).find((what) => !ofAnybody.has(what));
      if (!pool.declared && theirs !== undefined) throw ofSettings(pool, theirs);
      const { enabled = !pool.disabled, tier = pool.tier } = changes;
      const { overSubscription = pool.over_subscription, reservedPercentage = pool.reserved_percentage } = changes;
      const { iops = pool.iops, iopsOverSubscription = pool.iops_over_subscription } = changes;
      const { iopsPerVolume = pool.iops_per_volume, disabledReason = pool.disabled_reason } = changes;
      await sql`update storage_pool set tier = ${tier}, iops_per_volume = ${iopsPerVolume}, over_subscription = ${overSubscription},
        reserved_percentage = ${reservedPercentage}, iops = ${iops}, iops_over_subscription = ${iopsOverSubscription}, disabled = ${!enabled}, disabled_reason = ${enabled ? null : disabledReason},
        generation = generation + 1, updated_at = now() where id = ${pool.id}`.execute(tx);
    });
    return this.get(caller, id);
  }

  /**
   * Its host lets it go: what is no layer stays where it is.
   * @throws CloudError `forbidden`, `not_found`, `conflict` while anything lies in it or its host's settings name it
   */
  async remove(caller: Caller, id: string): Promise<void> {
    requireAdmin(caller, 'remove a storage pool');
    await this.#database.transaction(actorOf(caller), async (tx) => {
      await lockPools(tx);
      const pool = await lockPool(tx, id);
      if (!pool.declared && pool.named) throw ofSettings(pool, 'presence');
      const { rows } = await sql<{ volumes: number; layers: number }>`select
        (select count(*)::integer from volume where ${pool.id} in (pool_id, cache_pool_id))
          + (select count(*)::integer from volume_replica where ${pool.id} in (pool_id, round_pool_id)) as volumes,
        (select count(*)::integer from volume_layer where pool_id = ${pool.id}) as layers`.execute(tx);
      const { volumes, layers } = rows[0]!;
      if (volumes + layers > 0) throw new CloudError('conflict', 'storage_pool_not_empty', { id, volumes, layers });
      await sql`delete from storage_pool where id = ${pool.id}`.execute(tx);
    });
  }
}

interface LockedPool {
  id: string;
  name: string;
  host_name: string;
  tier: PoolTier;
  declared: boolean;
  /** Its host has it. */
  named: boolean;
  disabled: boolean;
  disabled_reason: string | null;
  over_subscription: number;
  reserved_percentage: number;
  iops_per_volume: number | null;
  iops: number | null;
  iops_over_subscription: number;
}

async function lockPool(tx: Tx, id: string): Promise<LockedPool> {
  const { rows } = await sql<LockedPool>`
    select p.*, p.problem is distinct from ${unnamed} as named, h.name as host_name from storage_pool p join host h on h.id = p.host_id
    where p.id = ${parseId(id) ?? null}::uuid for update of p`.execute(tx);
  if (!rows[0]) throw notFound('storage_pool', id);
  return rows[0];
}

const ofSettings = ({ name, host_name: host }: LockedPool, what: string) =>
  new CloudError('conflict', 'storage_pool_of_settings', { name, host, what });

/** As the host reads it, see contract/host/pool.ts. */
function requireFittingSource({ kind, source }: NewPool): void {
  const fits = source.startsWith('/') ? source.length > 1 : kind === 'file-system' && /^(UUID|LABEL)=./.test(source);
  if (!fits) throw new CloudError('invalid', 'storage_pool_source_unfit', { kind, source });
}

async function requireNewPlace(tx: Tx, { hostId, name, source }: NewPool): Promise<void> {
  const known = parseId<HostId>(hostId) ?? null;
  const { rows: hosts } = await sql<{ name: string }>`select name from host where id = ${known}::uuid`.execute(tx);
  if (!hosts[0]) throw new CloudError('invalid', 'storage_pool_host_not_found', { id: hostId });
  const host = hosts[0].name;
  const { rows } = await sql<{ name: string; source: string | null; declared: boolean }>`
    select name, source, declared from storage_pool where host_id = ${known}::uuid`.execute(tx);
  const taken = rows.find((pool) => pool.name === name);
  const by = taken?.declared ? 'api' : 'settings';
  if (taken) throw new CloudError('conflict', 'storage_pool_name_taken', { name, host, by });
  const there = rows.find((pool) => pool.source === source);
  if (there) throw new CloudError('conflict', 'storage_pool_place_taken', { source, host, pool: there.name });
  const most = layerLimits.pools;
  if (rows.length >= most) throw new CloudError('conflict', 'storage_pools_too_many', { host, most });
}

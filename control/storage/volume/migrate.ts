/** An administrator puts a volume into another pool, of its host or of another one. */
import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import { actorOf, type Caller, requireAdmin } from '../../kit/caller.ts';
import type { Tx } from '../../kit/database/database.ts';
import { cacheOf } from '../cache/index.ts';
import { copiedBytes } from '../layer/index.ts';
import { choosePool, placeOf, recordPoolChoice } from '../pool/index.ts';
import { cacheWords, iopsOfType } from '../volume-type/index.ts';
import { type ActDependencies, onLockedVolume } from './act.ts';
import { beginChangeHost, requireLeavable } from './change-host.ts';
import { beginMove, requireMovable } from './move.ts';
import { beginSinkFirst, cacheAfter, keptCache } from './sink-first.ts';
import { findVolume, reachOf } from './store.ts';
import { type ListedVolume, requireStatus } from './volume.ts';

/**
 * @param wish.backend `host@pool` or, as Cinder's, `host@pool#pool`; null: nobody said
 * @throws CloudError `not_found`, `forbidden`, `invalid`, `no_capacity`
 */
export async function migrateVolume(
  deps: ActDependencies,
  caller: Caller,
  id: string,
  { backend, cluster }: { backend: string | null; cluster: string | null },
): Promise<void> {
  await findVolume(deps.database.query, reachOf(caller), id);
  requireAdmin(caller, 'migrate a volume');
  await onLockedVolume(deps, caller, id, 'migrate a volume', async (tx, volume) => {
    requireStatus(volume, 'migrate', ['available', 'in-use']);
    if (cluster !== null) throw unfit(id, 'cluster', cluster);
    const pool = await poolOf(tx, volume, backend ?? '');
    await requireMovable(tx, volume);
    const { rows } = await sql<{ extra_specs: Record<string, string> }>`select extra_specs from volume_type
      where id = ${volume.volume_type_id}`.execute(tx);
    const cache = cacheOf(volume);
    const leaves = pool.host_id !== volume.host_id;
    if (leaves) await requireLeavable(tx, volume, pool.host_id);
    const wish = {
      sizeBytes: volume.layer_bytes,
      extraSpecs: rows[0]!.extra_specs,
      poolId: pool.id,
      ...(leaves
        ? {
            availabilityZone: volume.availability_zone,
            copiedBytes: await copiedBytes(tx, { topId: volume.layer_id!, top: 'copy' }),
          }
        : { hostId: volume.host_id, hostOf: 'volume' as const }),
      // Into a cluster nothing is copied from another host.
      from: await placeOf(tx, volume.pool_id!, leaves || volume.attachment !== null),
      encrypted: volume.key_id !== null,
      iops: await iopsOfType(tx, volume.volume_type_id, volume.size_gib),
      cache: cache && keptCache(cacheWords(rows[0]!.extra_specs) ?? { pool: null, tier: null, bytes: 0 }),
    };
    const found = await choosePool(tx, wish);
    if (!found.pool) throw new CloudError('no_capacity', 'no_pool', { why: found.message, fix: found.fix });
    await recordPoolChoice(tx, { projectId: volume.project_id, volumeId: id, wish, found });
    const move = { kind: 'migrate', pool, typeId: null } as const;
    if (leaves) return beginChangeHost(tx, actorOf(caller), volume, move);
    if (!cache) return beginMove(tx, actorOf(caller), volume, move);
    await beginSinkFirst(tx, actorOf(caller), volume, { ...move, cache: cacheAfter(cache, found) });
  });
  deps.log.info({ requestId: caller.requestId, volumeId: id, backend }, 'volume migration accepted');
}

async function poolOf(tx: Tx, volume: ListedVolume, backend: string): Promise<{ id: string; host_id: string }> {
  const { rows } = await sql<{ id: string; host_id: string }>`select p.id, p.host_id
    from storage_pool p join host h on h.id = p.host_id
    where ${backend} in (h.name || '@' || p.name, h.name || '@' || p.name || '#' || p.name)`.execute(tx);
  const [pool] = rows;
  if (!pool) throw unfit(volume.id, 'unknown', backend);
  if (pool.id === volume.pool_id) throw unfit(volume.id, 'same', backend);
  return pool;
}

const unfit = (id: string, why: 'cluster' | 'unknown' | 'same', to: string) =>
  new CloudError('invalid', 'volume_migration_unfit', { id, why, to });

/** The layers of a volume's cache: SQL. The volume's row is locked by whoever calls. */
import { sql } from 'kysely';
import type { LayerId } from '../../../contract/ids.ts';
import type { Queryable, Tx } from '../../kit/database/database.ts';
import { freezeLayer, insertLayer, isServedInSql } from '../layer/index.ts';
import type { CacheLayer } from './plan.ts';

/** Of a volume, what its cache is made by. */
export interface CachedVolume {
  id: string;
  host_id: string | null;
  pool_id: string | null;
  layer_id: string | null;
  cache_pool_id: string | null;
  cache_bytes: number | null;
  cache_policy: 'write-back' | 'write-through' | null;
}

interface ChainRow extends CacheLayer {
  size_bytes: number;
}

/**
 * From the top down to the first that is of no cache of the volume any more. A clone builds on a base of its source's, maybe before that is
 * final: what is to be done there is for the source, which alone sees what has to sink into it.
 */
export async function cacheChain(db: Queryable, layerId: string): Promise<ChainRow[]> {
  const { rows } = await sql<ChainRow>`
    with recursive chain (id, depth, owner) as (
      select id, 0, volume_id from volume_layer where id = ${layerId}
      union all select l.parent_id, depth + 1, owner from chain, lateral (
        select parent_id from volume_layer where id = chain.id and volume_id = owner and cache_role is not null and parent_id is not null
        offset 0) l)
    select l.id, case when l.volume_id = owner then l.cache_role end as role, l.read_only as "readOnly", ${isServedInSql('l')} as served,
      l.former_parent_id is not null as moving, l.observed_full as full, l.size_bytes
    from chain join volume_layer l on l.id = chain.id order by depth`.execute(db);
  return rows;
}

/** A server has it, or has not let go of it yet. */
export async function isHad(db: Queryable, volumeId: string): Promise<boolean> {
  const { rows } =
    await sql`select from volume_attachment where volume_id = ${volumeId} and server_id is not null`.execute(db);
  return rows.length > 0;
}

/** A new layer on the top, which is written to no more if it was a generation. @returns its id */
export async function coverTop(
  tx: Tx,
  volume: CachedVolume,
  { top, role, sizeBytes }: { top: Pick<CacheLayer, 'id' | 'role'>; role: 'base' | 'writes'; sizeBytes: number },
): Promise<LayerId> {
  const { id, host_id, pool_id, cache_pool_id, cache_bytes, cache_policy } = volume;
  // What is written through is never only where it is fast.
  const poolId = role === 'base' || cache_policy === 'write-through' ? pool_id : cache_pool_id;
  if (host_id === null || poolId === null || cache_bytes === null)
    throw new Error('a volume without a cache is covered');
  if (top.role === 'writes') await freezeLayer(tx, top.id);
  return insertLayer(tx, {
    ...{ volumeId: id, pool: { id: poolId, host_id }, sizeBytes, base: { parentId: top.id } },
    // Two live at a time, as a rule: one that fills, and one that is used until then.
    cache: { role, fullBytes: role === 'writes' ? Math.floor(cache_bytes / 2) : null },
  });
}

/** `above` builds on `onto`; the generations between stay until its host has said that its file does. */
export async function beginSink(
  tx: Tx,
  { above, highest, onto }: { above: string; highest: string; onto: string },
): Promise<void> {
  await sql`update volume_layer set parent_id = ${onto}, former_parent_id = ${highest}, sinks = true, generation = generation + 1,
    updated_at = now() where id = ${above}`.execute(tx);
}

/** Nothing sinks into it any more; it has grown with what did. It may be merged into what builds on it, where nobody else needs it. */
export async function settleBase(tx: Tx, id: string): Promise<void> {
  await sql`update volume_layer set cache_role = null, read_only = true, size_bytes = greatest(size_bytes, observed_size_bytes),
    generation = generation + 1, updated_at = now(), shorten_at = coalesce(shorten_at, now()) where id = ${id}`.execute(
    tx,
  );
}

/** Those that wait for what the volume holds to be final. */
export async function wakeWaitingForBase(tx: Tx, volumeId: string): Promise<void> {
  await sql`select enqueue('volume_snapshot', id::text, now()) from volume_snapshot where volume_id = ${volumeId} and ready_at is null
    union all select enqueue('volume', id::text, now()) from volume where source_volume_id = ${volumeId} and launched_at is null`.execute(
    tx,
  );
}

/**
 * Volumes whose cache has something to do that no report may bring about any more: the top is full, or a generation that nobody has, or a base
 * waits for what is above it. One at rest is not among them.
 */
export const cacheDueSql = sql`select v.id from volume v join volume_layer t on t.id = v.layer_id
  where v.cache_pool_id is not null and (t.observed_full
    or (t.cache_role = 'writes' and not exists (select from volume_attachment a where a.volume_id = v.id and a.server_id is not null))
    or (select count(*) from volume_layer b where b.volume_id = v.id and b.cache_role = 'base' and b.desired_presence = 'present') > 1)`;

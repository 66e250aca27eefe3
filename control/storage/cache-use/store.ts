/** What caches have done: SQL. Written with the layers' reports, in their transaction. */
import { sql } from 'kysely';
import type { CacheUse } from '../../../contract/host/index.ts';
import type { Queryable, Tx } from '../../kit/database/database.ts';
import { json } from '../../kit/database/schema.ts';
import { addUse, type CacheTotals, noUse } from './use.ts';

/** Of a generation that a host has said something of: it counts for the layer's volume, as long as that is there. */
export async function recordUse(tx: Tx, layerId: string, use: CacheUse): Promise<void> {
  const { rows } = await sql<{ id: string }>`insert into volume_cache_use (volume_id)
    select v.id from volume_layer l join volume v on v.id = l.volume_id and v.cache_pool_id is not null
      where l.id = ${layerId} and l.cache_role = 'writes'
    on conflict (volume_id) do update set updated_at = now() returning volume_id as id`.execute(tx);
  const [volume] = rows;
  if (!volume) return;
  const known = (await readRow(tx, volume.id))!;
  const { reads, misses, promoted_bytes, warmings, last_warming_ms, generations, again_bytes, fresh_bytes } = addUse(
    known,
    known.seen,
    use,
  );
  await sql`update volume_cache_use set seen = ${json(use)}::jsonb, reads = ${reads}, misses = ${misses}, promoted_bytes = ${promoted_bytes},
      warmings = ${warmings}, last_warming_ms = ${last_warming_ms}, generations = ${generations},
      again_bytes = ${again_bytes}::bigint[], fresh_bytes = ${fresh_bytes}, updated_at = now()
    where volume_id = ${volume.id}`.execute(tx);
}

/** The generations between what is above them and their base have sunk: all from this one down to the layer that `above` builds on. */
export async function recordSunk(tx: Tx, sunk: { above: string; highest: string }): Promise<void> {
  await sql`with recursive base as (select volume_id, parent_id from volume_layer where id = ${sunk.above}),
    chain as (
      select l.id, l.parent_id, l.observed_allocated_bytes as bytes from volume_layer l where l.id = ${sunk.highest}
      union all select l.id, l.parent_id, l.observed_allocated_bytes from chain join volume_layer l on l.id = chain.parent_id, base
        where l.id <> base.parent_id)
    insert into volume_cache_use as u (volume_id, sunk_bytes)
      select v.id, (select sum(bytes) from chain) from base join volume v on v.id = base.volume_id and v.cache_pool_id is not null
    on conflict (volume_id) do update set sunk_bytes = u.sunk_bytes + excluded.sunk_bytes, updated_at = now()`.execute(
    tx,
  );
}

/** Zeros where nothing was counted yet. */
export async function readUse(db: Queryable, volumeId: string): Promise<CacheTotals> {
  return (await readRow(db, volumeId)) ?? noUse;
}

async function readRow(
  db: Queryable,
  volumeId: string,
): Promise<(CacheTotals & { seen: CacheUse | null }) | undefined> {
  const { rows } = await sql<
    CacheTotals & { seen: CacheUse | null }
  >`select seen, reads, misses, promoted_bytes, sunk_bytes, warmings,
      last_warming_ms, generations, to_jsonb(again_bytes) as again_bytes, fresh_bytes
    from volume_cache_use where volume_id = ${volumeId}`.execute(db);
  return rows[0];
}

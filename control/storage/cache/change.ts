/**
 * A volume that is there gets a cache, or its cache ends. Both are what a snapshot of it would be to its host: what it holds is frozen, and new layers
 * come on it, to which a guest that has it is switched. SQL; the volume's row is locked by whoever calls.
 */
import { sql } from 'kysely';
import type { Tx } from '../../kit/database/database.ts';
import { freezeLayer, isServedInSql } from '../layer/index.ts';
import type { CachePolicy } from '../volume-type/index.ts';
import { type CachedVolume, cacheChain, coverTop, isHad, settleBase } from './store.ts';
import { setTop } from './tend.ts';

export interface VolumeCache {
  pool_id: string;
  bytes: number;
  policy: CachePolicy;
}

/** Null: it has none. */
export const cacheOf = ({ cache_pool_id, cache_bytes, cache_policy }: CachedVolume): VolumeCache | null =>
  cache_pool_id === null || cache_bytes === null
    ? null
    : { pool_id: cache_pool_id, bytes: cache_bytes, policy: cache_policy ?? 'write-back' };

/** A base comes on what it holds, and a generation on that where a server has it. The volume has no cache yet. */
export async function giveCache(
  tx: Tx,
  volume: CachedVolume & { layer_bytes: number },
  { pool_id, bytes, policy }: VolumeCache,
): Promise<void> {
  const { id, layer_id, layer_bytes: sizeBytes } = volume;
  if (layer_id === null) throw new Error('a volume without a layer gets a cache');
  const cached = { ...volume, cache_pool_id: pool_id, cache_bytes: bytes, cache_policy: policy };
  await setCache(tx, id, { pool_id, bytes, policy });
  await freezeLayer(tx, layer_id);
  const base = await coverTop(tx, cached, { top: { id: layer_id, role: null }, role: 'base', sizeBytes });
  const had = await isHad(tx, id);
  const top = had ? await coverTop(tx, cached, { top: { id: base, role: 'base' }, role: 'writes', sizeBytes }) : base;
  await setTop(tx, id, top);
}

/** All that was in generations is where it belongs: nothing is left but a base, to which a guest writes if one has it. */
export async function hasSunk(tx: Tx, { layer_id }: CachedVolume): Promise<boolean> {
  const chain = layer_id === null ? [] : await cacheChain(tx, layer_id);
  const [top, ...below] = chain;
  const { rows } = await sql`select from volume_layer l where id = ${layer_id} and ${isServedInSql('l')}`.execute(tx);
  return (
    top?.role === 'base' &&
    !top.moving &&
    below.every(({ role, moving }) => role === null && !moving) &&
    rows.length > 0
  );
}

/** What {@link hasSunk} is frozen and of no cache any more. Another top has to come on it in the same transaction. */
export async function endCache(tx: Tx, { id, layer_id }: CachedVolume): Promise<void> {
  await settleBase(tx, layer_id!);
  await setCache(tx, id, null);
}

const setCache = (tx: Tx, id: string, cache: VolumeCache | null) =>
  sql`update volume set cache_pool_id = ${cache?.pool_id ?? null}, cache_bytes = ${cache?.bytes ?? null},
    cache_policy = ${cache?.policy ?? null}, updated_at = now() where id = ${id}`.execute(tx);

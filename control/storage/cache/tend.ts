/**
 * The cache of a volume, kept: generations come when one is full, and sink when they are old or nobody has the volume. One step in the
 * transaction of the volume's controller, which calls again until there is none (../volume/controller.ts). If the process dies, the rows say
 * where it was.
 */
import { sql } from 'kysely';
import type { Tx } from '../../kit/database/database.ts';
import { tellServers } from '../attachment/index.ts';
import { freezeLayer } from '../layer/index.ts';
import { type CacheStep, planCache } from './plan.ts';
import { beginSink, type CachedVolume, cacheChain, coverTop, isHad, settleBase, wakeWaitingForBase } from './store.ts';

/**
 * @param options.ends it has no generations any more, whoever has the volume (../volume/sink-first.ts)
 * @returns what was done; undefined where nothing is to be done now
 */
export async function tendCache(
  tx: Tx,
  volume: CachedVolume,
  { ends = false }: { ends?: boolean } = {},
): Promise<CacheStep['do'] | undefined> {
  if (volume.cache_pool_id === null || volume.layer_id === null) return undefined;
  const chain = await cacheChain(tx, volume.layer_id);
  const step = planCache(chain, { had: !ends && (await isHad(tx, volume.id)) });
  switch (step?.do) {
    case undefined:
      return undefined;
    case 'cover':
    case 'begin':
    case 'rotate': {
      const role = step.do === 'cover' ? 'base' : 'writes';
      const top = await coverTop(tx, volume, { top: chain[0]!, role, sizeBytes: chain[0]!.size_bytes });
      await setTop(tx, volume.id, top);
      break;
    }
    case 'sink':
      await beginSink(tx, step);
      break;
    case 'settle':
      await settleBase(tx, step.base);
      await wakeWaitingForBase(tx, volume.id);
      break;
  }
  return step.do;
}

/** Its guest is switched to it; whether its first content is complete is said by the new one, which needs all below it. */
export async function setTop(tx: Tx, id: string, layerId: string): Promise<void> {
  await sql`update volume set layer_id = ${layerId}, generation = generation + 1, updated_at = now() where id = ${id}`.execute(
    tx,
  );
  await tellServers(tx, [id]);
}

/** Servers are about to have these volumes: those with a cache get the first generation of it. Their rows are locked, or new. */
export async function beginCaches(tx: Tx, volumeIds: readonly string[]): Promise<void> {
  const { rows } =
    await sql<CachedVolume>`select id, host_id, pool_id, layer_id, cache_pool_id, cache_bytes, cache_policy from volume
    where id = any(${[...volumeIds]}::uuid[]) and cache_pool_id is not null and layer_id is not null`.execute(tx);
  for (const volume of rows) {
    const [top] = await cacheChain(tx, volume.layer_id!);
    if (top?.role !== 'base') continue;
    const layerId = await coverTop(tx, volume, { top, role: 'writes', sizeBytes: top.size_bytes });
    await setTop(tx, volume.id, layerId);
  }
}

/**
 * What the volume holds becomes a base to which nobody writes any more but what sinks into it; on it comes another base, and a generation
 * where a server has the volume.
 * @returns the frozen one, whose content is final when it is of no cache any more, and the new top
 */
export async function freezeCached(tx: Tx, volume: CachedVolume): Promise<{ frozen: string; top: string }> {
  const chain = await cacheChain(tx, volume.layer_id!);
  const [old] = chain;
  const base = chain.find(({ role }) => role === 'base');
  if (!old || !base) throw new Error('a volume with a cache has no base');
  await freezeLayer(tx, base.id);
  const sizeBytes = old.size_bytes;
  const next = await coverTop(tx, volume, { top: old, role: 'base', sizeBytes });
  const had = old.role === 'writes' && (await isHad(tx, volume.id));
  const top = had ? await coverTop(tx, volume, { top: { id: next, role: 'base' }, role: 'writes', sizeBytes }) : next;
  // What nothing has to sink into is final at once; not above another one that is not yet.
  if (chain.every(({ id, role }) => role === null || id === base.id)) await settleBase(tx, base.id);
  return { frozen: base.id, top };
}

/** Somebody waits for what is still in generations: a snapshot, or a clone, of a base that is not final. Nobody but this volume makes it so. */
export async function isOwed(tx: Tx, volume: CachedVolume): Promise<boolean> {
  if (volume.cache_pool_id === null || volume.layer_id === null) return false;
  const chain = await cacheChain(tx, volume.layer_id);
  return chain.some(({ role, readOnly }) => role === 'base' && readOnly);
}

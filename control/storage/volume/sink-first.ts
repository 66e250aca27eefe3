/**
 * A volume with a cache goes to another pool or encryption, or gets another cache or none: what its cache holds sinks first, under a guest that
 * writes as well (then to the base itself); then the cache ends, and what was asked for goes on as with any other volume (move.ts), at the end of
 * which the new cache begins. What can't go on keeps its cache. One step in the transaction of the volume's controller, as all of move.ts.
 */
import type { Actor, Tx } from '../../kit/database/database.ts';
import { endOperations, passOperation } from '../../kit/operation/operations.ts';
import { cacheOf, endCache, giveCache, hasSunk, type VolumeCache } from '../cache/index.ts';
import type { LayerRow } from '../layer/index.ts';
import { choosePool, type PoolChoice } from '../pool/index.ts';
import { begin } from './act.ts';
import { freezeTop } from './freeze.ts';
import { isInForce, type MoveWish, moveLimitMs, startMove } from './move.ts';
import { changeVolume } from './store.ts';
import type { SinkTask } from './tables.ts';
import type { ListedVolume } from './volume.ts';

export interface SinkWish extends Omit<MoveWish, 'pool' | 'cache'> {
  /** Null: it stays where it is, in the form that it has. */
  pool: { id: string } | null;
  /** Its cache when all is done. */
  cache: VolumeCache | null;
}

/** What a cache that stays asks of pools: one to be in, whose room it has as a rule. */
export const keptCache = <T extends { bytes: number }>(words: T): T => ({ ...words, bytes: 0 });

/** The cache that it has, in another pool where the volume itself goes to the one where that is. */
export const cacheAfter = (former: VolumeCache | null, { pool, cachePool }: PoolChoice): VolumeCache | null =>
  former && pool?.id === former.pool_id && cachePool ? { ...former, pool_id: cachePool.id } : former;

/** The volume's row is locked, it has a cache, and pools were chosen in this transaction. */
export async function beginSinkFirst(tx: Tx, actor: Actor, volume: ListedVolume, wish: SinkWish): Promise<void> {
  const { kind, pool, typeId, encryption, cache } = wish;
  const task: SinkTask = {
    ...{ kind, stage: 'sinking', pool_id: pool?.id ?? null, type_id: typeId, cache },
    ...(encryption !== undefined && { encryption }),
  };
  const generation = await changeVolume(tx, volume.id, { task, moveOutcome: null });
  const waitingFor = 'what its cache holds to go down';
  await begin(tx, actor, volume, { verb: kind, generation, waitingFor, limitMs: moveLimitMs });
}

/** Called when there is no step of its cache to take. Undefined: it goes on. */
export async function tendSinking(
  tx: Tx,
  { volume, top, late }: { volume: ListedVolume; top: LayerRow; late: boolean },
  task: SinkTask,
): Promise<'moved' | 'task ended' | undefined> {
  const { id, host_id } = volume;
  if (!(await hasSunk(tx, volume)) || !(await isInForce(tx, id))) {
    return late ? keepCache(tx, volume, 'what its cache holds did not go down in time') : undefined;
  }
  const { kind, pool_id, type_id: typeId, cache: then, encryption } = task;
  if (pool_id === null) return changeCache(tx, volume, task);
  // What it was chosen for may have been promised to others since.
  const room = { sizeBytes: top.size_bytes, extraSpecs: {}, poolId: pool_id, hostId: host_id };
  const found = await choosePool(tx, room);
  if (!found.pool) return keepCache(tx, volume, found.message);
  const former = cacheOf(volume);
  await endCache(tx, volume);
  const wish = {
    kind,
    pool: found.pool,
    typeId,
    cache: { former, then },
    ...(encryption !== undefined && { encryption }),
  };
  const { waitingFor } = await startMove(tx, { ...volume, ...noCache }, wish);
  await passOperation(tx, id, { owner: `host ${host_id}`, waitingFor });
  return 'moved';
}

const noCache = { cache_pool_id: null, cache_bytes: null, cache_policy: null };

async function changeCache(tx: Tx, volume: ListedVolume, { type_id, cache }: SinkTask): Promise<'task ended'> {
  const { id } = volume;
  await endCache(tx, volume);
  if (cache) await giveCache(tx, { ...volume, ...noCache }, cache);
  else await freezeTop(tx, { ...volume, ...noCache });
  const change = { task: null, moveOutcome: 'success', ...(type_id !== null && { typeId: type_id }) } as const;
  const generation = await changeVolume(tx, id, change);
  await endOperations(tx, id, generation, { state: 'succeeded' });
  return 'task ended';
}

/** It stays as it was, and its cache begins again where a server has it. */
async function keepCache(tx: Tx, { id }: ListedVolume, why: string): Promise<'task ended'> {
  const generation = await changeVolume(tx, id, { task: null, moveOutcome: 'error' });
  const message = `The volume stays as it is: ${why}.`;
  await endOperations(tx, id, generation, { state: 'failed', code: 'unavailable', message });
  return 'task ended';
}

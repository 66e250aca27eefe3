/**
 * A volume goes to another pool of its host, to another encryption, or both, while its guest writes to it, without a copy beside it: its
 * content is frozen, a new top (in the other pool, with the other key) comes on it, and when the guest writes to that (or nobody has the
 * volume) what lies below moves up into it (the layers' own step, host/volume/steps/changing.ts).
 *
 *   switching → moving → there                    what it was made of is released by the host's word
 *       └─────────┴────→ returning → settling → where it was   a top in the old pool comes on what was written meanwhile, which moves up
 *
 * The volume shows its old type, pool and key until it is there. A new key is made with the new top, and a key goes with the last layer that has
 * it (../volume-key/). One step in the transaction of the volume's controller, which calls again; if the
 * process dies the rows say where it was. One with a cache has come here by sink-first.ts. Never moves to another host.
 */
import { sql } from 'kysely';
import type { Actor, Queryable, Tx } from '../../kit/database/database.ts';
import { isOneOf } from '../../kit/database/one-of.ts';
import { endOperations } from '../../kit/operation/operations.ts';
import { tellServers, topIsInForceSql } from '../attachment/index.ts';
import { giveCache } from '../cache/index.ts';
import { freezeLayer, hasFailed, insertLayer, isServed, type LayerRow, releaseLayers } from '../layer/index.ts';
import { insertKey, type VolumeEncryption } from '../volume-key/index.ts';
import { begin } from './act.ts';
import { freezeTop } from './freeze.ts';
import { changeVolume } from './store.ts';
import type { MoveTask } from './tables.ts';
import { type ListedVolume, requireUnmoved } from './volume.ts';

/** Content of any size has to be written; what did not even begin until then comes back. */
export const moveLimitMs = 24 * 3600_000;

export interface MoveWish {
  kind: MoveTask['kind'];
  pool: { id: string };
  /** That it has when it is there; null: its own. */
  typeId: string | null;
  /** How it is encrypted then, with a key of its own; null: not at all. Absent: as it is. */
  encryption?: VolumeEncryption | null;
  /** See MoveTask; absent: it has none. */
  cache?: MoveTask['cache'];
}

/** The volume's row is locked, {@link requireMovable} has let it pass, and the pool was chosen in this transaction. */
export async function beginMove(tx: Tx, actor: Actor, volume: ListedVolume, wish: MoveWish): Promise<void> {
  const { generation, waitingFor } = await startMove(tx, volume, wish);
  await begin(tx, actor, volume, { verb: wish.kind, generation, waitingFor, limitMs: moveLimitMs });
}

/** The same within an operation that runs. */
export async function startMove(
  tx: Tx,
  volume: ListedVolume,
  { kind, pool, typeId, encryption, cache }: MoveWish,
): Promise<{ generation: number; waitingFor: string }> {
  const keyId = encryption && (await insertKey(tx, encryption));
  const onTop = keyId !== undefined && { keyId };
  const { frozen, top } = await freezeTop(tx, { ...volume, pool_id: pool.id }, onTop || {});
  const task: MoveTask = {
    kind,
    stage: 'switching',
    pool_id: pool.id,
    type_id: typeId,
    layer_id: top,
    below_id: frozen,
    ...(onTop && { former_key_id: volume.key_id }),
    ...(cache && { cache }),
  };
  const generation = await changeVolume(tx, volume.id, { task, moveOutcome: null });
  return { generation, waitingFor: `the host to move it, from layer ${frozen} to ${top}` };
}

/** @throws CloudError `invalid` where something holds the volume where it is */
export async function requireMovable(db: Queryable, volume: ListedVolume): Promise<void> {
  const { rows } = await sql`select from volume_snapshot where volume_id = ${volume.id} limit 1`.execute(db);
  requireUnmoved(volume, rows.length > 0);
}

/** Undefined: it goes on, or there is nothing to do but wait. */
export async function tendMove(
  tx: Tx,
  { volume, top, late }: { volume: ListedVolume; top: LayerRow; late: boolean },
  task: MoveTask,
): Promise<'moved' | 'task ended' | undefined> {
  const { id } = volume;
  switch (task.stage) {
    case 'switching':
    case 'returning': {
      if (task.stage === 'switching' && hasFailed(top)) return turnBack(tx, volume, top, task);
      if (task.stage === 'switching' && late && !isMade(top)) return turnBack(tx, volume, top, task);
      if (!isServed(top) || !(await isInForce(tx, id))) return undefined;
      const onto = task.stage === 'switching' ? null : task.below_id;
      if (!(await moveUp(tx, top.id, onto))) return undefined;
      await changeVolume(tx, id, { task: { ...task, stage: task.stage === 'switching' ? 'moving' : 'settling' } });
      return 'moved';
    }
    case 'moving':
      if (top.former_parent_id !== null) return undefined;
      // Its host could not, and it builds on what it did (../layer/apply-report.ts).
      if (top.parent_id === task.below_id) return turnBack(tx, volume, top, task);
      return isServed(top) ? arrive(tx, volume, task) : undefined;
    case 'settling':
      if (top.former_parent_id !== null) return undefined;
      await changeVolume(tx, id, { task: null });
      if (task.cache?.former) await giveCache(tx, volume, task.cache.former);
      return 'task ended';
  }
}

async function arrive(tx: Tx, volume: ListedVolume, { pool_id, type_id, cache }: MoveTask): Promise<'task ended'> {
  const { id } = volume;
  const generation = await changeVolume(tx, id, {
    ...{ task: null, poolId: pool_id, moveOutcome: 'success' },
    ...(type_id !== null && { typeId: type_id }),
  });
  if (cache?.then) await giveCache(tx, { ...volume, pool_id }, cache.then);
  // What its new type limits.
  await tellServers(tx, [id]);
  await endOperations(tx, id, generation, { state: 'succeeded' });
  return 'task ended';
}

/** Its file is there: a guest may have written to it. */
const isMade = ({ observed_size_bytes, observed_allocated_bytes, observed_state }: LayerRow): boolean =>
  observed_size_bytes > 0 || observed_allocated_bytes > 0 || observed_state === 'ready';

/** It stays where it was; what was written meanwhile comes back. */
async function turnBack(tx: Tx, volume: ListedVolume, top: LayerRow, task: MoveTask): Promise<'moved' | 'task ended'> {
  const { id, pool_id, host_id } = volume;
  const made = isMade(top);
  if (made) await freezeLayer(tx, top.id);
  const layerId = await insertLayer(tx, {
    ...{ volumeId: id, pool: { id: pool_id!, host_id: host_id! }, sizeBytes: top.size_bytes },
    ...{ base: { parentId: made ? top.id : task.below_id }, keyId: volume.key_id },
  });
  const back: MoveTask | null = made ? { ...task, stage: 'returning', layer_id: layerId } : null;
  const generation = await changeVolume(tx, id, { layerId, task: back, moveOutcome: 'error' });
  await tellServers(tx, [id]);
  if (!made) await releaseLayers(tx, [top.id]);
  if (!made && task.cache?.former) await giveCache(tx, { ...volume, layer_id: layerId }, task.cache.former);
  const message = `The volume stays where it is: ${top.observed_error?.message ?? 'its host did not begin in time'}.`;
  await endOperations(tx, id, generation, { state: 'failed', code: 'unavailable', message });
  return made ? 'moved' : 'task ended';
}

/** No guest writes to what is below its top. */
export async function isInForce(tx: Tx, id: string): Promise<boolean> {
  const { rows } = await sql`select from volume v where v.id = ${id} and ${topIsInForceSql}`.execute(tx);
  return rows.length > 0;
}

interface Link {
  id: string;
  /** It is being moved into itself, or is some cache's. */
  busy: boolean;
}

/** From the top down. */
async function linksOf(tx: Tx, topId: string): Promise<Link[]> {
  const { rows } = await sql<Link>`with recursive chain (id, depth) as (
      select ${topId}::uuid, 0
      union all select l.parent_id, depth + 1 from chain join volume_layer l on l.id = chain.id where l.parent_id is not null)
    select l.id, l.former_parent_id is not null or l.cache_role is not null as busy
    from chain join volume_layer l on l.id = chain.id order by depth`.execute(tx);
  return rows;
}

/**
 * What the top builds on goes up into it, down to `onto`; null: all but an image that lies there in the clear, and also that where the top is
 * encrypted. False: others are at work in the chain. Locked as those
 * lock who shorten chains (../layer/shorten.ts), who then leave it alone until it is done.
 */
async function moveUp(tx: Tx, topId: string, onto: string | null): Promise<boolean> {
  const ids = (await linksOf(tx, topId)).map(({ id }) => id);
  await sql`select from volume_layer where ${isOneOf(sql`id`, ids)} order by array_position(${ids}::uuid[], id)
    for no key update`.execute(tx);
  const links = await linksOf(tx, topId);
  if (links.some(({ busy }) => busy)) return false;
  const lowest = links.at(-1)!.id;
  // Of an encrypted layer the image is a copy within.
  const clear = sql`l.key_id is null and b.key_id is null`;
  const base =
    onto === null
      ? sql`parent_id = null, image_id = case when ${clear} then b.image_id end, image = case when ${clear} then b.image end`
      : sql`parent_id = ${onto}::uuid, image_id = null, image = null`;
  await sql`update volume_layer l set ${base}, former_parent_id = l.parent_id, generation = l.generation + 1, updated_at = now()
    from volume_layer b where l.id = ${topId} and b.id = ${lowest}`.execute(tx);
  return true;
}

/**
 * A volume that nobody has goes to a pool of another host: its content is frozen, its chain is copied there layer by layer, and when all of it is there
 * the volume is on the copy, and what it was made of is released. Until then it is where it was.
 *
 *   copying (waits for who is at work in its chain) → there
 *       └→ where it was   a new top comes on what was frozen; what was copied goes
 *
 * One step in the transaction of the volume's controller, which calls again; if the process dies the rows say where it was. One that a server has goes
 * with that (carry.ts).
 */
import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import type { Actor, Tx } from '../../kit/database/database.ts';
import { endOperations } from '../../kit/operation/operations.ts';
import { copyChain, findLayer, freezeLayer, hasFailed, insertLayer, isServed, releaseLayers } from '../layer/index.ts';
import { begin } from './act.ts';
import { moveLimitMs } from './move.ts';
import { changeVolume } from './store.ts';
import type { ChangeHostTask } from './tables.ts';
import type { ListedVolume } from './volume.ts';

export interface ChangeHostWish {
  kind: ChangeHostTask['kind'];
  pool: { id: string; host_id: string };
  /** That it has when it is there; null: its own. */
  typeId: string | null;
}

/** @throws CloudError `invalid` where it can't leave its host, or the two hosts do not copy */
export async function requireLeavable(tx: Tx, volume: ListedVolume, targetId: string): Promise<void> {
  const { id, attachment, cache_pool_id, pool_id, host_id } = volume;
  const unfit = (why: 'with_server' | 'cached' | 'replicated' | 'in_cluster' | 'host_too_old') =>
    new CloudError('invalid', 'volume_migration_unfit', { id, why, to: null });
  if (attachment) throw unfit('with_server');
  if (cache_pool_id !== null) throw unfit('cached');
  const { rows } = await sql<{ in_cluster: boolean; replicated: boolean; able: boolean }>`select
    exists (select from volume_replica where volume_id = ${id}) as replicated,
    (select kind = 'rbd' from storage_pool where id = ${pool_id}) as in_cluster,
    not exists (select from host where id in (${host_id}, ${targetId}) and not coalesce((facts -> 'layerCopies')::boolean, false)) as able`.execute(
    tx,
  );
  if (rows[0]!.replicated) throw unfit('replicated');
  if (rows[0]!.in_cluster) throw unfit('in_cluster');
  if (!rows[0]!.able) throw unfit('host_too_old');
}

/** The volume's row is locked, {@link requireLeavable} has let it pass, and the pool was chosen in this transaction. */
export async function beginChangeHost(
  tx: Tx,
  actor: Actor,
  volume: ListedVolume,
  { kind, pool, typeId }: ChangeHostWish,
): Promise<void> {
  const { id, layer_id } = volume;
  await freezeLayer(tx, layer_id!);
  const copy = await copyChain(tx, { topId: layer_id!, volumeId: id, pool, top: 'copy' });
  const task: ChangeHostTask = {
    ...{ kind, stage: 'copying', pool_id: pool.id, target_host_id: pool.host_id },
    ...{ type_id: typeId, layer_id: copy?.top ?? null },
  };
  const generation = await changeVolume(tx, id, { task, moveOutcome: null });
  const waitingFor = `host ${pool.host_id} to copy it`;
  await begin(tx, actor, volume, { verb: kind, generation, waitingFor, limitMs: moveLimitMs });
}

/** Undefined: it goes on, or there is nothing to do but wait. */
export async function tendChangeHost(
  tx: Tx,
  { volume, late }: { volume: ListedVolume; late: boolean },
  task: ChangeHostTask,
): Promise<'moved' | 'task ended' | undefined> {
  const { id, layer_id } = volume;
  if (task.layer_id === null) {
    const pool = { id: task.pool_id, host_id: task.target_host_id };
    const copy = await copyChain(tx, { topId: layer_id!, volumeId: id, pool, top: 'copy' });
    if (!copy) return late ? stay(tx, volume, task, 'others were at work in its chain') : undefined;
    await changeVolume(tx, id, { task: { ...task, layer_id: copy.top } });
    return 'moved';
  }
  const top = await findLayer(tx, task.layer_id);
  if (!top) return stay(tx, volume, task, 'its copy is gone');
  if (isServed(top)) return arrive(tx, volume, task);
  if (hasFailed(top)) return stay(tx, volume, task, top.observed_error?.message ?? 'the host could not copy it');
  return late ? stay(tx, volume, task, 'the host did not copy it in time') : undefined;
}

async function arrive(tx: Tx, volume: ListedVolume, task: ChangeHostTask): Promise<'task ended'> {
  const { id, layer_id: before } = volume;
  const { pool_id: poolId, target_host_id: hostId, layer_id: layerId, type_id: typeId } = task;
  const generation = await changeVolume(tx, id, {
    ...{ task: null, poolId, hostId, layerId: layerId!, moveOutcome: 'success' },
    ...(typeId !== null && { typeId }),
  });
  await releaseLayers(tx, [before!]);
  await endOperations(tx, id, generation, { state: 'succeeded' });
  return 'task ended';
}

async function stay(tx: Tx, volume: ListedVolume, task: ChangeHostTask, why: string): Promise<'task ended'> {
  await giveUpChangeHost(tx, volume, task);
  const generation = await changeVolume(tx, volume.id, { task: null, moveOutcome: 'error' });
  const message = `The volume stays where it is: ${why}.`;
  await endOperations(tx, volume.id, generation, { state: 'failed', code: 'unavailable', message });
  return 'task ended';
}

/** It may be written to again, where it is. */
export async function giveUpChangeHost(tx: Tx, volume: ListedVolume, task: ChangeHostTask): Promise<void> {
  const { id, pool_id, host_id, layer_id, layer_bytes } = volume;
  const layerId = await insertLayer(tx, {
    ...{ volumeId: id, pool: { id: pool_id!, host_id: host_id! }, sizeBytes: layer_bytes },
    base: { parentId: layer_id! },
  });
  await changeVolume(tx, id, { layerId });
  if (task.layer_id !== null) await releaseLayers(tx, [task.layer_id]);
}

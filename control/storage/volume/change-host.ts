/**
 * A volume that nobody has goes to a pool of another host: its content is frozen, its chain is copied there layer by layer, and when all of it is there
 * the volume is on the copy, and what it was made of is released. Until then it is where it was.
 *
 *   copying (waits for who is at work in its chain) → there
 *       └→ where it was   a new top comes on what was frozen; what was copied goes
 *
 * One step in the transaction of the volume's controller, which calls again; if the process dies the rows say where it was. One that a server has goes
 * with that (carry.ts); one that a server shall have as soon as it is there says so in its attachment (bring.ts).
 */
import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import type { Actor, Tx } from '../../kit/database/database.ts';
import { endOperations } from '../../kit/operation/operations.ts';
import {
  copyChain,
  filesOf,
  findLayer,
  freezeLayer,
  hasFailed,
  insertLayer,
  isServed,
  type LayerRow,
  releaseLayers,
} from '../layer/index.ts';
import { begin } from './act.ts';
import { dropBrought, giveBrought, lookAtServer } from './brought.ts';
import { moveLimitMs } from './move.ts';
import { takeSnapshotsAlong } from './snapshots-along.ts';
import { changeVolume } from './store.ts';
import type { ChangeHostTask } from './tables.ts';
import type { ListedVolume } from './volume.ts';

export interface ChangeHostWish {
  kind: ChangeHostTask['kind'];
  pool: { id: string; host_id: string };
  /** That it has when it is there; null: its own. */
  typeId: string | null;
}

export type LeaveProblem = 'cached' | 'replicated' | 'in_cluster' | 'host_too_old';

/** @throws CloudError `invalid` where it can't leave its host, or the two hosts do not copy */
export async function requireLeavable(tx: Tx, volume: ListedVolume, targetId: string): Promise<void> {
  const why = volume.attachment ? 'with_server' : await leaveProblem(tx, volume, targetId);
  if (why) throw new CloudError('invalid', 'volume_migration_unfit', { id: volume.id, why, to: null });
}

/** Undefined: it may leave its host, and both hosts copy. */
export async function leaveProblem(
  tx: Tx,
  { id, cache_pool_id, pool_id, host_id }: ListedVolume,
  targetId: string,
): Promise<LeaveProblem | undefined> {
  if (cache_pool_id !== null) return 'cached';
  const { rows } = await sql<{ in_cluster: boolean; replicated: boolean; able: boolean }>`select
    exists (select from volume_replica where volume_id = ${id}) as replicated,
    (select kind = 'rbd' from storage_pool where id = ${pool_id}) as in_cluster,
    not exists (select from host where id in (${host_id}, ${targetId}) and not coalesce((facts -> 'layerCopies')::boolean, false)) as able`.execute(
    tx,
  );
  const { replicated, in_cluster, able } = rows[0]!;
  if (replicated) return 'replicated';
  return in_cluster ? 'in_cluster' : able ? undefined : 'host_too_old';
}

/** What was asked for. */
const verbOf = { retype: 'retype', migrate: 'migrate', bring: 'attach' } as const;

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
    ...(copy && { copies: Object.fromEntries(copy.copies) }),
  };
  const generation = await changeVolume(tx, id, { task, ...(kind !== 'bring' && { moveOutcome: null }) });
  const waitingFor = `host ${pool.host_id} to copy it`;
  await begin(tx, actor, volume, { verb: verbOf[kind], generation, waitingFor, limitMs: moveLimitMs });
}

/** Undefined: it goes on, or there is nothing to do but wait. */
export async function tendChangeHost(
  tx: Tx,
  { volume, late }: { volume: ListedVolume; late: boolean },
  task: ChangeHostTask,
): Promise<'moved' | 'task ended' | undefined> {
  const { id, layer_id } = volume;
  const server = task.kind === 'bring' ? await lookAtServer(tx, id) : undefined;
  if (typeof server === 'object') return stay(tx, volume, task, server.off, 'conflict');
  if (task.layer_id === null) {
    const pool = { id: task.pool_id, host_id: task.target_host_id };
    const copy = await copyChain(tx, { topId: layer_id!, volumeId: id, pool, top: 'copy' });
    if (!copy) return late ? stay(tx, volume, task, 'others were at work in its chain') : undefined;
    await changeVolume(tx, id, {
      task: { ...task, layer_id: copy.top, copies: Object.fromEntries(copy.copies) },
    });
    return 'moved';
  }
  const top = await findLayer(tx, task.layer_id);
  if (!top) return stay(tx, volume, task, 'its copy is gone');
  if (isServed(top) && server !== 'wait') return arrive(tx, volume, task);
  // The top's waits for those below it.
  const broken = (await filesOf(tx, top.id)).find(comesNever);
  if (broken) return stay(tx, volume, task, broken.observed_error?.message ?? 'the host could not copy it');
  return late ? stay(tx, volume, task, 'the host did not copy it in time') : undefined;
}

/** Its host has given it up; or it builds on an image that no host is said to have. */
const comesNever = (copy: LayerRow): boolean => hasFailed(copy) || copy.observed_error?.code === 'image_missing';

async function arrive(tx: Tx, volume: ListedVolume, task: ChangeHostTask): Promise<'task ended'> {
  const { id, layer_id: before } = volume;
  const { pool_id: poolId, target_host_id: hostId, layer_id: layerId, type_id: typeId } = task;
  const copies = task.copies ?? { [before!]: layerId! };
  const generation = await changeVolume(tx, id, {
    ...{ task: null, poolId, hostId, layerId: layerId! },
    ...(task.kind !== 'bring' && { moveOutcome: 'success' as const }),
    ...(typeId !== null && { typeId }),
  });
  await takeSnapshotsAlong(tx, id, copies);
  await releaseLayers(tx, Object.keys(copies));
  if (task.kind === 'bring') await giveBrought(tx, id);
  await endOperations(tx, id, generation, { state: 'succeeded' });
  return 'task ended';
}

/** Nothing comes of it. The volume's row is locked. */
export async function stayOnHost(
  tx: Tx,
  volume: ListedVolume,
  task: ChangeHostTask,
  { why, code }: { why: string; code: 'unavailable' | 'conflict' },
): Promise<'task ended'> {
  await giveUpChangeHost(tx, volume, task);
  const generation = await changeVolume(tx, volume.id, {
    task: null,
    // Of one that was brought to its server nobody asked where it is.
    ...(task.kind !== 'bring' && { moveOutcome: 'error' }),
  });
  const message = `The volume stays where it is: ${why}.`;
  await endOperations(tx, volume.id, generation, { state: 'failed', code, message });
  return 'task ended';
}

const stay = (
  tx: Tx,
  volume: ListedVolume,
  task: ChangeHostTask,
  why: string,
  code: 'unavailable' | 'conflict' = 'unavailable',
) => stayOnHost(tx, volume, task, { why, code });

/** It may be written to again, where it is. */
export async function giveUpChangeHost(tx: Tx, volume: ListedVolume, task: ChangeHostTask): Promise<void> {
  const { id, pool_id, host_id, layer_id, layer_bytes } = volume;
  const layerId = await insertLayer(tx, {
    ...{ volumeId: id, pool: { id: pool_id!, host_id: host_id! }, sizeBytes: layer_bytes },
    base: { parentId: layer_id! },
  });
  await changeVolume(tx, id, { layerId });
  if (task.kind === 'bring') await dropBrought(tx, id);
  if (task.layer_id !== null) await releaseLayers(tx, [task.layer_id]);
}

/**
 * A server's volumes go with it to another host. What their tops build on is copied there layer by layer, and on that come tops that are empty: what the
 * present ones hold its guest's QEMU writes into them, as it does with its disks (host/migration/). When the target has said that it has the server,
 * its volumes are on these tops in the same transaction; snapshots go along, and what others build on stays.
 *
 * The task of each volume says where it goes, and holds it, until the migration has ended: also where the volume's file is lost meanwhile, since the guest
 * may write at the target as soon as the source lets go, and only the hosts know when. If the server's migration comes to nothing, or the server goes, the
 * volume's controller finds the task without one, and lets go of what was copied: nothing was written to by a guest.
 */
import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import type { Queryable, Tx } from '../../kit/database/database.ts';
import { enqueue } from '../../kit/queue/queue.ts';
import { copiedBytes, copyChain, releaseLayers } from '../layer/index.ts';
import { choosePool, chooseTogether, type PoolWish, readPools, recordPoolChoice } from '../pool/index.ts';
import { iopsOfType } from '../volume-type/index.ts';
import { recordLoss } from './loss.ts';
import { takeSnapshotsAlong } from './snapshots-along.ts';
import { volumeStatus } from './states.ts';
import { changeVolume, findVolume, lockVolume } from './store.ts';
import type { CarryTask } from './tables.ts';
import { faultOf, type ListedVolume } from './volume.ts';

/** Why a volume does not go along; `busy` and `attaching`, on its own way to the server, pass. */
export type CarryProblem = 'busy' | 'attaching' | 'cached' | 'in_cluster' | 'branched' | 'replicated';

interface Carried {
  volume: ListedVolume;
  extraSpecs: Record<string, string>;
  iops: number;
  /** Of what its top builds on. */
  copied: number;
}

/** All that the server has, in their order. */
async function carriedOf(tx: Tx, serverId: string, { lock }: { lock: boolean }): Promise<Carried[]> {
  const { rows } = await sql<{
    volume_id: string;
  }>`select volume_id from volume_attachment where server_id = ${serverId}
    order by volume_id`.execute(tx);
  const carried: Carried[] = [];
  for (const { volume_id } of rows) {
    const volume = await (lock ? lockVolume : findVolume)(tx, 'all', volume_id);
    const types = await sql<{ extra_specs: Record<string, string> }>`select extra_specs from volume_type
      where id = ${volume.volume_type_id}`.execute(tx);
    const iops = await iopsOfType(tx, volume.volume_type_id, volume.size_gib);
    const copied = volume.layer_id === null ? 0 : await copiedBytes(tx, { topId: volume.layer_id, top: 'empty' });
    carried.push({ volume, extraSpecs: types.rows[0]!.extra_specs, iops, copied });
  }
  return carried;
}

const wishOf = ({ volume, extraSpecs, iops, copied }: Carried, hostId: string): PoolWish => ({
  ...{ sizeBytes: volume.layer_bytes, extraSpecs, hostId, hostOf: 'server', iops, encrypted: volume.key_id !== null },
  copiedBytes: copied,
  // In a cluster nothing is copied.
  from: { poolId: volume.pool_id!, kind: 'directory', inUse: true },
});

/**
 * Hosts whose pools take all volumes of the server, as they are now.
 * @param options.lock the volumes stay as they are; else it is a forecast
 * @throws CloudError `invalid` `local_volumes` of the first that does not go along
 */
export async function hostsForVolumes(tx: Tx, serverId: string, options: { lock: boolean }): Promise<string[]> {
  const carried = await carriedOf(tx, serverId, options);
  for (const { volume } of carried) {
    const why = await problemOf(tx, volume);
    if (why !== undefined) throw staysBehind(serverId, volume.id, why);
  }
  const byHost = Map.groupBy(await readPools(tx, null), (pool) => pool.host_id);
  const fits = (hostId: string) => {
    const wishes = carried.map((each) => wishOf(each, hostId));
    return chooseTogether(wishes, byHost.get(hostId)!) !== undefined;
  };
  return [...byHost.keys()].filter(fits);
}

const staysBehind = (id: string, volume: string, why: CarryProblem) =>
  new CloudError('invalid', 'local_volumes', { id, volume, why });

async function problemOf(db: Queryable, volume: ListedVolume): Promise<CarryProblem | undefined> {
  if (volume.desired_task?.kind === 'bring') return 'attaching';
  if (volumeStatus(volume) !== 'in-use' || volume.layer_id === null) return 'busy';
  if (volume.cache_pool_id !== null) return 'cached';
  const { rows } = await sql<{ in_cluster: boolean; replicated: boolean; branched: boolean }>`
    with recursive chain (id) as (
      select ${volume.layer_id}::uuid
      union all select l.parent_id from chain join volume_layer l on l.id = chain.id where l.parent_id is not null)
    select (select kind = 'rbd' from storage_pool where id = ${volume.pool_id}) as in_cluster,
      exists (select from volume_replica r where r.volume_id = ${volume.id}) as replicated,
      exists (select from volume_snapshot s where s.volume_id = ${volume.id} and s.layer_id is not null
        and s.layer_id not in (select id from chain)) as branched`.execute(db);
  const { in_cluster, replicated, branched } = rows[0]!;
  if (replicated) return 'replicated';
  return in_cluster ? 'in_cluster' : branched ? 'branched' : undefined;
}

/**
 * The server's target has layers of its volumes from now on. The caller has placed it there in this transaction.
 * @throws CloudError `invalid` `local_volumes`, `no_capacity` `no_pool`
 */
export async function beginCarry(
  tx: Tx,
  { serverId, migrationId, targetId }: { serverId: string; migrationId: string; targetId: string },
): Promise<void> {
  for (const each of await carriedOf(tx, serverId, { lock: true })) {
    const { id, layer_id: topId, project_id: projectId } = each.volume;
    const wish = wishOf(each, targetId);
    const found = await choosePool(tx, wish);
    if (!found.pool) throw new CloudError('no_capacity', 'no_pool', { why: found.message, fix: found.fix });
    await recordPoolChoice(tx, { projectId, volumeId: id, wish, found });
    const copy = await copyChain(tx, { topId: topId!, volumeId: id, pool: found.pool, top: 'empty' });
    if (!copy) throw staysBehind(serverId, id, 'busy');
    const task: CarryTask = {
      ...{ kind: 'carry', migration_id: migrationId, pool_id: found.pool.id, target_host_id: targetId },
      ...{ layer_id: copy.top, copies: Object.fromEntries(copy.copies) },
    };
    await changeVolume(tx, id, { task, moveOutcome: null });
  }
}

/** The server is at the target: so are its volumes, on what was written there. */
export async function arriveWithServer(
  tx: Tx,
  { serverId, migrationId, targetId }: { serverId: string; migrationId: string; targetId: string },
): Promise<void> {
  const { rows } = await sql<{ id: string; desired_task: CarryTask; faulted: boolean }>`
    select id, desired_task, fault is not null as faulted from volume
    where ${carriedBy(migrationId)} order by id for update`.execute(tx);
  for (const { id, desired_task: task, faulted } of rows) {
    const { layer_id: layerId, pool_id: poolId, target_host_id: hostId, copies } = task;
    await changeVolume(tx, id, { task: null, layerId, poolId, hostId, moveOutcome: 'success' });
    await takeSnapshotsAlong(tx, id, copies);
    await releaseLayers(tx, Object.keys(copies));
    // It may have been of the file that it left.
    if (faulted) await enqueue(tx, 'volume', id);
  }
  await faultLeftBehind(tx, serverId, targetId);
}

/** Each has a carry of this migration. Where one should have none all the same its guest writes to a layer that no row names: it is told, and nothing of it is let go. */
async function faultLeftBehind(tx: Tx, serverId: string, targetId: string): Promise<void> {
  const { rows } = await sql<Pick<ListedVolume, 'id' | 'project_id' | 'generation'>>`
    select v.id, v.project_id, v.generation from volume_attachment a join volume v on v.id = a.volume_id
    where a.server_id = ${serverId} and v.host_id is distinct from ${targetId}::uuid order by v.id for update of v`.execute(
    tx,
  );
  for (const volume of rows) {
    const message = 'Its server is on another host now, and it did not go along: what is written since is there.';
    await changeVolume(tx, volume.id, { fault: faultOf('left_behind', message, volume.generation) });
    await recordLoss(tx, 'volume', volume, { state: 'failed', code: 'internal', message });
  }
}

const carriedBy = (migrationId: string) =>
  sql`desired_task ->> 'kind' = 'carry' and desired_task ->> 'migration_id' = ${migrationId}::text`;

/** The server's migration has ended otherwise: its volumes are looked at. */
export async function wakeCarried(tx: Tx, serverId: string): Promise<void> {
  await sql`select enqueue('volume', v.id::text, now()) from volume_attachment a join volume v on v.id = a.volume_id
    where a.server_id = ${serverId} and v.desired_task ->> 'kind' = 'carry'`.execute(tx);
}

/** Undefined: its server is on its way. */
export async function tendCarry(tx: Tx, { id }: ListedVolume, task: CarryTask): Promise<'task ended' | undefined> {
  const { rows } = await sql`select from server_migration where id = ${task.migration_id}
    and phase in ('preparing', 'copying', 'handing-over', 'cancelling')`.execute(tx);
  if (rows.length > 0) return undefined;
  await changeVolume(tx, id, { task: null, moveOutcome: 'error' });
  await releaseLayers(tx, [task.layer_id]);
  return 'task ended';
}

/**
 * A replica takes the place of its volume, where the volume's host is lost: an empty top comes on what the replica has, the volume is where the replica was, and it
 * holds what it held at `as_of`. What it held on the lost host is written to by nobody any more (its top is frozen under a new epoch) and never merged into
 * anything; it stays for the case that people want it, until the volume has a replica again, which is made from the beginning.
 *
 * That nobody writes there at this moment is for whoever calls to know by evidence (control/compute/server/evacuation-evidence.ts). Everything is in the
 * transaction of the caller.
 */
import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import type { Actor, Tx } from '../../kit/database/database.ts';
import { isOneOf } from '../../kit/database/one-of.ts';
import { endOperations, recordOperation } from '../../kit/operation/operations.ts';
import { volumesLeftHost } from '../attachment/index.ts';
import { freezeLayer, insertLayer, releaseLayers } from '../layer/index.ts';
import { asOfSql, changeReplica, isInSyncSql, noCopy, noRound, replicaFrom } from '../replica/index.ts';
import { changeVolume, type ListedVolume } from '../volume/index.ts';
import { type Look, lookAtReplica } from './look.ts';
import { bestCopy } from './second-copy.ts';

/** Kept with the evidence. */
export interface Promotion {
  volume_id: string;
  /** All that was written until then is there. */
  as_of: string;
  /** So much older than the moment of the promotion. */
  age_seconds: number;
}

/** The one host to which a server can go with the replicas of all its volumes. */
export interface ReplicasOfServer {
  hostId: string;
  volumeIds: string[];
  /** See replicaMomentSql. */
  moment: Date | null;
}

/**
 * Of `server s`: the host that has whole replicas of all its volumes; null where it has no volumes, or not all of them are on one host, or a
 * host says that it has lost one.
 */
export const replicaHostSql = sql<
  string | null
>`(select case when count(distinct p.host_id) = 1 and bool_and(r.layer_id is not null and r.fault ->> 'code' is distinct from 'replica_lost')
    then min(p.host_id::text)::uuid end
  from volume_attachment a join volume v on v.id = a.volume_id left join volume_replica r on r.volume_id = v.id
    left join storage_pool p on p.id = r.pool_id
  where a.server_id = s.id and a.desired_presence = 'present' and a.target_host_id is null)`;

/** Of the oldest of them, in seconds; null: it has none. */
export const replicaAgeSql = sql<number | null>`(select extract(epoch from now() - min(${asOfSql}))::float8
  from volume_attachment a join (${replicaFrom}) on v.id = a.volume_id where a.server_id = s.id and a.desired_presence = 'present' and a.target_host_id is null)`;

/** Second copies that are in sync are of one moment, that of the loss; one that has ended is of its own. */
const momentSql = sql`(case when ${isInSyncSql} then '00000000-0000-0000-0000-000000000000'::uuid
  when r.copy_state in ('ended', 'kept') and r.copy_as_of > r.as_of then null else r.moment end)`;

/** Until when all that was written is in all of them; null: it has none, or they are not of one moment. */
export const replicaMomentSql = sql<Date | null>`(select case when count(*) = 1 or (count(${momentSql}) = count(*) and count(distinct ${momentSql}) = 1) then min(${asOfSql}) end
  from volume_attachment a join (${replicaFrom}) on v.id = a.volume_id where a.server_id = s.id and a.desired_presence = 'present' and a.target_host_id is null)`;

/** By server; of those for which {@link replicaHostSql} knows a host. Locks their volumes. */
export async function replicasOfServers(tx: Tx, serverIds: readonly string[]): Promise<Map<string, ReplicasOfServer>> {
  const attached = sql`from volume_attachment a where ${isOneOf(sql`a.server_id`, serverIds)} and a.desired_presence = 'present' and a.target_host_id is null`;
  const { rows: held } =
    await sql`select from volume v where v.id in (select a.volume_id ${attached}) order by v.id for update`.execute(tx);
  if (held.length === 0) return new Map();
  const { rows } = await sql<{ id: string; host_id: string; volume_ids: string[]; moment: Date | null }>`
    select s.id, s.host_id, ${replicaMomentSql} as moment, (select array_agg(a.volume_id order by a.volume_id) from volume_attachment a
      where a.server_id = s.id and a.desired_presence = 'present' and a.target_host_id is null) as volume_ids
    from (select s.id, ${replicaHostSql} as host_id from server s where ${isOneOf(sql`s.id`, serverIds)}) s
    where s.host_id is not null`.execute(tx);
  return new Map(
    rows.map(({ id, host_id: hostId, volume_ids: volumeIds, moment }) => [id, { hostId, volumeIds, moment }]),
  );
}

/** All volumes of a server that goes to the host of their replicas: nobody has them open there, or has had. */
export async function promoteForServer(
  tx: Tx,
  serverId: string,
  { volumeIds }: ReplicasOfServer,
  actor: Actor,
): Promise<Promotion[]> {
  const promotions: Promotion[] = [];
  for (const id of volumeIds) promotions.push(await promoteReplica(tx, id, actor));
  await volumesLeftHost(tx, serverId);
  return promotions;
}

/** @throws CloudError `conflict` where the volume has no whole replica */
export async function promoteReplica(tx: Tx, volumeId: string, actor: Actor): Promise<Promotion> {
  const look = await lookAtReplica(tx, volumeId);
  const { replica, asOf } = look ?? {};
  if (
    !look ||
    !replica ||
    replica.layer_id === null ||
    replica.pool_id === null ||
    !asOf ||
    look.hosts.replica.id === null ||
    look.lost
  )
    throw new CloudError('conflict', 'volume_replica_missing', { id: volumeId });
  const { volume, now } = look;
  await giveUpTask(tx, volume);
  const former = volume.layer_id!;
  const hostId = look.hosts.replica.id;
  const copyId = await bestCopy(tx, look);
  // What a guest of the lost host may still be writing there comes before its host has ended that, or not at all.
  if (copyId !== null) await freezeLayer(tx, copyId);
  const layerId = await insertLayer(tx, {
    ...{ volumeId, pool: { id: replica.pool_id, host_id: hostId } },
    ...{ sizeBytes: volume.layer_bytes, base: { parentId: copyId ?? replica.layer_id } },
  });
  const generation = await changeVolume(tx, volumeId, { layerId, poolId: replica.pool_id, fault: null });
  await sql`update volume set host_id = ${hostId} where id = ${volumeId}`.execute(tx);
  await sql`update volume_layer set read_only = true, epoch = epoch + 1, generation = generation + 1, updated_at = now()
    where id = ${former}`.execute(tx);
  await changeReplica(tx, volumeId, {
    ...{
      ...noRound,
      ...noCopy,
      copy_as_of: null,
      copy_failures: 0,
      pool_id: null,
      layer_id: null,
      source_layer_id: null,
      as_of: null,
      moment: null,
    },
    ...{ former_layer_id: former, failed_over_at: now, failures: 0, fault: null, next_at: now },
  });
  await releaseLayers(tx, unneededOf(look));
  await recordOperation(tx, actor, {
    ...{ projectId: volume.project_id, resourceType: 'volume', resourceId: volumeId, verb: 'failover', generation },
  });
  // Without its second copy it has what the last round brought.
  const heldAt = copyId === null && replica.copy_layer_id !== null ? (replica.as_of ?? asOf) : asOf;
  const age_seconds = Math.round((now.getTime() - heldAt.getTime()) / 100) / 10;
  return { volume_id: volumeId, as_of: heldAt.toISOString(), age_seconds };
}

const unneededOf = ({ replica }: Look): string[] =>
  [replica.source_layer_id, replica.round_source_layer_id, replica.round_layer_id, replica.copy_layer_id].flatMap(
    (id) => id ?? [],
  );

/** What was being done to it was being done where it is no more; who began a backup or a transfer ends that. */
async function giveUpTask(tx: Tx, { id, desired_task: task, generation }: ListedVolume): Promise<void> {
  if (!task || task.kind === 'backup' || task.kind === 'transfer') return;
  await changeVolume(tx, id, { task: null });
  const message = 'The host of the volume was lost meanwhile.';
  await endOperations(tx, id, generation, { state: 'failed', code: 'unavailable', message });
}

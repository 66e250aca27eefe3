/**
 * The second copy of a volume whose type asks for a synchronous one (docs/decisions/0019-second-copy.md): a layer on what the replica has, into which the guest's QEMU writes all that it writes,
 * and answers its guest when both are done:
 *
 *   none ──► preparing ──► copying ──► in_sync ──► ended ──► kept ──► none
 *             its host       the guest's host                  frozen, until a round has more
 *             takes writes   says: whole
 *
 * `in_sync` says that the copy has all that the guest was told is written, and it is what a promotion goes by. So it ends here before anybody may write to the volume alone: by the host's
 * question (`lost`), or in the transaction that changes the volume or who has it (migration 1095). A copy that has ended is never taken up again; the next one is another layer, begun after a round.
 */
import { randomBytes } from 'node:crypto';
import { sql } from 'kysely';
import type { Tx } from '../../kit/database/database.ts';
import { tellServers } from '../attachment/index.ts';
import {
  findLayer,
  freezeLayer,
  hasFailed,
  insertLayer,
  isServed,
  type LayerRow,
  releaseLayers,
} from '../layer/index.ts';
import {
  changeReplica,
  hasGapSql,
  isInSyncSql,
  noCopy,
  type ReplicaFault,
  type VolumeReplicaRow,
} from '../replica/index.ts';
import { recordLoss } from '../volume/index.ts';
import { isFinal } from './hindrance.ts';
import { isGone, type Look } from './look.ts';

export type CopyStep = 'copy begun' | 'copy connected' | 'in sync' | 'copy ended';

/** How long it may take from one state to the next: its layer is empty, and what was written since a round is little. */
const stalledMs = { preparing: 120_000, copying: 900_000 };
const retryMs = { first: 5_000, longest: 600_000, look: 30_000 };

/** Not one that is only kept. */
export const takesWrites = ({ copy_state: state }: VolumeReplicaRow): boolean => state !== null && state !== 'kept';

export const outOfSync = ({ fault }: VolumeReplicaRow): ReplicaFault | null =>
  fault?.code === 'out_of_sync' ? fault : null;

/** Whose it is, it goes on: answers when to look again, null: when somebody says something. */
export async function tendCopy(tx: Tx, look: Look): Promise<CopyStep | { again: Date | null }> {
  const { replica, volume, hosts, now } = look;
  const { copy_state: state, copy_layer_id: copyId, copy_place: place } = replica;
  if (state === 'ended' || !replica.synchronous) return endCopy(tx, look, null);
  if (look.lost) return endCopy(tx, look, { message: 'the host of the replica has lost what it is on' });
  const layer = await findLayer(tx, copyId!);
  const broken = brokenBy(layer);
  if (broken !== undefined) return endCopy(tx, look, { message: broken });
  const said = await saidOf(tx, volume.id, copyId!);
  if (said?.state === 'lost')
    return endCopy(tx, look, said.error && { ...said.error, whole: said.error.code === 'copy_stalled' && !said.gap });
  const receiver = layer!.observed_receiver;
  if (state === 'preparing') {
    if (receiver && isServed(layer!)) {
      await change(tx, look, { copy_state: 'copying', copy_place: receiver });
      return 'copy connected';
    }
  } else if (hosts.replica.connected && (receiver?.port !== place!.port || receiver.address !== place!.address)) {
    return endCopy(tx, look, { message: 'its host takes no writes to it any more', whole: true });
  }
  if (state === 'copying' && said?.state === 'ready') {
    await change(tx, look, { copy_state: 'in_sync', copy_failures: 0, fault: null });
    return 'in sync';
  }
  if (state === 'in_sync') return { again: null };
  // It is begun for a guest that runs.
  if (!(await guestOf(tx, look)).running) return endCopy(tx, look, null);
  const since = replica.copy_since!.getTime();
  if (now.getTime() - since > stalledMs[state as 'preparing' | 'copying'])
    return endCopy(tx, look, {
      message: `it was not whole after ${stalledMs[state as 'preparing' | 'copying'] / 1000} s`,
    });
  return { again: new Date(now.getTime() + retryMs.look) };
}

/** Why there is no such layer to write to; undefined: there is. */
function brokenBy(layer: LayerRow | undefined): string | undefined {
  const broken = !layer || layer.desired_presence === 'absent' || hasFailed(layer) || isGone(layer);
  return broken ? (layer?.observed_error?.message ?? 'its host has it no more') : undefined;
}

async function change(tx: Tx, { volume, now }: Look, changes: Parameters<typeof changeReplica>[2]): Promise<void> {
  await changeReplica(tx, volume.id, { ...changes, copy_since: now, next_at: now });
  await tellServers(tx, [volume.id]);
}

interface Said {
  state: 'copying' | 'ready' | 'lost';
  error: { code: string; message: string } | null;
  /** See hasGapSql. */
  gap: boolean;
}

/** What the volume's host says of this copy. */
async function saidOf(tx: Tx, volumeId: string, copyId: string): Promise<Said | null> {
  const { rows } =
    await sql<Said>`select a.observed_copy ->> 'state' as state, nullif(a.observed_copy -> 'error', 'null') as error, coalesce(${hasGapSql}, false) as gap
    from volume_attachment a where a.volume_id = ${volumeId} and a.observed_copy_id = ${copyId} and a.observed_copy is not null`.execute(
      tx,
    );
  return rows[0] ?? null;
}

/**
 * From now on the guest may write to the volume alone. What the copy has by now it keeps, if that is newer than what rounds have brought.
 * @param why what went wrong; null: nothing, it is its time. `whole`: nothing that was written later is in it without what was written before
 */
async function endCopy(tx: Tx, look: Look, why: { message: string; whole?: boolean } | null): Promise<CopyStep> {
  const { volume, replica, now } = look;
  const copyId = replica.copy_layer_id!;
  const layer = await findLayer(tx, copyId);
  const asOf = replica.copy_state === 'in_sync' ? look.asOf : replica.copy_as_of;
  const keeps = (why === null || why.whole === true) && asOf !== null && !look.lost && brokenBy(layer) === undefined;
  const fault: ReplicaFault | null = why === null ? replica.fault : faultOf(why.message);
  await changeReplica(tx, volume.id, {
    ...(keeps ? { copy_state: 'kept', copy_of_layer_id: null, copy_place: null, copy_since: now } : noCopy),
    ...{ copy_as_of: keeps ? asOf : null, copy_ended_at: now, next_at: now, fault },
    copy_failures: why === null ? 0 : replica.copy_failures + 1,
  });
  if (keeps) await freezeLayer(tx, copyId);
  else await releaseLayers(tx, [copyId]);
  await tellServers(tx, [volume.id]);
  if (fault && why !== null) {
    const { id, project_id, generation } = volume;
    const message = `${fault.message} What is written to the volume is in one place until it has another one.`;
    await recordLoss(tx, 'volume', { id, project_id, generation }, { state: 'failed', code: 'unavailable', message });
  }
  return 'copy ended';
}

const faultOf = (why: string): ReplicaFault => ({
  code: 'out_of_sync',
  message: `The second copy of the volume was given up: ${why}.`,
});

/**
 * What a synchronous replica at rest is waiting for. `round`: one is due now, whatever its age may be; `begin`: a copy can be begun; `later`: not before then; undefined: nothing,
 * its guest does not run and all is there.
 */
export async function copyDue(tx: Tx, look: Look): Promise<'round' | 'begin' | { later: Date } | undefined> {
  const { replica, volume, hosts, idle, now } = look;
  if (!replica.synchronous) return undefined;
  const guest = await guestOf(tx, look);
  if (!guest.running) return idle ? undefined : 'round';
  if (!guest.able && replica.fault?.code !== 'out_of_sync') {
    await changeReplica(tx, volume.id, { fault: unable });
    // Whoever goes on with this look keeps it.
    replica.fault = unable;
  }
  const notBefore = (replica.copy_ended_at?.getTime() ?? 0) + backOffMs(replica.copy_failures);
  if (notBefore > now.getTime()) return { later: new Date(notBefore) };
  if (!guest.ready || !hosts.volume.connected || !hosts.replica.connected || volume.desired_task || volume.fault)
    return { later: new Date(now.getTime() + retryMs.first) };
  const { layer_id: layerId, source_layer_id: sourceId, as_of, copy_ended_at: endedAt } = replica;
  const top = await findLayer(tx, volume.layer_id!);
  const fresh = endedAt === null || idle || (as_of !== null && as_of > endedAt);
  return layerId !== null && sourceId !== null && top?.parent_id === sourceId && fresh ? 'begin' : 'round';
}

const unable: ReplicaFault = {
  code: 'out_of_sync',
  message: 'One of both hosts is of a release that knows of no second copies.',
};

const backOffMs = (failures: number): number =>
  failures === 0 ? 0 : Math.min(retryMs.longest, retryMs.first * 2 ** (failures - 1));

/** A guest that writes to it: running, it has its present top open; ready: and nothing else is done to it, by hosts that know of second copies. */
async function guestOf(
  tx: Tx,
  { volume, replica }: Look,
): Promise<{ running: boolean; ready: boolean; able: boolean }> {
  const { rows } = await sql<{
    ready: boolean;
    able: boolean;
  }>`select a.observed_layer_id = v.layer_id and a.observed_state = 'attached' and s.host_id = v.host_id
      and s.desired_move is null and s.desired_power in ('on', 'paused') and s.desired_reboot_count = s.observed_reboot_count and s.observed_generation >= a.server_generation and a.target_host_id is null
      as ready, (select bool_and(h.facts ? 'secondCopies') from host h where h.id in (v.host_id, p.host_id)) as able
    from volume_attachment a join volume v on v.id = a.volume_id join server s on s.id = a.server_id
      left join storage_pool p on p.id = ${replica.pool_id}
    where a.volume_id = ${volume.id} and a.desired_presence = 'present' and a.mode = 'rw' and not v.read_only and a.observed_state is not null`.execute(
    tx,
  );
  const [row] = rows;
  const ready = row?.ready === true && row.able && (await isFinal(tx, volume.id));
  return { running: row !== undefined, ready, able: row?.able !== false };
}

export async function beginCopy(tx: Tx, look: Look): Promise<CopyStep> {
  const { volume, replica, hosts, now } = look;
  if (replica.copy_layer_id !== null) await changeReplica(tx, volume.id, { ...noCopy, copy_as_of: null });
  const copyId = await insertLayer(tx, {
    ...{ volumeId: volume.id, pool: { id: replica.pool_id!, host_id: hosts.replica.id! } },
    ...{ sizeBytes: volume.layer_bytes, base: { parentId: replica.layer_id! } },
  });
  await sql`insert into volume_replica_key (volume_id, key) values (${volume.id}, ${randomBytes(32).toString('hex')})
    on conflict (volume_id) do update set key = excluded.key`.execute(tx);
  await changeReplica(tx, volume.id, {
    ...{ copy_state: 'preparing', copy_layer_id: copyId, copy_of_layer_id: volume.layer_id, copy_since: now },
    next_at: new Date(now.getTime() + retryMs.look),
  });
  if (replica.copy_layer_id !== null) await releaseLayers(tx, [replica.copy_layer_id]);
  return 'copy begun';
}

/** That copy of the volume from which it would go on; null: from what the last round brought. */
export async function bestCopy(tx: Tx, { replica }: Look): Promise<string | null> {
  const { copy_layer_id: copyId, copy_state: state, copy_as_of: copyAsOf, as_of: asOf } = replica;
  if (copyId === null || brokenBy(await findLayer(tx, copyId)) !== undefined) return null;
  if (state === 'in_sync') return (await isStillInSync(tx, replica)) ? copyId : null;
  const newer = copyAsOf !== null && (asOf === null || copyAsOf > asOf);
  return (state === 'ended' || state === 'kept') && newer ? copyId : null;
}

async function isStillInSync(tx: Tx, { volume_id: id }: VolumeReplicaRow): Promise<boolean> {
  const { rows } =
    await sql`select from volume_replica r join volume v on v.id = r.volume_id join volume_layer l on l.id = v.layer_id
    where r.volume_id = ${id} and ${isInSyncSql}`.execute(tx);
  return rows.length > 0;
}

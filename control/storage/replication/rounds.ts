/**
 * A volume's replica is kept up to date by rounds. A round freezes the volume's top, as a snapshot does; when its guest writes to it no more, the host of the
 * replica copies each frozen layer that it does not have yet onto its own chain; when it has all of them the replica is equal to what was frozen:
 *
 *   at rest ──► frozen ──► copying ──► at rest       as_of: when it was frozen
 *                 └───────────┴──► thrown away       the replica is what it was; the next round copies all of the chain, or what differs where this one only came no further
 *
 * What was frozen and its copy stay (../layer/release.ts) until the next round is complete; then they are spare, and both chains become shorter by
 * themselves (../layer/shorten.ts). Where the chain of the volume does not contain what the replica is equal to (it was reverted, restored, moved), all of it is copied,
 * and what the replica had stays until that is there, also where its host says that it is lost: it may find it again. A volume to which nothing is written has no rounds.
 *
 * The replicas of one server's volumes are frozen in one moment and completed in one transaction (companions.ts). One that lies on another host than theirs goes there, whole, by a round
 * of its own, and what it has stays until that is there.
 *
 * One step in one transaction, the volume's row locked; whoever calls calls again. If the process dies the rows say how far it was.
 */
import { newId } from '../../../contract/ids.ts';
import type { Tx } from '../../kit/database/database.ts';
import { filesOf, hasFailed, insertLayer, isServed, type LayerRow, releaseLayers } from '../layer/index.ts';
import type { PoolState } from '../pool/index.ts';
import { changeReplica, noCopy, noRound, type ReplicaChange, type ReplicaFault } from '../replica/index.ts';
import { freezeTop } from '../volume/index.ts';
import { canDiffer, hostOfCompanions, lockCompanions, roundOf, thoseThatJoin } from './companions.ts';
import { hindranceOf, isFinal, isTheirTurn, retryMs } from './hindrance.ts';
import { isGone, type Look, lookAtReplica } from './look.ts';
import { giveItAPool, poolFor } from './pool.ts';
import { beginCopy, type CopyStep, copyDue, outOfSync, takesWrites, tendCopy } from './second-copy.ts';

/** The steps after which a test may kill the controller. */
export type ReplicaStep =
  | CopyStep
  | 'placed'
  | 'frozen'
  | 'copying'
  | 'complete'
  | 'thrown away'
  | 'begun anew'
  | 'rested';

/** One that comes no further for so long is thrown away: others wait for its turn. */
const stalledMs = 900_000;

/** Undefined: there is nothing to do but wait. */
export async function tendReplica(tx: Tx, volumeId: string): Promise<ReplicaStep | undefined> {
  const locked = await lockCompanions(tx, volumeId);
  const look = await lookAtReplica(tx, volumeId);
  if (!look) return undefined;
  const { volume, replica } = look;
  if (volume.desired_presence === 'absent' || volume.launched_at === null || volume.host_id === null)
    return rest(tx, look, null);
  if (takesWrites(replica)) {
    const step = await tendCopy(tx, look);
    return typeof step === 'string' ? step : rest(tx, look, step.again, replica.fault);
  }
  const nothingThere = replica.layer_id === null && replica.round_began_at === null && !look.hosts.replica.connected;
  if (replica.pool_id === null || nothingThere) return giveItAPool(tx, look);
  // The volume has moved to the host of its replica.
  if (look.hosts.replica.id === volume.host_id) return beginAnew(tx, look);
  if (look.lost) {
    // What is left of it may be all that there is of the volume.
    if (!look.hosts.volume.connected && !replica.round_full) return rest(tx, look, later(look, retryMs.host));
    if (replica.source_layer_id !== null || replica.fault?.code !== 'replica_lost') return copyAll(tx, look);
  }
  if (replica.round_began_at === null) return whenAtRest(tx, look, locked);
  const round = await roundOf(tx, look, locked);
  // Another one has just begun it.
  if (!round) return rest(tx, look, later(look, retryMs.turn), replica.fault);
  return replica.round_layer_id === null ? whenFrozen(tx, look, round) : whenCopied(tx, look, round);
}

const replicaLost: ReplicaFault = { code: 'replica_lost', message: 'The host of the replica has lost it.' };

/** Of a replica that is lost that is said until there is a whole one (../replica/age.ts); one that was found again is lost no more. */
const faultOf = ({ lost, replica }: Look, fault: ReplicaFault | null): ReplicaFault | null =>
  lost ? replicaLost : fault?.code === 'replica_lost' ? null : (fault ?? outOfSync(replica));

/** Something is to be done then, if nothing comes before; null: when something is written. */
async function rest(tx: Tx, look: Look, at: Date | null, wanted: ReplicaFault | null = null): Promise<undefined> {
  const { replica } = look;
  const fault = faultOf(look, wanted);
  const same = replica.next_at?.getTime() === at?.getTime() && replica.fault?.code === fault?.code;
  if (!same) await changeReplica(tx, replica.volume_id, { next_at: at, fault });
}

const later = ({ now }: Look, ms: number): Date => new Date(now.getTime() + ms);

async function whenAtRest(tx: Tx, look: Look, locked: ReadonlySet<string>): Promise<ReplicaStep | undefined> {
  const { replica, idle, asOf, now } = look;
  const to = await poolToGoTo(tx, look, locked);
  const rested = replica.failures > 0 ? replica.fault : null;
  const copy = to ? undefined : await copyDue(tx, look);
  if (copy === 'begin') return beginCopy(tx, look);
  if (copy === undefined && idle && outOfSync(replica)) await changeReplica(tx, replica.volume_id, { fault: null });
  const waits = typeof copy === 'object' ? copy.later : null;
  // What would go, and nobody takes now, is tried again.
  if (idle && !to && copy !== 'round')
    return rest(tx, look, to === null ? later(look, retryMs.longest) : waits, rested);
  // A whole round fits into what is left then.
  const dueMs =
    asOf === null || to || copy === 'round' ? now.getTime() : asOf.getTime() + (replica.rpo_seconds * 1000) / 2;
  // After a failure it is as was said then.
  const at = new Date(Math.max(dueMs, replica.failures > 0 ? (replica.next_at?.getTime() ?? 0) : 0));
  if (at.getTime() > now.getTime()) return rest(tx, look, waits && waits < at ? waits : at, rested);
  const hindrance = await hindranceOf(tx, look);
  if (hindrance) return rest(tx, look, later(look, hindrance.ms), hindrance.fault);
  // It waits for its turn, which is nobody's fault until it is late.
  if (!(await isTheirTurn(tx, look, { whole: Boolean(to) || !(await canDiffer(tx, look)) })))
    return rest(tx, look, later(look, retryMs.turn));
  if (to) await freeze(tx, look, { round_pool_id: to.id });
  else await freezeTogether(tx, [look, ...(await thoseThatJoin(tx, look, locked))]);
  return 'frozen';
}

/** In one moment, if they are several. */
async function freezeTogether(tx: Tx, looks: readonly Look[]): Promise<void> {
  const moment = looks.length > 1 ? newId() : null;
  for (const look of looks.toSorted((a, b) => (a.volume.id < b.volume.id ? -1 : 1)))
    await freeze(tx, look, { round_moment: moment });
}

async function freeze(tx: Tx, look: Look, round: Pick<ReplicaChange, 'round_pool_id' | 'round_moment'>): Promise<void> {
  const { volume, replica, asOf, now } = look;
  const { frozen } = await freezeTop(tx, volume, round.round_moment ? { moment: round.round_moment } : {});
  await changeReplica(tx, volume.id, {
    ...{ ...round, round_source_layer_id: frozen, round_began_at: now },
    // Not what a copy has that has ended: that is no part of the replica.
    ...{ as_of: (replica.copy_layer_id === null ? asOf : null) ?? replica.as_of, size_bytes: volume.layer_bytes },
    ...{ round_moved_at: now, round_copied_bytes: 0, next_at: later(look, retryMs.turn) },
  });
}

/** One on the host where the others of its server have theirs, which takes it; null: none there does; undefined: it need not go. */
async function poolToGoTo(tx: Tx, look: Look, locked: ReadonlySet<string>): Promise<PoolState | null | undefined> {
  if (locked.size < 2 || look.replica.failures > 0) return undefined;
  const hostId = await hostOfCompanions(tx, look, 'earlier');
  if (hostId === undefined || hostId === look.hosts.replica.id || hostId === look.volume.host_id) return undefined;
  return (await poolFor(tx, look, hostId)).pool;
}

const noFurther = `it came no further for ${stalledMs / 60_000} minutes`;

/** Notes how far the round has come. True: it has come no further for too long. */
async function standsStill(tx: Tx, { replica, now }: Look, copiedBytes: number): Promise<boolean> {
  // A control of before may have begun it, and noted nothing.
  const began = replica.round_began_at!.getTime();
  const moved = replica.round_moved_at?.getTime();
  if (moved !== undefined && copiedBytes <= replica.round_copied_bytes)
    return now.getTime() - Math.max(moved, began) > stalledMs;
  await changeReplica(tx, replica.volume_id, { round_moved_at: now, round_copied_bytes: copiedBytes });
  return false;
}

/** The guest writes to the new top: what was frozen is final. */
async function whenFrozen(tx: Tx, look: Look, round: readonly Look[]): Promise<ReplicaStep | undefined> {
  const { volume, replica, hosts, now } = look;
  if (isCutOff(look)) return throwAway(tx, look, round, { why: cutOff, next: 'what differs' });
  if (!(await isFinal(tx, volume.id))) {
    if (await standsStill(tx, look, 0)) return throwAway(tx, look, round, { why: noFurther, next: 'what differs' });
    return rest(tx, look, later(look, retryMs.turn), replica.fault);
  }
  const files = await filesOf(tx, replica.round_source_layer_id!);
  const known = files.findIndex(({ id }) => id === replica.source_layer_id);
  const full = known < 0 || replica.layer_id === null || replica.round_pool_id !== null;
  const missing = (full ? files : files.slice(0, known)).reverse();
  let parentId = full ? null : replica.layer_id;
  for (const layer of missing) {
    const { image_id: imageId, image } = layer;
    const onImage = parentId === null && imageId !== null && image !== null ? { imageId, image } : null;
    parentId = await insertLayer(tx, {
      ...{ volumeId: volume.id, pool: { id: replica.round_pool_id ?? replica.pool_id!, host_id: hosts.round.id! } },
      ...{ sizeBytes: layer.size_bytes, keyId: layer.key_id, base: parentId === null ? onImage : { parentId } },
      ...{ source: { copy_of: layer.id }, frozen: true },
    });
  }
  await changeReplica(tx, volume.id, {
    round_layer_id: parentId,
    round_full: full,
    round_moved_at: now,
    next_at: null,
  });
  return 'copying';
}

async function whenCopied(tx: Tx, look: Look, round: readonly Look[]): Promise<ReplicaStep | undefined> {
  const { replica } = look;
  if (isCutOff(look)) return throwAway(tx, look, round, { why: cutOff, next: 'what differs' });
  const { copies, copiedBytes, isThere } = await copiesOf(tx, look);
  if (copies.length === 0) return throwAway(tx, look, round, { why: 'there is no copy any more' });
  const failed = copies.find((copy) => hasFailed(copy) || isGone(copy));
  if (failed)
    return throwAway(tx, look, round, { why: failed.observed_error?.message ?? 'its host has a copy no more' });
  const source = await brokenSource(tx, replica.round_source_layer_id!, copies);
  if (source !== undefined) return throwAway(tx, look, round, { why: source });
  if (!isThere) {
    if (await standsStill(tx, look, copiedBytes))
      return throwAway(tx, look, round, { why: noFurther, next: 'what differs' });
    return rest(tx, look, later(look, retryMs.outside), replica.fault);
  }
  // Replicas of one moment replace those of another one together: a server is never restarted from some of each.
  for (const other of round)
    if (other !== look && !(other.replica.round_layer_id && (await copiesOf(tx, other)).isThere))
      return rest(tx, look, later(look, retryMs.outside), replica.fault);
  for (const each of round) await complete(tx, each);
  return 'complete';
}

/** Its host is away, and that of what the replica has may not be. */
const isCutOff = ({ replica, hosts }: Look): boolean => replica.round_pool_id !== null && !hosts.round.connected;
const cutOff = 'the host to which it goes is away';

/** What the round copies; none: it is there no more. */
async function copiesOf(
  tx: Tx,
  { replica }: Look,
): Promise<{ copies: LayerRow[]; copiedBytes: number; isThere: boolean }> {
  const files = await filesOf(tx, replica.round_layer_id!);
  const known = files.findIndex(({ id }) => id === replica.layer_id);
  const copies = known < 0 ? files : files.slice(0, known);
  const copiedBytes = copies.reduce((sum, { observed_allocated_bytes: bytes }) => sum + bytes, 0);
  return { copies, copiedBytes, isThere: files[0] !== undefined && isServed(files[0]) };
}

async function complete(tx: Tx, look: Look): Promise<void> {
  const { volume, replica, now } = look;
  const { copiedBytes } = await copiesOf(tx, look);
  await changeReplica(tx, volume.id, {
    ...{ ...noRound, source_layer_id: replica.round_source_layer_id, layer_id: replica.round_layer_id },
    ...{ as_of: replica.round_began_at, moment: replica.round_moment },
    pool_id: replica.round_pool_id ?? replica.pool_id,
    ...{ former_layer_id: null, rounds: replica.rounds + 1, failures: 0, fault: outOfSync(replica), next_at: now },
    ...{ ...noCopy, copy_as_of: null },
    last_round_bytes: copiedBytes,
    last_round_seconds: (now.getTime() - replica.round_began_at!.getTime()) / 1000,
  });
  await release(tx, [replica.source_layer_id, replica.layer_id, replica.former_layer_id, replica.copy_layer_id]);
}

/** Why what is still to be copied can not be: the volume's host has lost it, or given it up. */
async function brokenSource(tx: Tx, sourceId: string, copies: readonly LayerRow[]): Promise<string | undefined> {
  const awaited = new Set(
    copies.flatMap(({ desired_source: source }) => (source && 'copy_of' in source ? source.copy_of : [])),
  );
  if (awaited.size === 0) return undefined;
  const sources = (await filesOf(tx, sourceId)).filter(({ id }) => awaited.has(id));
  const broken = sources.find((source) => hasFailed(source) || isGone(source));
  return broken && (broken.observed_error?.message ?? 'the host of the volume has a layer no more');
}

/**
 * The replica is what it was before the round, and so are those that were frozen with it. What a host could not copy once is copied from the beginning the
 * next time; that another one could not, to which the replica was to go, says nothing of what is here.
 */
async function throwAway(
  tx: Tx,
  look: Look,
  round: readonly Look[],
  {
    why,
    next = look.replica.round_pool_id === null ? 'all' : 'what differs',
  }: { why: string; next?: 'all' | 'what differs' },
): Promise<ReplicaStep> {
  await throwAwayOne(tx, look, { why, next });
  for (const other of round)
    if (other !== look)
      await throwAwayOne(tx, other, { why: `that of volume ${look.volume.id}, which was frozen with it: ${why}` });
  return 'thrown away';
}

async function throwAwayOne(
  tx: Tx,
  look: Look,
  { why, next = 'what differs' }: { why: string; next?: 'all' | 'what differs' },
): Promise<void> {
  const { volume, replica } = look;
  const source = next === 'all' ? null : replica.source_layer_id;
  const failures = replica.failures + 1;
  await changeReplica(tx, volume.id, {
    ...{ ...noRound, source_layer_id: source, failures },
    next_at: later(look, Math.min(retryMs.longest, retryMs.first * 2 ** (failures - 1))),
    fault: faultOf(look, { code: 'round_failed', message: `The last round came to nothing: ${why}.` }),
  });
  await release(tx, [
    replica.round_source_layer_id,
    replica.round_layer_id,
    source === null ? replica.source_layer_id : null,
  ]);
}

/** What the replica held is of no use: all of the volume is copied, elsewhere. */
async function beginAnew(tx: Tx, look: Look): Promise<ReplicaStep> {
  const { volume, replica } = look;
  await changeReplica(tx, volume.id, {
    ...{ ...noRound, ...noCopy, source_layer_id: null, layer_id: null, as_of: null, moment: null, pool_id: null },
    ...{ copy_as_of: null, fault: null, next_at: look.now },
  });
  const { round_source_layer_id, round_layer_id, source_layer_id, layer_id, copy_layer_id } = replica;
  await release(tx, [round_source_layer_id, round_layer_id, source_layer_id, layer_id, copy_layer_id]);
  return 'begun anew';
}

/** What the replica held is lost: all of the volume is copied, and what is left of the replica stays until that is there. */
async function copyAll(tx: Tx, look: Look): Promise<ReplicaStep> {
  const { volume, replica } = look;
  await changeReplica(tx, volume.id, {
    ...{ ...noRound, source_layer_id: null, next_at: look.now, fault: replicaLost },
  });
  await release(tx, [replica.round_source_layer_id, replica.round_layer_id, replica.source_layer_id]);
  return 'begun anew';
}

async function release(tx: Tx, ids: readonly (string | null)[]): Promise<void> {
  await releaseLayers(
    tx,
    ids.flatMap((id) => id ?? []),
  );
}

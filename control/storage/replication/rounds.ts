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
 * One step in one transaction, the volume's row locked; whoever calls calls again. If the process dies the rows say how far it was.
 */
import { sql } from 'kysely';
import type { Tx } from '../../kit/database/database.ts';
import { topIsInForceSql } from '../attachment/index.ts';
import { filesOf, hasFailed, insertLayer, isServed, type LayerRow, releaseLayers } from '../layer/index.ts';
import { changeReplica, type ReplicaFault } from '../replica/index.ts';
import { freezeTop } from '../volume/index.ts';
import { isGone, type Look, lookAtReplica } from './look.ts';
import { giveItAPool } from './pool.ts';

/** The steps after which a test may kill the controller. */
export type ReplicaStep = 'placed' | 'frozen' | 'copying' | 'complete' | 'thrown away' | 'begun anew' | 'rested';

/** Of one host, as that of a volume or as that of its replica: what its disks and its network are for is guests. */
const roundsAtOnce = 2;
/** One that comes no further for so long is thrown away: others wait for its turn. */
const stalledMs = 900_000;
const retryMs = { host: 5_000, turn: 1_000, hold: 5_000, outside: 30_000, first: 15_000, longest: 600_000 };

/** Undefined: there is nothing to do but wait. */
export async function tendReplica(tx: Tx, volumeId: string): Promise<ReplicaStep | undefined> {
  const look = await lookAtReplica(tx, volumeId);
  if (!look) return undefined;
  const { volume, replica } = look;
  if (volume.desired_presence === 'absent' || volume.launched_at === null || volume.host_id === null)
    return rest(tx, look, null);
  const nothingThere = replica.layer_id === null && replica.round_began_at === null && !look.hosts.replica.connected;
  if (replica.pool_id === null || nothingThere) return giveItAPool(tx, look);
  // The volume has moved to the host of its replica.
  if (look.hosts.replica.id === volume.host_id) return beginAnew(tx, look);
  if (look.lost) {
    // What is left of it may be all that there is of the volume.
    if (!look.hosts.volume.connected && !replica.round_full) return rest(tx, look, later(look, retryMs.host));
    if (replica.source_layer_id !== null || replica.fault?.code !== 'replica_lost') return copyAll(tx, look);
  }
  if (replica.round_began_at !== null)
    return replica.round_layer_id === null ? whenFrozen(tx, look) : whenCopied(tx, look);
  return whenAtRest(tx, look);
}

const replicaLost: ReplicaFault = { code: 'replica_lost', message: 'The host of the replica has lost it.' };

/** Of a replica that is lost that is said until there is a whole one (../replica/age.ts); one that was found again is lost no more. */
const faultOf = ({ lost }: Look, fault: ReplicaFault | null): ReplicaFault | null =>
  lost ? replicaLost : fault?.code === 'replica_lost' ? null : fault;

/** Something is to be done then, if nothing comes before; null: when something is written. */
async function rest(tx: Tx, look: Look, at: Date | null, wanted: ReplicaFault | null = null): Promise<undefined> {
  const { replica } = look;
  const fault = faultOf(look, wanted);
  const same = replica.next_at?.getTime() === at?.getTime() && replica.fault?.code === fault?.code;
  if (!same) await changeReplica(tx, replica.volume_id, { next_at: at, fault });
}

const later = ({ now }: Look, ms: number): Date => new Date(now.getTime() + ms);

async function whenAtRest(tx: Tx, look: Look): Promise<ReplicaStep | undefined> {
  const { volume, replica, idle, asOf, now } = look;
  if (idle) return rest(tx, look, null, replica.failures > 0 ? replica.fault : null);
  // A whole round fits into what is left then.
  const dueMs = asOf === null ? now.getTime() : asOf.getTime() + (replica.rpo_seconds * 1000) / 2;
  // After a failure it is as was said then.
  const at = new Date(Math.max(dueMs, replica.failures > 0 ? (replica.next_at?.getTime() ?? 0) : 0));
  if (at.getTime() > now.getTime()) return rest(tx, look, at, replica.failures > 0 ? replica.fault : null);
  const hindrance = await hindranceOf(tx, look);
  if (hindrance) return rest(tx, look, later(look, hindrance.ms), hindrance.fault);
  const { frozen } = await freezeTop(tx, volume);
  await changeReplica(tx, volume.id, {
    ...{
      round_source_layer_id: frozen,
      round_began_at: now,
      as_of: asOf ?? replica.as_of,
      size_bytes: volume.layer_bytes,
    },
    ...{ round_moved_at: now, round_copied_bytes: 0, next_at: later(look, retryMs.turn) },
  });
  return 'frozen';
}

async function hindranceOf(tx: Tx, look: Look): Promise<{ ms: number; fault: ReplicaFault | null } | undefined> {
  const { volume, hosts } = look;
  const away = (of: string) => ({ code: 'host_away' as const, message: `The host of the ${of} is away.` });
  if (!hosts.volume.connected) return { ms: retryMs.host, fault: away('volume') };
  if (!hosts.replica.connected) return { ms: retryMs.host, fault: away('replica') };
  if (volume.attachment && volume.attachment.server_id === null) {
    const message = 'A machine outside has the volume: it would be cut off for each round.';
    return { ms: retryMs.outside, fault: { code: 'connected', message } };
  }
  if (volume.desired_task || volume.fault) {
    return { ms: retryMs.hold, fault: { code: 'busy', message: 'Something else is done to the volume.' } };
  }
  if (!(await isFinal(tx, volume.id))) {
    return { ms: retryMs.hold, fault: { code: 'busy', message: 'A guest still writes to what was frozen before.' } };
  }
  // It waits for its turn, which is nobody's fault until it is late.
  return (await isTheirTurn(tx, look)) ? undefined : { ms: retryMs.turn, fault: null };
}

/** A round of which a host is away takes nothing of the other one. */
async function isTheirTurn(tx: Tx, { volume, hosts }: Look): Promise<boolean> {
  const { rows } = await sql<{ most: number }>`select greatest(
      count(*) filter (where v.host_id = ${volume.host_id}), count(*) filter (where p.host_id = ${hosts.replica.id}))::integer as most
    from volume_replica r join volume v on v.id = r.volume_id join storage_pool p on p.id = r.pool_id
      join host h on h.id = v.host_id join host b on b.id = p.host_id
    where r.round_began_at is not null and h.connected and b.connected`.execute(tx);
  return rows[0]!.most < roundsAtOnce;
}

/** Nobody writes to what was frozen last. */
async function isFinal(tx: Tx, volumeId: string): Promise<boolean> {
  const { rows } = await sql`select from volume v where v.id = ${volumeId} and ${topIsInForceSql}`.execute(tx);
  return rows.length > 0;
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
async function whenFrozen(tx: Tx, look: Look): Promise<ReplicaStep | undefined> {
  const { volume, replica, hosts, now } = look;
  if (!(await isFinal(tx, volume.id))) {
    if (await standsStill(tx, look, 0)) return throwAway(tx, look, noFurther, 'what differs');
    return rest(tx, look, later(look, retryMs.turn), replica.fault);
  }
  const files = await filesOf(tx, replica.round_source_layer_id!);
  const known = files.findIndex(({ id }) => id === replica.source_layer_id);
  const full = known < 0 || replica.layer_id === null;
  const missing = (full ? files : files.slice(0, known)).reverse();
  let parentId = full ? null : replica.layer_id;
  for (const layer of missing) {
    const { image_id: imageId, image } = layer;
    const onImage = parentId === null && imageId !== null && image !== null ? { imageId, image } : null;
    parentId = await insertLayer(tx, {
      ...{ volumeId: volume.id, pool: { id: replica.pool_id!, host_id: hosts.replica.id! } },
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

async function whenCopied(tx: Tx, look: Look): Promise<ReplicaStep | undefined> {
  const { volume, replica, now } = look;
  const files = await filesOf(tx, replica.round_layer_id!);
  if (files.length === 0) return throwAway(tx, look, 'there is no copy any more');
  const known = files.findIndex(({ id }) => id === replica.layer_id);
  const copies = known < 0 ? files : files.slice(0, known);
  const failed = copies.find((copy) => hasFailed(copy) || isGone(copy));
  if (failed) return throwAway(tx, look, failed.observed_error?.message ?? 'its host has a copy no more');
  const source = await brokenSource(tx, replica.round_source_layer_id!, copies);
  if (source !== undefined) return throwAway(tx, look, source);
  const copiedBytes = copies.reduce((sum, { observed_allocated_bytes: bytes }) => sum + bytes, 0);
  if (!isServed(files[0]!)) {
    if (await standsStill(tx, look, copiedBytes)) return throwAway(tx, look, noFurther, 'what differs');
    return rest(tx, look, later(look, retryMs.outside), replica.fault);
  }
  await changeReplica(tx, volume.id, {
    ...{
      source_layer_id: replica.round_source_layer_id,
      layer_id: replica.round_layer_id,
      as_of: replica.round_began_at,
    },
    ...{ round_began_at: null, round_source_layer_id: null, round_layer_id: null, round_full: false },
    ...{ former_layer_id: null, rounds: replica.rounds + 1, failures: 0, fault: null, next_at: now },
    last_round_bytes: copiedBytes,
    last_round_seconds: (now.getTime() - replica.round_began_at!.getTime()) / 1000,
  });
  await release(tx, [replica.source_layer_id, replica.layer_id, replica.former_layer_id]);
  return 'complete';
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

/** The replica is what it was before the round. What a host could not copy once is copied from the beginning the next time. */
async function throwAway(tx: Tx, look: Look, why: string, next: 'all' | 'what differs' = 'all'): Promise<ReplicaStep> {
  const { volume, replica } = look;
  const source = next === 'all' ? null : replica.source_layer_id;
  const failures = replica.failures + 1;
  await changeReplica(tx, volume.id, {
    ...{ round_began_at: null, round_source_layer_id: null, round_layer_id: null, round_full: false },
    ...{ source_layer_id: source, failures },
    next_at: later(look, Math.min(retryMs.longest, retryMs.first * 2 ** (failures - 1))),
    fault: faultOf(look, { code: 'round_failed', message: `The last round came to nothing: ${why}.` }),
  });
  await release(tx, [
    replica.round_source_layer_id,
    replica.round_layer_id,
    source === null ? replica.source_layer_id : null,
  ]);
  return 'thrown away';
}

/** What the replica held is of no use: all of the volume is copied, elsewhere. */
async function beginAnew(tx: Tx, look: Look): Promise<ReplicaStep> {
  const { volume, replica } = look;
  await changeReplica(tx, volume.id, {
    ...{ round_began_at: null, round_source_layer_id: null, round_layer_id: null, round_full: false },
    ...{ source_layer_id: null, layer_id: null, as_of: null, pool_id: null, fault: null, next_at: look.now },
  });
  const { round_source_layer_id, round_layer_id, source_layer_id, layer_id } = replica;
  await release(tx, [round_source_layer_id, round_layer_id, source_layer_id, layer_id]);
  return 'begun anew';
}

/** What the replica held is lost: all of the volume is copied, and what is left of the replica stays until that is there. */
async function copyAll(tx: Tx, look: Look): Promise<ReplicaStep> {
  const { volume, replica } = look;
  await changeReplica(tx, volume.id, {
    ...{ round_began_at: null, round_source_layer_id: null, round_layer_id: null, round_full: false },
    ...{ source_layer_id: null, next_at: look.now, fault: replicaLost },
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

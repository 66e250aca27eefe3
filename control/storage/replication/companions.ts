/**
 * Volumes that one server has. A server is restarted from the replicas of all of them or of none, so they lie on one host, and are brought up to date by rounds of one moment:
 * frozen together (`moment` of contract/host/layer.ts), and whole together. Who is hindered, has no whole replica yet, or is not plugged yet keeps no other from its round.
 */
import { type RawBuilder, sql } from 'kysely';
import type { Tx } from '../../kit/database/database.ts';
import { isOneOf } from '../../kit/database/one-of.ts';
import { filesOf } from '../layer/index.ts';
import { hindranceOf } from './hindrance.ts';
import { type Look, lookAtReplica } from './look.ts';
import { takesWrites } from './second-copy.ts';

/** Other replicated volumes of the server that has it, and that are on its host. */
const ofOneServer = (volumeId: string) => sql`volume_attachment a
  join volume_attachment o on o.server_id = a.server_id and o.volume_id <> a.volume_id and o.desired_presence = 'present' and o.target_host_id is null
  join volume_replica r on r.volume_id = o.volume_id
  where a.volume_id = ${volumeId} and a.desired_presence = 'present' and a.target_host_id is null`;

/**
 * Locks the volume's row and those of all that a step of its replica may change, in the order of whoever locks several.
 * @returns those, itself too
 */
export async function lockCompanions(tx: Tx, volumeId: string): Promise<ReadonlySet<string>> {
  const { rows } = await sql<{ id: string }>`select ${volumeId}::uuid as id
    union select o.volume_id from ${ofOneServer(volumeId)}
    union select o.volume_id from volume_replica r join volume_replica o on o.round_moment = r.round_moment where r.volume_id = ${volumeId}`.execute(
    tx,
  );
  const ids = rows.map(({ id }) => id);
  await sql`select from volume v where ${isOneOf(sql`v.id`, ids)} order by v.id for update`.execute(tx);
  return new Set(ids);
}

/** Of `volume_replica r`: it is on another host than that of a volume that its server had before (see {@link hostOfCompanions}). */
export const isApartSql: RawBuilder<boolean> = sql<boolean>`exists (select from volume_attachment a
  join volume_attachment o on o.server_id = a.server_id and o.slot < a.slot and o.desired_presence = 'present' and o.target_host_id is null
  join volume_replica q on q.volume_id = o.volume_id join storage_pool f on f.id = q.pool_id join storage_pool m on m.id = r.pool_id
  where a.volume_id = r.volume_id and a.desired_presence = 'present' and a.target_host_id is null and f.host_id <> m.host_id)`;

/**
 * Where the replica shall lie, with those of the volumes that its server had before it. Undefined: wherever; nothing says where, or that host is away, or closed and to be emptied.
 * @param of `any`: with those of any other volume of its server, since it has none itself
 */
export async function hostOfCompanions(tx: Tx, { volume }: Look, of: 'earlier' | 'any'): Promise<string | undefined> {
  const which = of === 'any' ? sql`true` : sql`o.slot < a.slot`;
  const { rows } = await sql<{
    host_id: string;
    takes: boolean;
  }>`select h.id as host_id, h.connected and h.enabled as takes
    from (select r.pool_id from ${ofOneServer(volume.id)} and ${which} and r.pool_id is not null order by o.slot limit 1) first
      join storage_pool p on p.id = first.pool_id join host h on h.id = p.host_id`.execute(tx);
  return rows[0]?.takes ? rows[0].host_id : undefined;
}

/** Those of its round, itself too; undefined: not all of them are among the locked. */
export async function roundOf(tx: Tx, look: Look, locked: ReadonlySet<string>): Promise<Look[] | undefined> {
  const { round_moment: moment, volume_id: own } = look.replica;
  if (moment === null) return [look];
  const { rows } = await sql<{ volume_id: string }>`select volume_id from volume_replica where round_moment = ${moment}
    order by volume_id`.execute(tx);
  if (rows.some(({ volume_id }) => !locked.has(volume_id))) return undefined;
  const looks = rows.map(({ volume_id }) => (volume_id === own ? look : lookAtReplica(tx, volume_id)));
  return (await Promise.all(looks)).filter((each) => each !== undefined);
}

/** Those of one server that may be frozen in one moment with this one. */
export async function thoseThatJoin(tx: Tx, look: Look, locked: ReadonlySet<string>): Promise<Look[]> {
  if (locked.size < 2 || !(await canDiffer(tx, look)) || (await isAwaited(tx, look))) return [];
  const { rows } = await sql<{
    volume_id: string;
  }>`select o.volume_id from ${ofOneServer(look.volume.id)} order by o.volume_id`.execute(tx);
  const joining: Look[] = [];
  for (const { volume_id: id } of rows) {
    const other = locked.has(id) ? await lookAtReplica(tx, id) : undefined;
    if (other && (await mayJoin(tx, other, look))) joining.push(other);
  }
  return joining;
}

async function mayJoin(tx: Tx, other: Look, { hosts }: Look): Promise<boolean> {
  const { volume, replica, lost, now } = other;
  if (volume.desired_presence === 'absent' || volume.launched_at === null || lost) return false;
  if (replica.round_began_at !== null || takesWrites(replica) || other.hosts.replica.id !== hosts.replica.id)
    return false;
  if (replica.failures > 0 && (replica.next_at?.getTime() ?? 0) > now.getTime()) return false;
  if (await isAwaited(tx, other)) return false;
  return (await canDiffer(tx, other)) && (await hindranceOf(tx, other)) === undefined;
}

/** Its guest runs, and has not got it yet: it comes with the top that it has then, and is written to while others may still wait for theirs to be covered. */
async function isAwaited(tx: Tx, { volume }: Look): Promise<boolean> {
  const { rows } = await sql`select from volume_attachment a join server s on s.id = a.server_id
    where a.volume_id = ${volume.id} and a.observed_state is null and s.observed_started_at is not null`.execute(tx);
  return rows.length > 0;
}

/** What is copied is what was written since, and not all of it, which may take hours. */
export async function canDiffer(tx: Tx, { volume, replica }: Look): Promise<boolean> {
  const { layer_id: layerId, source_layer_id: sourceId } = replica;
  if (layerId === null || sourceId === null || volume.layer_id === null) return false;
  return (await filesOf(tx, volume.layer_id)).some(({ id }) => id === sourceId);
}

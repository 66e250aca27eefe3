/** The servers that wait for a host. SQL, nothing else. */
import { sql } from 'kysely';
import type { Tx } from '../../kit/database/database.ts';
import { bandwidthOfServer } from '../../network/bandwidth/bandwidth.ts';
import type { CardLimits } from '../../network/port/tables.ts';
import { reachOfServer } from '../../network/segment/reach.ts';
import type { ServerHardware } from '../hardware/index.ts';
import {
  type HostHints,
  hostHintsSql,
  type MachineNeed,
  type PlacementRequest,
  requestOf,
} from '../placement/index.ts';
import { cardLimits } from './binding.ts';

/** A server to place, as a look found it. */
export interface Unplaced extends PlacementRequest {
  id: string;
  project_id: string;
  card_limits: CardLimits;
  /** Servers that it shall be beside, or away from. */
  hints?: HostHints | null;
  /** Beside `disk_gib`. */
  local_gib: number;
  /** Of which its disk is made. */
  image_id: string | null;
  /** The one it was given to, which is away and has not said a word of it. */
  host_id: string | null;
  /** That of its volumes, where it has such: it goes nowhere else. */
  volume_host_id: string | null;
  epoch: number;
  generation: number;
  /** The database's time at the look. */
  now: Date;
  /** Of what was asked for; it is looked at then at the latest. */
  deadline: Date | null;
}

/** Its host has it from another one: that nobody has heard of it there proves nothing, see evacuation-evidence.ts. */
export const cameFromAnother = sql`exists (select from server_migration m where m.server_id = s.id and m.target_epoch = s.epoch)`;

/** What is shelved waits for nobody, until it shall run again. */
export const isAwaited = sql`coalesce(s.desired_shelve ->> 'state' <> 'offloaded', true)`;

/** What its disk will be made of: it is good to be where that is. */
export const diskImage = sql`coalesce((s.desired_root ->> 'image_id')::uuid, s.image_id)`;

/** Where its volumes are, or are brought to; null: it has none, or none has a place. */
export const volumeHost = sql`(select coalesce(a.target_host_id, v.host_id) from volume_attachment a join volume v on v.id = a.volume_id
  where a.server_id = s.id and coalesce(a.target_host_id, v.host_id) is not null limit 1)`;

/** The same where those that are on their way to it are called off. */
export const settledVolumeHost = sql`(select v.host_id from volume_attachment a join volume v on v.id = a.volume_id
  where a.server_id = s.id and a.target_host_id is null and v.host_id is not null limit 1)`;

/**
 * Of `server s`, what its ports and its guest ask of a host beside room. A guest that has run finds the processor again that it has seen;
 * one that has not is the same to it.
 */
export const placementNeeds = sql`${bandwidthOfServer(sql`s.id`)} as bandwidth, ${reachOfServer(sql`s.id`)} as reach,
  s.hardware -> 'host_wish' as host_wish, s.placement_policy as policy, ${hostHintsSql} as hints, nullif(jsonb_strip_nulls(jsonb_build_object('type', coalesce(s.machine ->> 'type', s.hardware ->> 'machine_type'),
    'cpu_model', case when s.launched_at is not null then s.machine ->> 'cpu_model' end,
    'cpu_limits', case when s.hardware ? 'cpuLimits' then true end)), '{}') as machine`;

/** The same of a server that has not run yet. */
export function machineNeedOf({ machine_type: type, cpuLimits }: ServerHardware): MachineNeed | null {
  if (type === undefined && !cpuLimits) return null;
  return { ...(type !== undefined && { type }), ...(cpuLimits && { cpu_limits: true }) };
}

/** What placement is asked for it. */
export const requestFor = (server: Unplaced): PlacementRequest =>
  requestOf({
    ...server,
    disk_gib: server.disk_gib + server.local_gib,
    moving: server.host_id === null ? null : { server_id: server.id, host_id: server.host_id },
  });

/** A volume that it shall have, and why its host gave it up. */
export interface FailedVolume {
  id: string;
  message: string;
}

/** Null: none of its volumes is given up. */
export const failedVolume = sql<FailedVolume | null>`(select json_build_object('id', v.id, 'message', v.fault ->> 'message')
  from volume_attachment a join volume v on v.id = a.volume_id
  where a.server_id = s.id and a.desired_presence = 'present' and a.target_host_id is null and v.fault ->> 'code' = 'host' order by a.slot limit 1)`;

/**
 * Of these, those of which nothing has moved since the look: no other placement, no word of the host, no wish to delete; with what they
 * ask of a host now.
 */
export async function stillToPlace(tx: Tx, servers: readonly Unplaced[]): Promise<Unplaced[]> {
  const [ids, epochs] = [servers.map(({ id }) => id), servers.map(({ epoch }) => epoch)];
  const { rows } = await sql<
    Pick<Unplaced, 'id' | 'bandwidth' | 'reach' | 'machine' | 'host_wish' | 'policy' | 'hints'>
  >`
    select s.id, ${placementNeeds}
    from server s join unnest(${ids}::uuid[], ${epochs}::bigint[]) as w (id, epoch) on w.id = s.id and w.epoch = s.epoch
    where s.observed_state = 'none' and s.fault is null and s.desired_presence = 'present' and ${isAwaited} and not ${cameFromAnother}
    order by s.id for update of s`.execute(tx);
  const found = new Map(rows.map((row) => [row.id, row]));
  return servers.filter(({ id }) => found.has(id)).map((server) => ({ ...server, ...found.get(server.id)! }));
}

/**
 * Others that have no host and whose job is due and nobody has begun: oldest first. One that waits for better times has a job for
 * later. Whoever holds a row is not waited for: another control may hold it and wait for our lock.
 */
export async function othersWaiting(tx: Tx, asked: readonly Unplaced[], limit: number): Promise<Unplaced[]> {
  const { rows } = await sql<Unplaced>`
    select s.id, s.project_id, ${diskImage} as image_id, s.host_id, s.epoch, s.generation, s.vcpus, s.memory_mib, s.disk_gib, s.local_gib, ${cardLimits} as card_limits,
      s.availability_zone, s.requested_host_id, s.server_group_id, ${volumeHost} as volume_host_id,
      ${placementNeeds}, now() as now,
      (select deadline from operation where resource_id = s.id and state = 'running' order by created_at desc limit 1) as deadline
    from server s
    where s.host_id is null and s.fault is null and s.desired_presence = 'present' and s.observed_state = 'none'
      and ${isAwaited} and not s.id = any(${asked.map(({ id }) => id)}::uuid[])
      and exists (select from graphile_worker._private_jobs j
        where j.key = 'server:' || s.id and j.locked_at is null and j.run_at <= now())
    order by s.id limit ${Math.max(limit, 0)} for update of s skip locked`.execute(tx);
  return rows;
}

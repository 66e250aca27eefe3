/**
 * Which hosts have documents of servers, and what of each differs by whose it is: the owner's, and during a migration that of one host beside it
 * (contract/host/migration.ts): the target, under the epoch that will be its own, then the source, under the one that was. SQL for
 * desired.ts, nothing else.
 */
import { type RawBuilder, sql } from 'kysely';
import { endpointUrl } from '../../host/index.ts';
import { carriedTopSql, desiredVolumesOf } from '../../storage/attachment/index.ts';

export interface DocumentOf {
  /** `s` is the server. */
  tables: RawBuilder<unknown>;
  hostId: RawBuilder<unknown>;
  columns: RawBuilder<unknown>;
  volumes: RawBuilder<unknown>;
}

const key = sql`(select key from server_migration_key where migration_id = m.id)`;
const mode = sql`case m.kind when 'live-migration' then 'live' else 'cold' end`;
/** Before anybody took over. */
const underWay = sql`m.phase in ('preparing', 'copying', 'handing-over', 'cancelling')`;

const outgoing = (
  keep: RawBuilder<unknown>,
) => sql`json_build_object('id', m.id, 'mode', ${mode}, 'key', coalesce(${key}, repeat('0', 64)),
  'target', case when ${keep} or m.phase = 'cancelling' then null else m.target end, 'cancelled', false, 'force', m.forced, 'keep', ${keep})`;

/** A guest that goes cold is off from when its disks can go; one that comes back is off where it is left. */
const ownerPower = sql`case when s.desired_move is not null and exists (select from server_migration m where m.server_id = s.id
    and (m.phase = 'reverting' or (m.kind <> 'live-migration' and m.target is not null and ${underWay}))) then 'off'
  else s.desired_power end`;

export const ownerDocument: DocumentOf = {
  volumes: desiredVolumesOf(sql`s.id`),
  tables: sql`server s`,
  hostId: sql`s.host_id`,
  columns: sql`s.host_id, s.epoch, ${ownerPower} as desired_power,
    case when s.desired_shelve ->> 'state' = 'offloading' then 'absent' else s.desired_presence end as desired_presence,
    s.desired_resize, s.vcpus, s.memory_mib, s.disk_gib, s.local_disks, s.flavor ->> 'name' as flavor_name, s.hardware,
    null::json as incoming, null::text as base_host,
    case when s.desired_move is not null then (select ${outgoing(sql`false`)} from server_migration m
      where m.server_id = s.id and ${underWay}) end as outgoing`,
};

const size = (name: string, column: RawBuilder<unknown>, type: RawBuilder<unknown>) =>
  sql`coalesce((m.other_size -> ${sql.lit(name)})::${type}, ${column})`;

export const otherDocument: DocumentOf = {
  // What a source keeps of one that has left are its own disks.
  volumes: sql`case when ${underWay} then ${desiredVolumesOf(sql`s.id`, carriedTopSql)} end`,
  tables: sql`server_migration m join server s on s.id = m.server_id`,
  hostId: sql`m.other_host_id`,
  columns: sql`m.other_host_id as host_id, m.other_epoch as epoch,
    case when ${underWay} then s.desired_power else 'off' end as desired_power, 'present' as desired_presence,
    null::jsonb as desired_resize, ${size('vcpus', sql`s.vcpus`, sql`integer`)} as vcpus,
    ${size('memory_mib', sql`s.memory_mib`, sql`integer`)} as memory_mib, ${size('disk_gib', sql`s.disk_gib`, sql`integer`)} as disk_gib,
    ${size('local_disks', sql`s.local_disks`, sql`jsonb`)} as local_disks,
    coalesce(m.other_size -> 'flavor', s.flavor) ->> 'name' as flavor_name,
    ${size('hardware', sql`s.hardware`, sql`jsonb`)} as hardware,
    case when ${underWay} then json_build_object('id', m.id, 'mode', ${mode}, 'key', coalesce(${key}, repeat('0', 64)),
      'cancelled', m.phase = 'cancelling' or s.desired_presence = 'absent') end as incoming,
    case when not ${underWay} then ${outgoing(sql`true`)} end as outgoing,
    case when ${underWay} then (select nullif(${endpointUrl('o')}, '') from host o where o.id = s.host_id) end as base_host`,
};

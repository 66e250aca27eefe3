/** The SQL twins of the functions in states.ts, for lists; made of the same tables. `s` is the server, with `deleted_at`. */
import { type RawBuilder, sql } from 'kysely';
import {
  captureTasks,
  moveTasks,
  powerStates,
  powerTasks,
  shelveTasks,
  standsStill,
  stateOfPower,
  statuses,
  vmStateOfPower,
} from './states.ts';

/** The columns that the states are made of, for those who read no whole row; in the shape of ServerState. */
export const stateColumns = sql`s.host_id, s.generation, s.desired_presence, s.desired_power, s.desired_reboot_count,
  s.desired_reboot_type, s.desired_rescue, s.desired_root_count, s.desired_capture, s.desired_resize, s.desired_shelve, s.desired_move, s.desired_verb, s.soft_deleted_at, s.observed_generation, s.observed_state,
  s.observed_power, s.observed_reboot_count, s.observed_rescue_count, s.observed_root_count, s.observed_resize_count, s.observed_error, s.fault, s.launched_at`;

type Leaf = string | number | null;

/** A table as a `case` over a column; what is not in it is null, or `otherwise`. */
function byTable(
  column: RawBuilder<unknown>,
  table: Readonly<Record<string, Leaf | RawBuilder<unknown>>>,
  otherwise: RawBuilder<unknown> = sql`null`,
): RawBuilder<unknown> {
  const when = Object.entries(table).map(
    ([key, value]) =>
      sql`when ${sql.lit(key)} then ${value !== null && typeof value === 'object' ? value : sql.lit(value)}`,
  );
  return when.length === 0 ? otherwise : sql`(case ${column} ${sql.join(when, sql` `)} else ${otherwise} end)`;
}

const rescueWanted = sql`coalesce((s.desired_rescue ->> 'count')::bigint, 0)`;

const resizeWanted = sql`case s.desired_resize ->> 'state' when 'kept' then (s.desired_resize ->> 'count')::bigint else 0 end`;

const moveState = sql`(s.desired_move ->> 'state')`;

const shelveState = sql`(s.desired_shelve ->> 'state')`;

/** Null where it is none. */
const shelvedSql = sql`(case when ${shelveState} is null or ${shelveState} = 'saving' then null
  when ${shelveState} = 'offloaded' or s.desired_shelve ? 'offloaded' then 'shelved_offloaded' else 'shelved' end)`;

const satisfied = sql`(case when s.desired_presence = 'present' and ${shelveState} = 'offloaded' then true
  when s.observed_generation < s.generation then false
  when s.desired_presence = 'absent' then s.observed_state = 'absent'
  when ${shelveState} = 'offloading' then false
  when ${moveState} in ('moving', 'reverting') then false
  else s.observed_state = ${byTable(sql`s.desired_power`, stateOfPower)} and s.observed_rescue_count = ${rescueWanted}
    and s.observed_resize_count = ${resizeWanted}
    and s.observed_root_count >= s.desired_root_count and s.desired_capture is null and (s.desired_power <> 'on' or s.observed_reboot_count >= s.desired_reboot_count) end)`;

export const vmStateSql = sql`(case when s.deleted_at is not null then 'deleted'
  when s.soft_deleted_at is not null then 'soft-delete' when s.fault is not null then 'error'
  when s.launched_at is null then 'building' when ${shelvedSql} is not null then ${shelvedSql} when s.observed_rescue_count > 0 then 'rescued'
  when s.observed_resize_count > 0 or ${moveState} in ('kept', 'reverting') then 'resized'
  else ${byTable(sql`coalesce(s.observed_power, 'on')`, vmStateOfPower)} end)`;

const powerTaskSql = byTable(
  sql`s.desired_power`,
  Object.fromEntries(
    Object.entries(powerTasks).map(([power, tasks]) => [power, byTable(sql`coalesce(s.observed_power, 'on')`, tasks)]),
  ),
);

const taskUnderWay = sql`case when s.soft_deleted_at is not null then 'soft-deleting'
  when ${shelveState} = 'saving' and s.observed_generation >= s.generation and s.observed_power = 'off' then 'shelving_image_uploading'
  when ${shelveState} <> 'saved' then ${byTable(shelveState, shelveTasks)}
  when ${moveState} <> 'kept' then case when s.desired_move ->> 'kind' = 'live-migration' then 'migrating'
    when ${moveState} <> 'moving' then ${byTable(moveState, moveTasks)}
    when s.observed_power = 'off' then 'resize_migrating' else 'resize_prep' end
  when s.desired_capture is not null then case when s.observed_generation < s.generation
    then ${byTable(sql`s.desired_capture ->> 'kind'`, captureTasks)} else 'image_uploading' end
  when s.desired_verb = 'restore' then 'restoring'
  when s.desired_verb = 'resize' then case when s.observed_generation < s.generation then 'resize_prep'
    when s.observed_resize_count = ${resizeWanted} then 'resize_finish' else 'resize_migrating' end
  when s.desired_verb = 'revertResize' then 'resize_reverting'
  when s.desired_verb = 'confirmResize' then null
  when s.desired_verb = 'rebuild'
    then case when s.observed_root_count < s.desired_root_count then 'rebuilding' else 'rebuild_spawning' end
  when s.desired_verb = 'evacuate' then case when s.observed_state = 'none' then 'rebuilding' else 'rebuild_spawning' end
  when s.observed_rescue_count <> ${rescueWanted}
    then case when s.desired_rescue is null then 'unrescuing' else 'rescuing' end
  when s.desired_power = 'on' and s.observed_reboot_count < s.desired_reboot_count
    then case s.desired_reboot_type when 'soft' then 'rebooting' else 'rebooting_hard' end
  else ${powerTaskSql} end`;

export const taskStateSql = sql`(case when s.deleted_at is not null then null
  when s.desired_presence = 'absent' then 'deleting'
  when s.launched_at is null then case when s.fault is not null then null when s.host_id is null then 'scheduling' else 'spawning' end
  when ${satisfied} or (s.fault ->> 'generation')::bigint >= s.generation then null
  else ${taskUnderWay} end)`;

export const statusSql = byTable(
  vmStateSql,
  Object.fromEntries(
    Object.entries(statuses).map(([vm, { default: status, ...byTask }]) => [
      vm,
      byTable(taskStateSql, byTask, sql`${sql.lit(status)}`),
    ]),
  ),
);

export const powerStateSql = sql`(case when s.observed_power = 'on' and s.observed_error ->> 'code' = ${sql.lit(standsStill)} then ${sql.lit(powerStates.paused)}
  else ${byTable(sql`s.observed_power`, powerStates, sql`0`)} end)`;

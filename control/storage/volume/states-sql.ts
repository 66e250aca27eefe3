/** The SQL twin of the functions in states.ts, for lists; made of the same tables. `v` is the volume, `a` its attachment. */
import { type RawBuilder, sql } from 'kysely';
import { topIsInForceSql } from '../attachment/index.ts';
import { exportIsOpenSql } from '../export/index.ts';
import { statusOfAttachment, statusOfFault, statusOfTask } from './states.ts';

const byTable = (value: RawBuilder<unknown>, table: Readonly<Record<string, string>>, otherwise: string | null) =>
  sql`case ${value} ${sql.join(
    Object.entries(table).map(([key, result]) => sql`when ${sql.lit(key)} then ${sql.lit(result)}`),
    sql` `,
  )} else ${sql.lit(otherwise)} end`;

/** Of any attachment. */
export const attachmentStatusSql = sql<string>`(case when a.desired_presence = 'absent' then 'detaching'
  when a.server_id is not null then case when a.attached_at is null then 'attaching' else 'attached' end
  when a.completed_at is not null then 'attached' when a.connector is null then 'reserved' else 'attaching' end)`;

/**
 * The first content of a new volume is there, and neither a guest nor a machine outside writes to what it is cloned from. Asked until it was so once: whatever makes it
 * so wakes the volume. `l` is its top.
 */
export const contentIsCompleteSql = sql<boolean>`(l.observed_state is not distinct from 'ready' and (v.source_volume_id is null or not (exists (
  select from (select v.source_volume_id as id) source join volume v on v.id = source.id where not ${topIsInForceSql})
  or exists (select from volume_layer b where b.id = l.parent_id and (b.cache_role is not null and b.volume_id <> v.id or ${exportIsOpenSql('b')})))))`;

/** Cinder's migration_status, as `migrationStatus` has it (volume.ts). */
export const migrationStatusSql = sql<
  string | null
>`(case when v.desired_task ->> 'kind' in ('retype', 'migrate', 'carry')
  then 'migrating' else v.move_outcome end)`;

export const volumeStatusSql = sql<string>`(case when v.desired_presence = 'absent' then 'deleting'
  when v.fault is not null then coalesce(v.fault ->> 'status', ${byTable(sql`v.fault ->> 'code'`, statusOfFault, 'error')})
  when v.desired_task is not null then ${byTable(sql`v.desired_task ->> 'kind'`, statusOfTask, null)}
  when v.launched_at is null then 'creating'
  when a.id is null then 'available' else ${byTable(attachmentStatusSql, statusOfAttachment, null)} end)`;

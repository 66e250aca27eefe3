/** The SQL twin of snapshot-states.ts, for lists. `s` is the snapshot, `v` its volume. */
import { sql } from 'kysely';
import { topIsInForceSql } from '../attachment/index.ts';

/** Null where nothing is done with it. */
export const snapshotTaskSql = sql<string | null>`(case when v.desired_task ->> 'snapshot_id' = s.id::text
  then v.desired_task ->> 'kind' end)`;

/**
 * The content of a snapshot is final: its host knows that nobody writes to its layer any more, nothing sinks into that, and a guest that has
 * the volume has no layer but the present top open; nor does a machine outside. Asked until it was so once: whatever makes it so wakes the snapshot. `l` is its layer.
 */
export const contentIsFinalSql = sql<boolean>`(l.observed_state = 'ready' and l.read_only and l.cache_role is null
  and l.observed_generation >= l.generation and l.observed_export is null and ${topIsInForceSql})`;

export const snapshotStatusSql = sql<string>`(case when s.desired_presence = 'absent' then 'deleting'
  when s.fault is not null then coalesce(s.fault ->> 'status', 'error')
  when s.ready_at is null then 'creating'
  when ${snapshotTaskSql} = 'revert' then 'restoring' when ${snapshotTaskSql} = 'backup' then 'backing-up'
  else 'available' end)`;

/** The SQL twin of snapshot-states.ts, for lists. `s` is the snapshot, `l` its layer, `v` its volume. */
import { sql } from 'kysely';
import { topIsInForceSql } from '../attachment/index.ts';

/** Null where nothing is done with it. */
export const snapshotTaskSql = sql<string | null>`(case when v.desired_task ->> 'snapshot_id' = s.id::text
  then v.desired_task ->> 'kind' end)`;

export const layerSettledSql = sql<boolean>`coalesce(l.read_only and l.cache_role is null and l.observed_generation >= l.generation, false)`;

/** Asked only of what is not ready. */
export const topInForceSql = sql<boolean>`(s.ready_at is not null or ${topIsInForceSql})`;

export const snapshotStatusSql = sql<string>`(case when s.desired_presence = 'absent' then 'deleting'
  when s.fault is not null then coalesce(s.fault ->> 'status', 'error')
  when s.ready_at is null and not (l.observed_state is not distinct from 'ready' and ${layerSettledSql} and ${topInForceSql})
    then 'creating'
  when ${snapshotTaskSql} = 'revert' then 'restoring' when ${snapshotTaskSql} = 'backup' then 'backing-up'
  else 'available' end)`;

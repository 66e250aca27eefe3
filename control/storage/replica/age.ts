/** How old replicas are. The words of a query that has the replica as `r`, its volume's top as `l`, the volume's host as `h`. */
import { type RawBuilder, sql } from 'kysely';

/**
 * A host looks at the tops of replicated volumes every five seconds, and what it says takes its way (host/volume/task.ts): so much later than the first write
 * it is known here at the latest, while the host is connected.
 */
const heardWithin = sql`interval '10 seconds'`;

/** A lease is for 15 seconds from when it was asked for, and is lent to those that have asked in the three seconds before (control/host/liveness.ts). */
const askedBefore = sql`interval '18 seconds'`;

/**
 * The host had spoken then, or later. One that is frozen or cut off counts as connected for 15 seconds more, and is said to have been seen when that was given up: that proves no word of it, its
 * lease does. While it is lent one after the other, a moment ago is near enough.
 */
const heardAt = sql`(case when h.connected and (h.lease_ends_at is null or h.lease_ends_at > now() + interval '6 seconds') then now()
  when h.lease_ends_at is null then h.last_seen_at - ${askedBefore} else least(h.last_seen_at, h.lease_ends_at - ${askedBefore}) end)`;

/** Nothing has been written since the replica was equal to the volume, as far as is known. */
export const isIdleSql: RawBuilder<boolean> = sql<boolean>`(r.layer_id is not null and r.source_layer_id is not null
  and l.parent_id is not distinct from r.source_layer_id and l.observed_written is not distinct from false)`;

/** QEMU keeps a write for 60 seconds that does not get to a copy (host/server/steps/copies.ts), and is told of one after 8. */
const keptFor = sql`interval '40 seconds'`;

/**
 * Of attachment `a`: its host has said that a write is not in the copy, or that one was on its way so long ago that QEMU may have let it pass. Migration 1097 has the same for
 * what ends a copy before anybody has looked.
 */
export const hasGapSql: RawBuilder<boolean> = sql<boolean>`(a.observed_copy ->> 'state' = 'lost' and (a.observed_copy #>> '{error,code}' = 'copy_failed'
  or (a.observed_copy #>> '{error,code}' = 'copy_stalled' and a.updated_at < now() - ${keptFor})))`;

/**
 * Its second copy has all that its guest was told is written: it was whole once, and nobody has been allowed since to write to the volume alone. What is compared here
 * never becomes true again once it is not.
 */
export const isInSyncSql: RawBuilder<boolean> = sql<boolean>`(r.copy_state = 'in_sync' and r.copy_of_layer_id = v.layer_id
  and exists (select from volume_layer c where c.id = r.copy_layer_id and c.size_bytes = l.size_bytes)
  and not exists (select from volume_attachment a where a.volume_id = r.volume_id and a.observed_copy_id = r.copy_layer_id and ${hasGapSql}))`;

/** A guest has it that runs on when the lease of its host ends: what it writes then nobody here hears of. */
const outlivesLease = sql`exists (select from volume_attachment a join server s on s.id = a.server_id
  where a.volume_id = r.volume_id and a.observed_state is not null and s.observed_on_lease_end is null)`;

/** A copy that has ended, and has more than the last round brought. */
const keptAsOf = sql`case when r.copy_state in ('ended', 'kept') then r.copy_as_of end`;

/**
 * All that was written until then is in the replica: to the last complete round, or later where nothing was written since. Null: there is no whole
 * replica, or its host has lost it. Never later than what is certain: what its host has not said counts as written.
 */
export const asOfSql: RawBuilder<Date | null> = sql<Date | null>`(case
  when ${isInSyncSql} then case when ${outlivesLease} then ${heardAt} else now() end
  when r.layer_id is null or r.as_of is null or r.fault ->> 'code' = 'replica_lost' then null
  when ${isIdleSql} then greatest(r.as_of, ${keptAsOf}, ${heardAt} - ${heardWithin})
  -- What a host says when it is back may have been so all the while that it was away.
  when l.parent_id = r.source_layer_id and l.written_at is not null and coalesce(h.connected_at < l.written_at - ${heardWithin}, true) then greatest(r.as_of, ${keptAsOf}, l.written_at - ${heardWithin})
  else greatest(r.as_of, ${keptAsOf}) end)`;

/** It is older than it shall be, or there is none although there was time to make one. */
export const isLateSql: RawBuilder<boolean> = sql<boolean>`(coalesce(${asOfSql}, r.failed_over_at, r.created_at)
  < now() - r.rpo_seconds * interval '1 second')`;

/**
 * By the replica alone, without which none is late: looked at first, of many replicas where only few are behind. What is in sync may be older than its last round,
 * where its host is silent.
 */
export const mayBeLateSql: RawBuilder<boolean> = sql<boolean>`(r.copy_state = 'in_sync'
  or case when r.layer_id is null or r.as_of is null or r.fault ->> 'code' = 'replica_lost' then coalesce(r.failed_over_at, r.created_at) else r.as_of end
    < now() - r.rpo_seconds * interval '1 second')`;

/** What the three come from. */
export const replicaFrom = sql`volume_replica r join volume v on v.id = r.volume_id
  left join volume_layer l on l.id = v.layer_id left join host h on h.id = v.host_id left join storage_pool p on p.id = r.pool_id
  left join host b on b.id = p.host_id`;

-- A copy of which its host has said that a write did not get there, or so long ago that QEMU no longer waits for it, has all of no moment: whatever ends it meanwhile.
create or replace function end_second_copy(volume uuid) returns void language sql as $$
  update volume_replica set copy_state = 'ended', copy_as_of = case when copy_state = 'in_sync' and not exists (select from volume_attachment a left join server s on s.id = a.server_id
      where a.volume_id = volume and ((a.observed_state is not null and s.id is not null and s.observed_on_lease_end is null)
        or (a.observed_copy_id = copy_layer_id and a.observed_copy ->> 'state' = 'lost' and (a.observed_copy #>> '{error,code}' = 'copy_failed'
          or (a.observed_copy #>> '{error,code}' = 'copy_stalled' and a.updated_at < now() - interval '40 seconds')))))
      then now() end, copy_since = now(), copy_ended_at = now(), next_at = now(), updated_at = now(), generation = generation + 1
  where volume_id = volume and copy_state in ('preparing', 'copying', 'in_sync')
$$;

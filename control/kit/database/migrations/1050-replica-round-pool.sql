-- A replica that shall be in another pool is copied there as a whole by its next round, and what it has stays until then. That pool promises its room meanwhile.
alter table volume_replica
  add column round_pool_id uuid references storage_pool; -- of the round that is under way; null: where the replica is

create or replace function count_replica_usage() returns trigger language plpgsql as $$
begin
  if tg_op <> 'INSERT' then
    update storage_pool_usage set promised_bytes = promised_bytes - old.size_bytes where pool_id in (old.pool_id, old.round_pool_id);
  end if;
  if tg_op <> 'DELETE' then
    insert into storage_pool_usage as u (pool_id, promised_bytes)
      select distinct pool_id, new.size_bytes from unnest(array[new.pool_id, new.round_pool_id]) pool_id where pool_id is not null
    on conflict (pool_id) do update set promised_bytes = u.promised_bytes + new.size_bytes;
  end if;
  return null;
end
$$;
drop trigger volume_replica_usage_moved on volume_replica;
create trigger volume_replica_usage_moved after update of pool_id, round_pool_id, size_bytes on volume_replica for each row
  execute function count_replica_usage();
create index volume_replica_round_pool on volume_replica (round_pool_id) where round_pool_id is not null;

drop trigger volume_replica_change on volume_replica;
create trigger volume_replica_change after insert or update or delete on volume_replica
  for each row execute function append_change('volume_replica', 'volume_id', '~next_at', '~updated_at', '~round_moved_at', '~round_copied_bytes',
    '=as_of', '=rounds', '=last_round_bytes', '=last_round_seconds', '=round_began_at', '=round_source_layer_id', '=round_layer_id', '=round_full',
    '=source_layer_id', '=layer_id', '=round_pool_id');

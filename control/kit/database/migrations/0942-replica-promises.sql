-- What a replica may become counts as promised in its pool, as a layer that may still grow does (0312): so there is room for its top when it is promoted.
create function count_replica_usage() returns trigger language plpgsql as $$
begin
  if tg_op <> 'INSERT' and old.pool_id is not null then
    update storage_pool_usage set promised_bytes = promised_bytes - old.size_bytes where pool_id = old.pool_id;
  end if;
  if tg_op <> 'DELETE' and new.pool_id is not null then
    insert into storage_pool_usage as u (pool_id, promised_bytes) values (new.pool_id, new.size_bytes)
    on conflict (pool_id) do update set promised_bytes = u.promised_bytes + new.size_bytes;
  end if;
  return null;
end
$$;
create trigger volume_replica_usage after insert or delete on volume_replica for each row execute function count_replica_usage();
create trigger volume_replica_usage_moved after update of pool_id, size_bytes on volume_replica for each row
  execute function count_replica_usage();

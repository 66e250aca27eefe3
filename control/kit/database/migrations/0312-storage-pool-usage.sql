-- What each pool has promised, counted in the transactions that change it: the full size of every layer that may still grow. Layers that
-- nobody writes to any more take what they take, which the pool's free bytes say. Only the trigger writes it.
create table storage_pool_usage (
  pool_id uuid primary key references storage_pool on delete cascade,
  promised_bytes numeric not null default 0 check (promised_bytes >= 0)
) with (fillfactor = 50);

create function count_pool_usage() returns trigger language plpgsql as $$
declare
  before bigint := 0;
  after bigint := 0;
begin
  if tg_op <> 'INSERT' and old.desired_presence = 'present' and not old.read_only then
    before := old.size_bytes;
  end if;
  if tg_op <> 'DELETE' and new.desired_presence = 'present' and not new.read_only then
    after := new.size_bytes;
  end if;
  if before <> after then
    insert into storage_pool_usage as u (pool_id, promised_bytes) values (coalesce(new.pool_id, old.pool_id), after)
    on conflict (pool_id) do update set promised_bytes = u.promised_bytes + after - before;
  end if;
  return null;
end
$$;

-- Nobody makes or removes a layer between the count and the triggers.
lock table volume_layer in share row exclusive mode;
insert into storage_pool_usage (pool_id, promised_bytes)
  select pool_id, sum(size_bytes) from volume_layer where desired_presence = 'present' and not read_only group by pool_id;
create trigger volume_layer_usage after insert or delete on volume_layer for each row execute function count_pool_usage();
create trigger volume_layer_usage_moved after update of size_bytes, read_only, desired_presence on volume_layer for each row
  execute function count_pool_usage();

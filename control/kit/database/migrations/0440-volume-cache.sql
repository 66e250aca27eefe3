-- A volume's cache: generations are layers of a faster pool on the volume's own base, see control/storage/cache/README.md.
alter table volume
  add column cache_pool_id uuid references storage_pool,
  add column cache_bytes bigint check (cache_bytes > 0),
  add constraint volume_cache_whole check ((cache_pool_id is null) = (cache_bytes is null));

alter table volume_layer
  -- base: below generations, or the top of a volume with a cache that no server has; what it holds is not final. writes: a generation.
  add column cache_role text check (cache_role in ('base', 'writes')),
  add column full_bytes bigint check (full_bytes > 0),          -- its host says when the file of a generation takes so much
  add column sinks boolean not null default false,              -- what lies between its file and parent_id goes down into that
  add column observed_full boolean not null default false;

-- A generation takes of what its volume has reserved, whatever its size.
create or replace function count_pool_usage() returns trigger language plpgsql as $$
declare
  before bigint := 0;
  after bigint := 0;
begin
  if tg_op <> 'INSERT' and old.desired_presence = 'present' and not old.read_only and old.cache_role is distinct from 'writes' then
    before := old.size_bytes;
  end if;
  if tg_op <> 'DELETE' and new.desired_presence = 'present' and not new.read_only and new.cache_role is distinct from 'writes' then
    after := new.size_bytes;
  end if;
  if before <> after then
    insert into storage_pool_usage as u (pool_id, promised_bytes) values (coalesce(new.pool_id, old.pool_id), after)
    on conflict (pool_id) do update set promised_bytes = u.promised_bytes + after - before;
  end if;
  return null;
end
$$;

create function count_cache_usage() returns trigger language plpgsql as $$
begin
  if tg_op <> 'INSERT' and old.cache_pool_id is not null then
    update storage_pool_usage set promised_bytes = promised_bytes - old.cache_bytes where pool_id = old.cache_pool_id;
  end if;
  if tg_op <> 'DELETE' and new.cache_pool_id is not null then
    insert into storage_pool_usage as u (pool_id, promised_bytes) values (new.cache_pool_id, new.cache_bytes)
    on conflict (pool_id) do update set promised_bytes = u.promised_bytes + excluded.promised_bytes;
  end if;
  return null;
end
$$;

create trigger volume_cache_usage after insert or delete or update of cache_pool_id, cache_bytes on volume for each row
  execute function count_cache_usage();

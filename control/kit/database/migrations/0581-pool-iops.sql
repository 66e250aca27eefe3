-- Reads and writes a second that a pool gives to guests, by its administrators' word; null: nobody has said. So many times that may be promised.
alter table storage_pool
  add column iops integer check (iops > 0),
  add column iops_over_subscription double precision not null default 1 check (iops_over_subscription >= 1);

-- How many volumes of each type and size are in each pool, or on their way into it: what they are promised is a function of the type's QoS specs, which
-- may change (control/storage/pool/iops.ts). Only the trigger writes it.
create table storage_pool_volumes (
  pool_id uuid not null references storage_pool on delete cascade,
  volume_type_id uuid not null,
  size_gib integer not null,
  volumes integer not null,
  primary key (pool_id, volume_type_id, size_gib)
) with (fillfactor = 50);

create function pool_volume_places(v volume) returns table (pool_id uuid, volume_type_id uuid, size_gib integer) language sql immutable as $$
  select v.pool_id, v.volume_type_id, v.size_gib where v.pool_id is not null
  union select coalesce((v.desired_task ->> 'pool_id')::uuid, v.pool_id), coalesce((v.desired_task ->> 'type_id')::uuid, v.volume_type_id), v.size_gib
  where v.desired_task ->> 'kind' in ('retype', 'migrate') and v.pool_id is not null
$$;

create function count_pool_volumes() returns trigger language plpgsql as $$
begin
  if tg_op = 'UPDATE' and (old.pool_id, old.volume_type_id, old.size_gib, old.desired_task)
    is not distinct from (new.pool_id, new.volume_type_id, new.size_gib, new.desired_task) then
    return null;
  end if;
  with changed as (
    select pool_id, volume_type_id, size_gib, sum(by)::integer as by from (
      select p.*, -1 as by from pool_volume_places(old) p where tg_op <> 'INSERT'
      union all select p.*, 1 from pool_volume_places(new) p where tg_op <> 'DELETE') all_places
    group by pool_id, volume_type_id, size_gib having sum(by) <> 0 order by pool_id, volume_type_id, size_gib)
  insert into storage_pool_volumes as u (pool_id, volume_type_id, size_gib, volumes)
  select pool_id, volume_type_id, size_gib, by from changed
  on conflict (pool_id, volume_type_id, size_gib) do update set volumes = u.volumes + excluded.volumes;
  return null;
end
$$;

-- Nobody makes or removes a volume between the count and the triggers.
lock table volume in share row exclusive mode;
insert into storage_pool_volumes (pool_id, volume_type_id, size_gib, volumes)
  select p.pool_id, p.volume_type_id, p.size_gib, count(*) from volume v, pool_volume_places(v) p group by p.pool_id, p.volume_type_id, p.size_gib;
create trigger volume_pool_volumes after insert or delete or update of pool_id, volume_type_id, size_gib, desired_task on volume
  for each row execute function count_pool_volumes();

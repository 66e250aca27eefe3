-- A volume on its way with its server (carry) is promised its reads and writes a second where it goes, too, from the moment that it is decided.
lock table volume in share row exclusive mode;
create or replace function pool_volume_places(v volume) returns table (pool_id uuid, volume_type_id uuid, size_gib integer) language sql immutable as $$
  select v.pool_id, v.volume_type_id, v.size_gib where v.pool_id is not null
  union select coalesce((v.desired_task ->> 'pool_id')::uuid, v.pool_id), coalesce((v.desired_task ->> 'type_id')::uuid, v.volume_type_id), v.size_gib
  where v.desired_task ->> 'kind' in ('retype', 'migrate', 'carry') and v.pool_id is not null
$$;
insert into storage_pool_volumes as u (pool_id, volume_type_id, size_gib, volumes)
  select (desired_task ->> 'pool_id')::uuid, volume_type_id, size_gib, count(*) from volume
  where desired_task ->> 'kind' = 'carry' and pool_id is not null and (desired_task ->> 'pool_id')::uuid <> pool_id
  group by 1, 2, 3
on conflict (pool_id, volume_type_id, size_gib) do update set volumes = u.volumes + excluded.volumes;

-- A volume that is brought to the host of its server (bring) is promised its reads and writes a second there, too, from the moment that it is decided.
create or replace function pool_volume_places(v volume) returns table (pool_id uuid, volume_type_id uuid, size_gib integer) language sql immutable as $$
  select v.pool_id, v.volume_type_id, v.size_gib where v.pool_id is not null
  union select coalesce((v.desired_task ->> 'pool_id')::uuid, v.pool_id), coalesce((v.desired_task ->> 'type_id')::uuid, v.volume_type_id), v.size_gib
  where v.desired_task ->> 'kind' in ('retype', 'migrate', 'carry', 'bring') and v.pool_id is not null
$$;

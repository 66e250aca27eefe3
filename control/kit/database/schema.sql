CREATE FUNCTION public.aggregate_changed() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
  if tg_table_name = 'aggregate_host' then
    update host set changed_in = pg_current_xact_id(), provider_generation = provider_generation + 1
      where id = case when tg_op = 'DELETE' then old.host_id else new.host_id end;
  else
    with ordered as materialized (
      select h.id from host h join aggregate_host x on x.host_id = h.id where x.aggregate_id = new.id order by h.id for no key update of h)
    update host h set changed_in = pg_current_xact_id() from ordered where h.id = ordered.id;
  end if;
  return null;
end
$$;

CREATE FUNCTION public.append_change() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
declare
  body jsonb;
  before jsonb;
  id_column text := coalesce(tg_argv[1], 'id');
  silent text[] := '{updated_at}';
  hidden text[] := '{}';
  observed text[] := '{}';
  observed_only boolean := false;
begin
  if tg_op = 'DELETE' then
    body := to_jsonb(old);
  else
    body := to_jsonb(new);
  end if;
  for i in 2 .. tg_nargs - 1 loop
    case left(tg_argv[i], 1)
      when '~' then silent := silent || substr(tg_argv[i], 2);
      when '=' then observed := observed || substr(tg_argv[i], 2);
      else hidden := hidden || tg_argv[i];
    end case;
  end loop;
  if tg_op = 'UPDATE' then
    before := to_jsonb(old) - silent;
    if before = body - silent then
      return null;
    end if;
    observed_only := cardinality(observed) > 0 and before - observed = body - silent - observed;
  end if;
  if cardinality(hidden) > 0 then
    body := body - hidden;
  end if;
  insert into change (resource_type, resource_id, action, project_id, generation, actor_id, request_id, body, observed_only)
  values (
    tg_argv[0],
    (body ->> id_column)::uuid,
    case tg_op when 'INSERT' then 'created' when 'UPDATE' then 'updated' else 'deleted' end,
    case when tg_argv[0] = 'project' then (body ->> 'id')::uuid else (body ->> 'project_id')::uuid end,
    (body ->> 'generation')::bigint,
    nullif(current_setting('bothy.actor', true), '')::uuid,
    nullif(current_setting('bothy.request', true), ''),
    body,
    observed_only
  );
  perform pg_notify('bothy_change', '');
  return null;
end
$$;

CREATE FUNCTION public.attachment_ends_copy() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
  perform end_second_copy(coalesce(new.volume_id, old.volume_id));
  return null;
end
$$;

CREATE FUNCTION public.count_bandwidth() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
  if tg_op = 'INSERT' then
    perform hold_host_bandwidth(array(select host_id from new_rows));
    insert into host_bandwidth (host_id, physical_network)
      select distinct host_id, physical_network from new_rows on conflict do nothing;
    update host_bandwidth u set used_egress_kbps = used_egress_kbps + d.egress, used_ingress_kbps = used_ingress_kbps + d.ingress
      from (select host_id, physical_network, sum(egress_kbps) as egress, sum(ingress_kbps) as ingress from new_rows group by 1, 2) d
      where u.host_id = d.host_id and u.physical_network = d.physical_network;
  elsif tg_op = 'DELETE' then
    perform hold_host_bandwidth(array(select host_id from old_rows));
    update host_bandwidth u set used_egress_kbps = used_egress_kbps - d.egress, used_ingress_kbps = used_ingress_kbps - d.ingress
      from (select host_id, physical_network, sum(egress_kbps) as egress, sum(ingress_kbps) as ingress from old_rows group by 1, 2) d
      where u.host_id = d.host_id and u.physical_network = d.physical_network;
  else
    perform hold_host_bandwidth(array(select host_id from new_rows union select host_id from old_rows));
    insert into host_bandwidth (host_id, physical_network)
      select distinct host_id, physical_network from new_rows on conflict do nothing;
    update host_bandwidth u set used_egress_kbps = used_egress_kbps + d.egress, used_ingress_kbps = used_ingress_kbps + d.ingress
      from (select host_id, physical_network, sum(egress_kbps) as egress, sum(ingress_kbps) as ingress from (
          select host_id, physical_network, egress_kbps, ingress_kbps from new_rows
          union all select host_id, physical_network, -egress_kbps, -ingress_kbps from old_rows) both_rows group by 1, 2) d
      where u.host_id = d.host_id and u.physical_network = d.physical_network and (d.egress, d.ingress) <> (0, 0);
  end if;
  return null;
end
$$;

CREATE FUNCTION public.count_cache_usage() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
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

CREATE FUNCTION public.count_claim_bandwidth() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
  if tg_op <> 'INSERT' and old.bandwidth is not null then
    perform hold_host_bandwidth(array[old.host_id]);
    update host_bandwidth u set used_egress_kbps = used_egress_kbps - b.egress_kbps, used_ingress_kbps = used_ingress_kbps - b.ingress_kbps
      from jsonb_to_recordset(old.bandwidth) as b (physical_network text, egress_kbps bigint, ingress_kbps bigint)
      where u.host_id = old.host_id and u.physical_network = b.physical_network;
  end if;
  if tg_op <> 'DELETE' and new.bandwidth is not null then
    perform hold_host_bandwidth(array[new.host_id]);
    insert into host_bandwidth (host_id, physical_network)
      select new.host_id, b.physical_network from jsonb_to_recordset(new.bandwidth) as b (physical_network text) on conflict do nothing;
    update host_bandwidth u set used_egress_kbps = used_egress_kbps + b.egress_kbps, used_ingress_kbps = used_ingress_kbps + b.ingress_kbps
      from jsonb_to_recordset(new.bandwidth) as b (physical_network text, egress_kbps bigint, ingress_kbps bigint)
      where u.host_id = new.host_id and u.physical_network = b.physical_network;
  end if;
  return null;
end
$$;

CREATE FUNCTION public.count_claim_usage() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
  if tg_op <> 'INSERT' then
    update host_usage set vcpus = vcpus - old.vcpus, memory_mib = memory_mib - old.memory_mib, disk_gib = disk_gib - old.disk_gib,
      changed_in = pg_current_xact_id() where host_id = old.host_id;
  end if;
  if tg_op <> 'DELETE' then
    insert into host_usage as u (host_id, vcpus, memory_mib, disk_gib)
    values (new.host_id, new.vcpus, new.memory_mib, new.disk_gib)
    on conflict (host_id) do update set vcpus = u.vcpus + excluded.vcpus, memory_mib = u.memory_mib + excluded.memory_mib,
      disk_gib = u.disk_gib + excluded.disk_gib, changed_in = pg_current_xact_id();
  end if;
  return null;
end
$$;

CREATE FUNCTION public.count_host_reserve(hosts uuid[]) RETURNS void
    LANGUAGE plpgsql
    AS $$
begin
  insert into host_reserve (host_id) select id from host where id = any(hosts) order by id on conflict do nothing;
  -- In one order, and before the count: that sees what others counted until they let go.
  perform from host_reserve where host_id = any(hosts) order by host_id for no key update;
  update host_reserve k set vcpus = n.vcpus, memory_mib = n.memory_mib, disk_gib = n.disk_gib, changed_in = pg_current_xact_id()
    from (select w.id, coalesce(max(by_loss.vcpus), 0) as vcpus, coalesce(max(by_loss.memory_mib), 0) as memory_mib,
        coalesce(max(by_loss.disk_gib), 0) as disk_gib
      from unnest(hosts) w (id) left join lateral (
        select sum(by_host.vcpus) as vcpus, sum(by_host.memory_mib) as memory_mib, sum(by_host.disk_gib) as disk_gib
        from (select lost_host_id, sum(r.vcpus) as vcpus, sum(r.memory_mib) as memory_mib, sum(r.disk_gib) as disk_gib
          from server_refuge r where r.refuge_host_id = w.id group by lost_host_id) by_host,
          losses_of_host(by_host.lost_host_id) loss
        group by loss) by_loss on true
      group by w.id) n
    where k.host_id = n.id and (k.vcpus, k.memory_mib, k.disk_gib) is distinct from (n.vcpus, n.memory_mib, n.disk_gib);
end
$$;

CREATE FUNCTION public.count_host_usage() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
  if tg_op <> 'INSERT' and old.host_id is not null then
    update host_usage set servers = servers - 1, vcpus = vcpus - old.vcpus, memory_mib = memory_mib - old.memory_mib,
      disk_gib = disk_gib - old.disk_gib - old.local_gib, changed_in = pg_current_xact_id() where host_id = old.host_id;
  end if;
  if tg_op <> 'DELETE' and new.host_id is not null then
    insert into host_usage as u (host_id, servers, vcpus, memory_mib, disk_gib)
    values (new.host_id, 1, new.vcpus, new.memory_mib, new.disk_gib::bigint + new.local_gib)
    on conflict (host_id) do update set servers = u.servers + 1, vcpus = u.vcpus + excluded.vcpus,
      memory_mib = u.memory_mib + excluded.memory_mib, disk_gib = u.disk_gib + excluded.disk_gib,
      changed_in = pg_current_xact_id();
  end if;
  return null;
end
$$;

CREATE FUNCTION public.count_pool_usage() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
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

CREATE FUNCTION public.count_pool_volumes() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
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

CREATE FUNCTION public.count_ram_pool() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
declare
  before bigint := case when tg_op <> 'INSERT' then case when old.tier = 'ram' then ceil(old.total_bytes / 1048576.0) else 0 end else 0 end;
  after bigint := case when tg_op <> 'DELETE' then case when new.tier = 'ram' then ceil(new.total_bytes / 1048576.0) else 0 end else 0 end;
begin
  if before > after then
    update host_usage set memory_mib = memory_mib - (before - after), changed_in = pg_current_xact_id() where host_id = old.host_id;
  elsif after > before then
    insert into host_usage as u (host_id, servers, vcpus, memory_mib, disk_gib) values (new.host_id, 0, 0, after - before, 0)
    on conflict (host_id) do update set memory_mib = u.memory_mib + excluded.memory_mib, changed_in = pg_current_xact_id();
  end if;
  return null;
end
$$;

CREATE FUNCTION public.count_replica_usage() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
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

CREATE FUNCTION public.drop_volume_key() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
  -- Of two that let go of it at once the second waits, and sees what the first did.
  perform from volume_key where id = old.key_id for update;
  delete from volume_key k where k.id = old.key_id and not exists (select from volume_layer l where l.key_id = k.id)
    and not exists (select from backup b where b.key_id = k.id) and not exists (select from image i where i.key_id = k.id);
  return null;
end $$;

CREATE FUNCTION public.end_second_copy(volume uuid) RETURNS void
    LANGUAGE sql
    AS $$
  update volume_replica set copy_state = 'ended', copy_as_of = case when copy_state = 'in_sync' and not exists (select from volume_attachment a left join server s on s.id = a.server_id
      where a.volume_id = volume and ((a.observed_state is not null and s.id is not null and s.observed_on_lease_end is null)
        or (a.observed_copy_id = copy_layer_id and a.observed_copy ->> 'state' = 'lost' and (a.observed_copy #>> '{error,code}' = 'copy_failed'
          or (a.observed_copy #>> '{error,code}' = 'copy_stalled' and a.updated_at < now() - interval '40 seconds')))))
      then now() end, copy_since = now(), copy_ended_at = now(), next_at = now(), updated_at = now(), generation = generation + 1
  where volume_id = volume and copy_state in ('preparing', 'copying', 'in_sync')
$$;

CREATE FUNCTION public.enqueue(task text, resource text, due timestamp with time zone) RETURNS void
    LANGUAGE plpgsql
    AS $$
declare
  job_key constant text := task || ':' || resource;
begin
  insert into graphile_worker._private_tasks (identifier)
  select task where not exists (select from graphile_worker._private_tasks where identifier = task)
  on conflict do nothing;
  loop
    update graphile_worker._private_jobs set key = null where key = job_key and locked_at is not null;
    insert into graphile_worker._private_jobs as job (task_id, payload, run_at, key)
    select id, json_build_object('id', resource), due, job_key from graphile_worker._private_tasks where identifier = task
    on conflict (key) do update set
      run_at = least(job.run_at, excluded.run_at), attempts = 0, last_error = null, revision = job.revision + 1,
      updated_at = now()
      where job.locked_at is null;
    exit when found;
  end loop;
  -- What is due later comes with a poll.
  if due <= now() then
    perform pg_notify('jobs:insert', '');
  end if;
end
$$;

CREATE FUNCTION public.forget_migration_absence() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
  delete from server_absence where host_id = new.other_host_id and server_id = new.server_id;
  return null;
end
$$;

CREATE FUNCTION public.forget_refuge() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
  delete from server_refuge where server_id = new.id and lost_host_id is distinct from new.host_id;
  return null;
end
$$;

CREATE FUNCTION public.hold_host_bandwidth(ids uuid[]) RETURNS void
    LANGUAGE sql
    AS $$
  select pg_advisory_xact_lock(hashtextextended('host_bandwidth ' || id::text, 0))
  from (select distinct id from unnest(ids) as id where id is not null order by id) ordered
$$;

CREATE FUNCTION public.host_changed_in() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
  new.changed_in := pg_current_xact_id();
  return new;
end
$$;

CREATE FUNCTION public.keep_open_object_intents() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
  update object_intent i set state = 'kept' where state = 'open' or (state = 'closed'
    and exists (select from object_intent_disk d where d.intent_id = i.id and d.look_at > now() and d.look_at < 'infinity'));
  return null;
end $$;

CREATE FUNCTION public.leave_migration() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
  update server_migration set other_host_id = null where server_id = old.id and other_host_id is not null;
  return old;
end
$$;

CREATE FUNCTION public.losses_of_host(lost uuid) RETURNS SETOF text
    LANGUAGE sql STABLE
    AS $$
  select 'host ' || lost
  union all
  select domain.key || ' ' || domain.value from reserve_policy p, host h, jsonb_each_text(h.failure_domains) domain
    where p.survive = 'domain' and h.id = lost
$$;

CREATE FUNCTION public.make_first_segment() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
  insert into segment (id, network_id, position, network_type, physical_network, segmentation_id)
  values (gen_random_uuid(), new.id, 0, new.provider_network_type, new.provider_physical_network, new.provider_segmentation_id);
  return null;
end
$$;

CREATE FUNCTION public.move_subports() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
  update port p set host_id = new.host_id, binding_host = new.binding_host, migrating_to = new.migrating_to, generation = p.generation + 1,
    updated_at = now()
  from trunk t join subport s on s.trunk_id = t.id where t.port_id = new.id and p.id = s.port_id;
  return null;
end
$$;

CREATE FUNCTION public.note_absence() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
  if tg_op <> 'INSERT' then
    if old.host_id is not null and not (tg_op = 'DELETE' and old.desired_presence = 'absent' and old.observed_state = 'absent') then
      insert into server_absence (host_id, server_id, epoch, generation)
      values (old.host_id, old.id, old.epoch, old.generation)
      on conflict (host_id, server_id) do update set epoch = excluded.epoch, generation = excluded.generation;
    end if;
  end if;
  if tg_op <> 'DELETE' then
    delete from server_absence where host_id = new.host_id and server_id = new.id;
  end if;
  return null;
end
$$;

CREATE FUNCTION public.note_forgotten() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
  insert into forgotten (id, kind) values (old.id, tg_argv[0]) on conflict (id) do nothing;
  return null;
end
$$;

CREATE FUNCTION public.note_migrating_to() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
declare
  target uuid := case when new.phase in ('preparing', 'copying', 'handing-over', 'cancelling') then new.other_host_id end;
begin
  update port p set migrating_to = target, generation = p.generation + 1, updated_at = now()
  from server_port sp where sp.server_id = new.server_id and p.id = sp.port_id and p.migrating_to is distinct from target;
  return null;
end
$$;

CREATE FUNCTION public.note_migration_absence() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
  insert into server_absence (host_id, server_id, epoch, generation)
    select old.other_host_id, s.id, old.other_epoch, s.generation from server s
    where s.id = old.server_id and s.host_id is distinct from old.other_host_id
      and exists (select from host where id = old.other_host_id)
    on conflict (host_id, server_id) do update set epoch = excluded.epoch, generation = excluded.generation;
  return null;
end
$$;

CREATE TABLE public.volume (
    id uuid NOT NULL,
    project_id uuid NOT NULL,
    user_id uuid NOT NULL,
    name text DEFAULT ''::text NOT NULL,
    description text,
    size_gib integer NOT NULL,
    volume_type_id uuid NOT NULL,
    availability_zone text,
    host_id uuid,
    pool_id uuid,
    layer_id uuid,
    bootable boolean DEFAULT false NOT NULL,
    read_only boolean DEFAULT false NOT NULL,
    multiattach boolean DEFAULT false NOT NULL,
    consumes_quota boolean DEFAULT true NOT NULL,
    metadata jsonb DEFAULT '{}'::jsonb NOT NULL,
    image_metadata jsonb,
    source_volume_id uuid,
    source_snapshot_id uuid,
    source_image_id uuid,
    desired_task jsonb,
    desired_presence text DEFAULT 'present'::text NOT NULL,
    generation bigint DEFAULT 1 NOT NULL,
    fault jsonb,
    launched_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    read_only_said boolean DEFAULT false NOT NULL,
    group_id uuid,
    cache_pool_id uuid,
    cache_bytes bigint,
    move_outcome text,
    cache_policy text,
    CONSTRAINT volume_cache_bytes_check CHECK ((cache_bytes > 0)),
    CONSTRAINT volume_cache_policy_check CHECK ((cache_policy = ANY (ARRAY['write-back'::text, 'write-through'::text]))),
    CONSTRAINT volume_cache_policy_whole CHECK (((cache_policy IS NULL) = (cache_pool_id IS NULL))),
    CONSTRAINT volume_cache_whole CHECK (((cache_pool_id IS NULL) = (cache_bytes IS NULL))),
    CONSTRAINT volume_desired_presence_check CHECK ((desired_presence = ANY (ARRAY['present'::text, 'absent'::text]))),
    CONSTRAINT volume_move_outcome_check CHECK ((move_outcome = ANY (ARRAY['success'::text, 'error'::text]))),
    CONSTRAINT volume_size_gib_check CHECK ((size_gib > 0))
);

CREATE FUNCTION public.pool_volume_places(v public.volume) RETURNS TABLE(pool_id uuid, volume_type_id uuid, size_gib integer)
    LANGUAGE sql IMMUTABLE
    AS $$
  select v.pool_id, v.volume_type_id, v.size_gib where v.pool_id is not null
  union select coalesce((v.desired_task ->> 'pool_id')::uuid, v.pool_id), coalesce((v.desired_task ->> 'type_id')::uuid, v.volume_type_id), v.size_gib
  where v.desired_task ->> 'kind' in ('retype', 'migrate', 'carry', 'bring') and v.pool_id is not null
$$;

CREATE FUNCTION public.promise_bandwidth(ids uuid[]) RETURNS void
    LANGUAGE plpgsql
    AS $$
begin
  perform hold_host_bandwidth(array(select host_id from port where id = any(ids)
    union select host_id from port_bandwidth where port_id = any(ids)));
  delete from port_bandwidth b where b.port_id = any(ids) and not exists (
    select from port p join network n on n.id = p.network_id
      join qos_rule r on r.qos_policy_id = coalesce(p.qos_policy_id, n.qos_policy_id) and r.kind = 'minimum_bandwidth'
    where p.id = b.port_id and p.host_id is not null and p.device_owner not like 'network:%');
  insert into port_bandwidth as b (port_id, host_id, physical_network, egress_kbps, ingress_kbps)
    select p.id, p.host_id, coalesce(n.provider_physical_network, ''), coalesce(sum(r.min_kbps) filter (where r.direction = 'egress'), 0),
      coalesce(sum(r.min_kbps) filter (where r.direction = 'ingress'), 0)
    from port p join network n on n.id = p.network_id
      join qos_rule r on r.qos_policy_id = coalesce(p.qos_policy_id, n.qos_policy_id) and r.kind = 'minimum_bandwidth'
    where p.id = any(ids) and p.host_id is not null and p.device_owner not like 'network:%'
    group by p.id, n.id order by p.host_id, 3
    on conflict (port_id) do update set host_id = excluded.host_id, physical_network = excluded.physical_network,
      egress_kbps = excluded.egress_kbps, ingress_kbps = excluded.ingress_kbps
    where (b.host_id, b.physical_network, b.egress_kbps, b.ingress_kbps)
      is distinct from (excluded.host_id, excluded.physical_network, excluded.egress_kbps, excluded.ingress_kbps);
end
$$;

CREATE FUNCTION public.promise_network_bandwidth() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
  perform from qos_policy where id in (old.qos_policy_id, new.qos_policy_id) order by id for key share;
  perform promise_bandwidth(array(select id from port where network_id = new.id and qos_policy_id is null and host_id is not null));
  return null;
end
$$;

CREATE FUNCTION public.promise_policy_bandwidth() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
declare
  rule qos_rule := case when tg_op = 'DELETE' then old else new end;
begin
  if rule.kind = 'minimum_bandwidth' then
    perform promise_bandwidth(array(
      select id from port where qos_policy_id = rule.qos_policy_id and host_id is not null
      union select p.id from network n join port p on p.network_id = n.id
        where n.qos_policy_id = rule.qos_policy_id and p.qos_policy_id is null and p.host_id is not null));
  end if;
  return null;
end
$$;

CREATE FUNCTION public.promise_port_bandwidth() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
declare
  wanted uuid;
  had uuid;
begin
  -- Held, so that who changes the network's policy meanwhile waits, and finds the port where it is.
  select coalesce(new.qos_policy_id, qos_policy_id), coalesce(old.qos_policy_id, qos_policy_id) into wanted, had
    from network where id = new.network_id for key share;
  if wanted is null and had is null then
    return null;
  end if;
  perform from qos_policy where id in (wanted, had) order by id for key share;
  if wanted is not null and new.host_id is not null then
    perform promise_bandwidth(array[new.id]);
  else
    delete from port_bandwidth where port_id = new.id;
  end if;
  return null;
end
$$;

CREATE FUNCTION public.refuse_bandwidth() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
  raise exception 'more bandwidth promised than host % gives on network "%"', new.host_id, new.physical_network
    using errcode = 'check_violation', constraint = 'host_bandwidth_room', table = 'host_bandwidth';
end
$$;

CREATE FUNCTION public.remember_image_id() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
  insert into image_id_past (id) values (old.id) on conflict do nothing;
  return null;
end $$;

CREATE FUNCTION public.require_reachability_decided() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
  if exists (select from reachability_assertion where id = new.id and undecided) then
    raise exception 'reachability assertion % is undecided', new.id using errcode = 'BY001';
  end if;
  return null;
end
$$;

CREATE FUNCTION public.server_refuge_counted() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
  if exists (select from changed) then
    perform count_host_reserve(array(select distinct refuge_host_id from changed));
  end if;
  return null;
end
$$;

CREATE FUNCTION public.undecide_reachability() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
declare
  project uuid := coalesce(new.project_id, old.project_id);
begin
  if coalesce(current_setting('bothy.actor', true), '') = '' or not exists (
    select from reachability_assertion where project_id = project and on_violation = 'refuse' and state = 'holds') then
    return null;
  end if;
  if position(project::text in coalesce(current_setting('bothy.deciding', true), '')) = 0 then
    raise exception 'reachability assertions of project % are to be decided', project using errcode = 'BY001', detail = project::text;
  end if;
  update reachability_assertion set undecided = true
    where project_id = project and on_violation = 'refuse' and state = 'holds' and not undecided;
  return null;
end
$$;

CREATE FUNCTION public.volume_ends_copy() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
  perform end_second_copy(new.id);
  return null;
end
$$;

CREATE FUNCTION public.withdraw_port_bandwidth() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
  perform from qos_policy where id = coalesce(old.qos_policy_id, (select qos_policy_id from network where id = old.network_id for key share))
    for key share;
  delete from port_bandwidth where port_id = old.id;
  return null;
end
$$;

CREATE TABLE public.access_rule (
    id uuid NOT NULL,
    user_id uuid NOT NULL,
    service text NOT NULL,
    method text NOT NULL,
    path text NOT NULL
);

CREATE TABLE public.accounted_incarnation (
    incarnation uuid NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.address_group (
    id uuid NOT NULL,
    project_id uuid NOT NULL,
    name text DEFAULT ''::text NOT NULL,
    description text DEFAULT ''::text NOT NULL,
    addresses cidr[] DEFAULT '{}'::cidr[] NOT NULL,
    shared boolean DEFAULT false NOT NULL,
    tags text[] DEFAULT '{}'::text[] NOT NULL,
    generation bigint DEFAULT 1 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.address_scope (
    id uuid NOT NULL,
    project_id uuid NOT NULL,
    name text DEFAULT ''::text NOT NULL,
    ip_version integer NOT NULL,
    shared boolean DEFAULT false NOT NULL,
    generation bigint DEFAULT 1 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT address_scope_ip_version_check CHECK ((ip_version = ANY (ARRAY[4, 6])))
);

CREATE TABLE public.aggregate (
    id uuid NOT NULL,
    number integer NOT NULL,
    name text NOT NULL,
    availability_zone text,
    metadata jsonb DEFAULT '{}'::jsonb NOT NULL,
    generation bigint DEFAULT 1 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.aggregate_host (
    aggregate_id uuid NOT NULL,
    host_id uuid NOT NULL
);

ALTER TABLE public.aggregate ALTER COLUMN number ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.aggregate_number_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.application_credential (
    id uuid NOT NULL,
    user_id uuid NOT NULL,
    project_id uuid NOT NULL,
    name text NOT NULL,
    description text,
    role_ids uuid[] NOT NULL,
    access_rule_ids uuid[],
    unrestricted boolean DEFAULT false NOT NULL,
    expires_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.application_credential_secret (
    application_credential_id uuid NOT NULL,
    hash text NOT NULL
);

CREATE TABLE public.auto_allocated_topology (
    project_id uuid NOT NULL,
    network_id uuid NOT NULL,
    router_id uuid
);

CREATE TABLE public.backup (
    id uuid NOT NULL,
    project_id uuid NOT NULL,
    user_id uuid NOT NULL,
    name text DEFAULT ''::text NOT NULL,
    description text,
    volume_id uuid NOT NULL,
    snapshot_id uuid,
    parent_id uuid,
    size_gib integer NOT NULL,
    volume jsonb NOT NULL,
    metadata jsonb DEFAULT '{}'::jsonb NOT NULL,
    container text,
    availability_zone text,
    host_id uuid,
    file_name text NOT NULL,
    file_bytes bigint,
    sha256 text,
    layer_id uuid,
    data_at timestamp with time zone DEFAULT now() NOT NULL,
    desired_presence text DEFAULT 'present'::text NOT NULL,
    generation bigint DEFAULT 1 NOT NULL,
    fault jsonb,
    ready_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    key_id uuid,
    CONSTRAINT backup_desired_presence_check CHECK ((desired_presence = ANY (ARRAY['present'::text, 'absent'::text])))
);

CREATE TABLE public.change (
    sequence bigint NOT NULL,
    transaction_id xid8 DEFAULT pg_current_xact_id() NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    resource_type text NOT NULL,
    resource_id uuid NOT NULL,
    action text NOT NULL,
    project_id uuid,
    generation bigint,
    actor_id uuid,
    request_id text,
    body jsonb NOT NULL,
    observed_only boolean DEFAULT false NOT NULL,
    CONSTRAINT change_action_check1 CHECK ((action = ANY (ARRAY['created'::text, 'updated'::text, 'deleted'::text])))
)
PARTITION BY RANGE (at);

CREATE TABLE public.change_default (
    sequence bigint NOT NULL,
    transaction_id xid8 DEFAULT pg_current_xact_id() NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    resource_type text NOT NULL,
    resource_id uuid NOT NULL,
    action text NOT NULL,
    project_id uuid,
    generation bigint,
    actor_id uuid,
    request_id text,
    body jsonb NOT NULL,
    observed_only boolean DEFAULT false NOT NULL,
    CONSTRAINT change_action_check1 CHECK ((action = ANY (ARRAY['created'::text, 'updated'::text, 'deleted'::text])))
);

CREATE TABLE public.change_floor (
    only_row boolean DEFAULT true NOT NULL,
    transaction_id xid8 NOT NULL,
    sequence bigint NOT NULL,
    CONSTRAINT change_floor_only_row_check CHECK (only_row)
);

ALTER TABLE public.change ALTER COLUMN sequence ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.change_sequence_seq1
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.cloud (
    only_row boolean DEFAULT true NOT NULL,
    id uuid NOT NULL,
    region text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    incarnation uuid DEFAULT gen_random_uuid() NOT NULL,
    incarnation_place text DEFAULT ''::text NOT NULL,
    incarnation_reason text DEFAULT ''::text NOT NULL,
    incarnation_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT cloud_only_row_check CHECK (only_row)
);

CREATE TABLE public.console_token (
    digest bytea NOT NULL,
    server_id uuid NOT NULL,
    kind text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    CONSTRAINT console_token_kind_check CHECK ((kind = ANY (ARRAY['serial'::text, 'vnc'::text])))
);

CREATE TABLE public.container (
    id uuid NOT NULL,
    project_id uuid NOT NULL,
    name text NOT NULL COLLATE pg_catalog."C",
    bucket_name text COLLATE pg_catalog."C",
    metadata jsonb DEFAULT '{}'::jsonb NOT NULL,
    read_acl text DEFAULT ''::text NOT NULL,
    write_acl text DEFAULT ''::text NOT NULL,
    versioning text DEFAULT 'none'::text NOT NULL,
    quota_bytes bigint,
    quota_objects bigint,
    settings jsonb DEFAULT '{}'::jsonb NOT NULL,
    generation bigint DEFAULT 1 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT container_versioning_check CHECK ((versioning = ANY (ARRAY['none'::text, 'enabled'::text, 'suspended'::text])))
);

CREATE TABLE public.container_use (
    container_id uuid NOT NULL,
    objects bigint DEFAULT 0 NOT NULL,
    bytes bigint DEFAULT 0 NOT NULL,
    past_objects bigint DEFAULT 0 NOT NULL,
    past_bytes bigint DEFAULT 0 NOT NULL,
    upload_bytes bigint DEFAULT 0 NOT NULL,
    changed_at timestamp with time zone DEFAULT now() NOT NULL
)
WITH (fillfactor='50');

CREATE TABLE public.control_process (
    id uuid NOT NULL,
    machine text NOT NULL,
    url text NOT NULL,
    version text NOT NULL,
    started_at timestamp with time zone NOT NULL,
    seen_at timestamp with time zone NOT NULL
);

CREATE TABLE public.credential (
    id uuid NOT NULL,
    user_id uuid NOT NULL,
    project_id uuid,
    type text NOT NULL,
    sealed bytea NOT NULL,
    access_hash text,
    extra jsonb DEFAULT '{}'::jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.custom_trait (
    name text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT custom_trait_name_check CHECK (((name ~ '^CUSTOM_[A-Z0-9_]+$'::text) AND (length(name) <= 255)))
);

CREATE TABLE public.decision (
    id uuid NOT NULL,
    project_id uuid,
    resource_type text NOT NULL,
    resource_id uuid NOT NULL,
    kind text NOT NULL,
    outcome text NOT NULL,
    inputs jsonb NOT NULL,
    explanation jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
)
PARTITION BY RANGE (id);

CREATE TABLE public.decision_default (
    id uuid NOT NULL,
    project_id uuid,
    resource_type text NOT NULL,
    resource_id uuid NOT NULL,
    kind text NOT NULL,
    outcome text NOT NULL,
    inputs jsonb NOT NULL,
    explanation jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.default_security_group_rule (
    id uuid NOT NULL,
    direction text NOT NULL,
    ethertype text NOT NULL,
    protocol text,
    port_range_min integer,
    port_range_max integer,
    remote_ip_prefix text,
    remote_own_group boolean DEFAULT false NOT NULL,
    remote_group_id uuid,
    remote_address_group_id uuid,
    description text DEFAULT ''::text NOT NULL,
    used_in_default_group boolean DEFAULT false NOT NULL,
    used_in_other_groups boolean DEFAULT true NOT NULL,
    generation bigint DEFAULT 1 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT default_security_group_rule_check CHECK (((NOT remote_own_group) OR (remote_group_id IS NULL))),
    CONSTRAINT default_security_group_rule_direction_check CHECK ((direction = ANY (ARRAY['ingress'::text, 'egress'::text]))),
    CONSTRAINT default_security_group_rule_ethertype_check CHECK ((ethertype = ANY (ARRAY['IPv4'::text, 'IPv6'::text])))
);

CREATE TABLE public.domain (
    id uuid NOT NULL,
    name text NOT NULL,
    description text DEFAULT ''::text NOT NULL,
    enabled boolean DEFAULT true NOT NULL,
    is_default boolean DEFAULT false NOT NULL,
    tags text[] DEFAULT '{}'::text[] NOT NULL,
    options jsonb DEFAULT '{}'::jsonb NOT NULL,
    extra jsonb DEFAULT '{}'::jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.domain_config (
    id uuid NOT NULL,
    domain_id uuid NOT NULL,
    section text NOT NULL,
    option text NOT NULL,
    value jsonb NOT NULL
);

CREATE TABLE public.endpoint (
    id uuid NOT NULL,
    service_id uuid NOT NULL,
    region_id uuid,
    interface text NOT NULL,
    url text NOT NULL,
    enabled boolean DEFAULT true NOT NULL,
    builtin boolean DEFAULT false NOT NULL,
    extra jsonb DEFAULT '{}'::jsonb NOT NULL,
    CONSTRAINT endpoint_interface_check CHECK ((interface = ANY (ARRAY['public'::text, 'internal'::text, 'admin'::text])))
);

CREATE TABLE public.endpoint_group (
    id uuid NOT NULL,
    name text NOT NULL,
    description text DEFAULT ''::text NOT NULL,
    filters jsonb NOT NULL
);

CREATE TABLE public.federated_user (
    user_id uuid NOT NULL,
    identity_provider_id uuid NOT NULL,
    protocol text NOT NULL,
    unique_id text NOT NULL
);

CREATE TABLE public.federation_protocol (
    id uuid NOT NULL,
    identity_provider_id uuid NOT NULL,
    name text NOT NULL,
    mapping_id uuid NOT NULL,
    remote_id_attribute text
);

CREATE TABLE public.flavor (
    id uuid NOT NULL,
    flavor_id text NOT NULL,
    name text NOT NULL,
    description text,
    vcpus integer NOT NULL,
    memory_mib integer NOT NULL,
    disk_gib integer NOT NULL,
    ephemeral_gib integer DEFAULT 0 NOT NULL,
    swap_mib integer DEFAULT 0 NOT NULL,
    rxtx_factor real DEFAULT 1 NOT NULL,
    public boolean DEFAULT true NOT NULL,
    disabled boolean DEFAULT false NOT NULL,
    extra_specs jsonb DEFAULT '{}'::jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT flavor_disk_gib_check CHECK ((disk_gib >= 0)),
    CONSTRAINT flavor_memory_mib_check CHECK ((memory_mib > 0)),
    CONSTRAINT flavor_vcpus_check CHECK ((vcpus > 0))
);

CREATE TABLE public.flavor_access (
    flavor_id uuid NOT NULL,
    project_id uuid NOT NULL
);

CREATE TABLE public.floating_ip (
    id uuid NOT NULL,
    project_id uuid NOT NULL,
    floating_network_id uuid NOT NULL,
    floating_port_id uuid NOT NULL,
    floating_ip inet NOT NULL,
    port_id uuid,
    fixed_ip inet,
    router_id uuid,
    description text DEFAULT ''::text NOT NULL,
    dns_name text DEFAULT ''::text NOT NULL,
    dns_domain text DEFAULT ''::text NOT NULL,
    tags text[] DEFAULT '{}'::text[] NOT NULL,
    generation bigint DEFAULT 1 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    qos_policy_id uuid
);

CREATE TABLE public.forgotten (
    id uuid NOT NULL,
    kind text NOT NULL,
    deleted_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT forgotten_kind_check CHECK ((kind = ANY (ARRAY['project'::text, 'user'::text])))
);

CREATE TABLE public.group_snapshot (
    id uuid NOT NULL,
    project_id uuid NOT NULL,
    user_id uuid NOT NULL,
    group_id uuid NOT NULL,
    group_type_id uuid NOT NULL,
    name text DEFAULT ''::text NOT NULL,
    description text,
    fault jsonb,
    generation bigint DEFAULT 1 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.group_type (
    id uuid NOT NULL,
    name text NOT NULL,
    description text,
    public boolean DEFAULT true NOT NULL,
    group_specs jsonb DEFAULT '{}'::jsonb NOT NULL,
    generation bigint DEFAULT 1 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.host (
    id uuid NOT NULL,
    name text NOT NULL,
    availability_zone text DEFAULT 'nova'::text NOT NULL,
    enabled boolean DEFAULT true NOT NULL,
    disabled_reason text,
    facts jsonb DEFAULT '{}'::jsonb NOT NULL,
    physical_networks text[] DEFAULT '{physnet1}'::text[] NOT NULL,
    vcpus integer DEFAULT 0 NOT NULL,
    memory_mib bigint DEFAULT 0 NOT NULL,
    disk_gib bigint DEFAULT 0 NOT NULL,
    connected boolean DEFAULT false NOT NULL,
    connection_id uuid,
    last_seen_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    changed_in xid8 DEFAULT pg_current_xact_id() NOT NULL,
    forced_down boolean DEFAULT false NOT NULL,
    agent_description text DEFAULT ''::text NOT NULL,
    disabled_by jsonb,
    forced_down_by jsonb,
    traits text[] DEFAULT '{}'::text[] NOT NULL,
    vcpus_ratio double precision,
    memory_ratio double precision,
    disk_ratio double precision,
    vcpus_reserved bigint,
    memory_reserved_mib bigint,
    disk_reserved_gib bigint,
    provider_generation bigint DEFAULT 0 NOT NULL,
    failure_domains jsonb DEFAULT '{}'::jsonb NOT NULL,
    lease_ends_at timestamp with time zone,
    maintenance jsonb,
    powered_off_at timestamp with time zone,
    left_at timestamp with time zone,
    connected_at timestamp with time zone,
    CONSTRAINT host_disk_ratio_check CHECK ((disk_ratio > (0)::double precision)),
    CONSTRAINT host_disk_reserved_gib_check CHECK ((disk_reserved_gib >= 0)),
    CONSTRAINT host_memory_ratio_check CHECK ((memory_ratio > (0)::double precision)),
    CONSTRAINT host_memory_reserved_mib_check CHECK ((memory_reserved_mib >= 0)),
    CONSTRAINT host_vcpus_ratio_check CHECK ((vcpus_ratio > (0)::double precision)),
    CONSTRAINT host_vcpus_reserved_check CHECK ((vcpus_reserved >= 0))
);

CREATE TABLE public.host_bandwidth (
    host_id uuid NOT NULL,
    physical_network text NOT NULL,
    egress_kbps bigint DEFAULT 0 NOT NULL,
    ingress_kbps bigint DEFAULT 0 NOT NULL,
    used_egress_kbps bigint DEFAULT 0 NOT NULL,
    used_ingress_kbps bigint DEFAULT 0 NOT NULL
)
WITH (fillfactor='50');

CREATE TABLE public.host_bmc (
    host_id uuid NOT NULL,
    url text NOT NULL,
    user_name text NOT NULL,
    sealed bytea NOT NULL,
    fingerprint256 text,
    ca text,
    system text,
    fences boolean DEFAULT true NOT NULL,
    contradicted_at timestamp with time zone,
    generation bigint DEFAULT 1 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    wake_seconds integer,
    accepted jsonb,
    CONSTRAINT host_bmc_trust CHECK (
CASE
    WHEN (url ~~ 'ipmi:%'::text) THEN ((fingerprint256 IS NULL) AND (ca IS NULL))
    ELSE ((fingerprint256 IS NULL) <> (ca IS NULL))
END)
);

CREATE TABLE public.host_power_off (
    id uuid NOT NULL,
    host_id uuid NOT NULL,
    silent_since timestamp with time zone NOT NULL,
    next_at timestamp with time zone DEFAULT now() NOT NULL,
    asked integer DEFAULT 0 NOT NULL,
    asked_at timestamp with time zone,
    said text,
    system text,
    label text,
    off_at timestamp with time zone,
    error text,
    ended text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT host_power_off_ended_check CHECK ((ended = ANY (ARRAY['heard'::text, 'contradicted'::text])))
);

CREATE TABLE public.host_reserve (
    host_id uuid NOT NULL,
    vcpus bigint DEFAULT 0 NOT NULL,
    memory_mib bigint DEFAULT 0 NOT NULL,
    disk_gib bigint DEFAULT 0 NOT NULL,
    changed_in xid8 DEFAULT pg_current_xact_id() NOT NULL
)
WITH (fillfactor='50');

CREATE TABLE public.host_standby (
    host_id uuid NOT NULL,
    desired text DEFAULT 'standby'::text NOT NULL,
    reason text NOT NULL,
    wake_reason text,
    next_at timestamp with time zone DEFAULT now() NOT NULL,
    asked integer DEFAULT 0 NOT NULL,
    asked_at timestamp with time zone,
    off_at timestamp with time zone,
    wake_began_at timestamp with time zone,
    wake_asked integer DEFAULT 0 NOT NULL,
    wake_asked_at timestamp with time zone,
    overdue_at timestamp with time zone,
    error text,
    changed_in xid8 DEFAULT pg_current_xact_id() NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT host_standby_desired_check CHECK ((desired = ANY (ARRAY['standby'::text, 'awake'::text])))
);

CREATE TABLE public.host_token (
    id uuid NOT NULL,
    secret_sha256 text NOT NULL,
    host_name text,
    expires_at timestamp with time zone NOT NULL,
    used_at timestamp with time zone,
    used_by uuid,
    used_key_sha256 text,
    generation bigint DEFAULT 1 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT host_token_check CHECK (((used_at IS NULL) = (used_key_sha256 IS NULL)))
);

CREATE TABLE public.host_tunnels (
    host_id uuid NOT NULL,
    peers integer NOT NULL,
    tried integer NOT NULL,
    oldest_ms bigint,
    broken jsonb DEFAULT '[]'::jsonb NOT NULL,
    faults integer NOT NULL,
    said_at timestamp with time zone DEFAULT now() NOT NULL,
    changed_in xid8 DEFAULT pg_current_xact_id() NOT NULL,
    CONSTRAINT host_tunnels_faults_check CHECK ((faults >= 0)),
    CONSTRAINT host_tunnels_peers_check CHECK ((peers >= 0)),
    CONSTRAINT host_tunnels_tried_check CHECK ((tried >= 0))
);

CREATE TABLE public.host_usage (
    host_id uuid NOT NULL,
    servers integer DEFAULT 0 NOT NULL,
    vcpus bigint DEFAULT 0 NOT NULL,
    memory_mib bigint DEFAULT 0 NOT NULL,
    disk_gib bigint DEFAULT 0 NOT NULL,
    changed_in xid8 DEFAULT pg_current_xact_id() NOT NULL,
    CONSTRAINT host_usage_disk_gib_check CHECK ((disk_gib >= 0)),
    CONSTRAINT host_usage_memory_mib_check CHECK ((memory_mib >= 0)),
    CONSTRAINT host_usage_servers_check CHECK ((servers >= 0)),
    CONSTRAINT host_usage_vcpus_check CHECK ((vcpus >= 0))
)
WITH (fillfactor='50');

CREATE TABLE public.host_watts (
    host_id uuid NOT NULL,
    watts integer,
    source text,
    measured_at timestamp with time zone,
    next_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT host_watts_check CHECK (((watts IS NULL) = (source IS NULL))),
    CONSTRAINT host_watts_source_check CHECK ((source = ANY (ARRAY['bmc'::text, 'rapl'::text]))),
    CONSTRAINT host_watts_watts_check CHECK ((watts >= 0))
)
WITH (fillfactor='50');

CREATE TABLE public.identity_provider (
    id uuid NOT NULL,
    name text NOT NULL,
    domain_id uuid NOT NULL,
    description text,
    enabled boolean DEFAULT true NOT NULL,
    remote_ids text[] DEFAULT '{}'::text[] NOT NULL,
    authorization_ttl integer,
    client_id text,
    sealed_client_secret bytea,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    client_scope text
);

CREATE TABLE public.image (
    id uuid NOT NULL,
    project_id uuid,
    name text,
    visibility text DEFAULT 'shared'::text NOT NULL,
    status text DEFAULT 'queued'::text NOT NULL,
    disk_format text,
    container_format text,
    size_bytes bigint,
    virtual_size_bytes bigint,
    md5 text,
    sha256 text,
    min_disk_gib integer DEFAULT 0 NOT NULL,
    min_memory_mib integer DEFAULT 0 NOT NULL,
    protected boolean DEFAULT false NOT NULL,
    hidden boolean DEFAULT false NOT NULL,
    owner_properties jsonb DEFAULT '{}'::jsonb NOT NULL,
    tags text[] DEFAULT '{}'::text[] NOT NULL,
    desired_presence text DEFAULT 'present'::text NOT NULL,
    upload_id uuid,
    generation bigint DEFAULT 1 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    sha512 text,
    import_failure text,
    captured_from uuid,
    foreign_owner text,
    captured_by text DEFAULT 'server'::text NOT NULL,
    key_id uuid,
    CONSTRAINT image_captured_by_check CHECK ((captured_by = ANY (ARRAY['server'::text, 'volume'::text]))),
    CONSTRAINT image_desired_presence_check CHECK ((desired_presence = ANY (ARRAY['present'::text, 'absent'::text]))),
    CONSTRAINT image_owner CHECK (((project_id IS NULL) <> (foreign_owner IS NULL))),
    CONSTRAINT image_status_check CHECK ((status = ANY (ARRAY['queued'::text, 'saving'::text, 'uploading'::text, 'importing'::text, 'active'::text, 'killed'::text, 'deactivated'::text, 'pending_delete'::text]))),
    CONSTRAINT image_visibility_check CHECK ((visibility = ANY (ARRAY['public'::text, 'private'::text, 'shared'::text, 'community'::text])))
);

CREATE TABLE public.image_copy (
    image_id uuid NOT NULL,
    host_id uuid NOT NULL,
    copy_id uuid NOT NULL,
    deadline timestamp with time zone NOT NULL
);

CREATE TABLE public.image_id_past (
    id uuid NOT NULL
);

CREATE TABLE public.image_location (
    image_id uuid NOT NULL,
    host_id uuid NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.image_member (
    image_id uuid NOT NULL,
    project_id uuid NOT NULL,
    status text DEFAULT 'pending'::text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT image_member_status_check CHECK ((status = ANY (ARRAY['pending'::text, 'accepted'::text, 'rejected'::text])))
);

CREATE TABLE public.image_task (
    id uuid NOT NULL,
    image_id uuid NOT NULL,
    user_id text NOT NULL,
    request_id text NOT NULL,
    input jsonb NOT NULL,
    status text DEFAULT 'pending'::text NOT NULL,
    message text DEFAULT ''::text NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    ended_at timestamp with time zone,
    CONSTRAINT image_task_status_check CHECK ((status = ANY (ARRAY['pending'::text, 'processing'::text, 'success'::text, 'failure'::text])))
);

CREATE TABLE public.image_upload (
    upload_id uuid NOT NULL,
    image_id uuid NOT NULL,
    deadline timestamp with time zone NOT NULL
);

CREATE TABLE public.key_pair (
    id uuid NOT NULL,
    user_id uuid NOT NULL,
    name text NOT NULL,
    type text DEFAULT 'ssh'::text NOT NULL,
    public_key text NOT NULL,
    fingerprint text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT key_pair_type_check CHECK ((type = ANY (ARRAY['ssh'::text, 'x509'::text])))
);

CREATE TABLE public.lease (
    role text NOT NULL,
    holder uuid NOT NULL,
    epoch bigint NOT NULL,
    expires_at timestamp with time zone NOT NULL
);

CREATE TABLE public.local_ip (
    id uuid NOT NULL,
    project_id uuid NOT NULL,
    network_id uuid NOT NULL,
    name text DEFAULT ''::text NOT NULL,
    description text DEFAULT ''::text NOT NULL,
    local_port_id uuid NOT NULL,
    local_ip_address inet NOT NULL,
    ip_mode text DEFAULT 'translate'::text NOT NULL,
    tags text[] DEFAULT '{}'::text[] NOT NULL,
    generation bigint DEFAULT 1 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT local_ip_ip_mode_check CHECK ((ip_mode = ANY (ARRAY['translate'::text, 'passthrough'::text]))),
    CONSTRAINT local_ip_local_ip_address_check CHECK ((family(local_ip_address) = 4))
);

CREATE TABLE public.local_ip_association (
    id uuid NOT NULL,
    project_id uuid NOT NULL,
    local_ip_id uuid NOT NULL,
    network_id uuid NOT NULL,
    fixed_port_id uuid NOT NULL,
    fixed_ip inet NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT local_ip_association_fixed_ip_check CHECK ((family(fixed_ip) = 4))
);

CREATE TABLE public.mapping (
    id uuid NOT NULL,
    name text NOT NULL,
    rules jsonb NOT NULL,
    schema_version text DEFAULT '1.0'::text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.metadef_entry (
    id uuid NOT NULL,
    namespace_id uuid NOT NULL,
    kind text NOT NULL,
    name text NOT NULL,
    body jsonb DEFAULT '{}'::jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT metadef_entry_kind_check CHECK ((kind = ANY (ARRAY['object'::text, 'property'::text, 'tag'::text, 'resource_type'::text])))
);

CREATE TABLE public.metadef_namespace (
    id uuid NOT NULL,
    project_id uuid NOT NULL,
    name text NOT NULL,
    display_name text,
    description text,
    visibility text DEFAULT 'private'::text NOT NULL,
    protected boolean DEFAULT false NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT metadef_namespace_visibility_check CHECK ((visibility = ANY (ARRAY['public'::text, 'private'::text])))
);

CREATE TABLE public.meter (
    id uuid NOT NULL,
    port_id uuid,
    floating_ip_id uuid,
    router_id uuid,
    project_id uuid NOT NULL,
    rx_bytes bigint DEFAULT 0 NOT NULL,
    rx_packets bigint DEFAULT 0 NOT NULL,
    tx_bytes bigint DEFAULT 0 NOT NULL,
    tx_packets bigint DEFAULT 0 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    metering_label_id uuid,
    resource_type text GENERATED ALWAYS AS (
CASE
    WHEN (port_id IS NOT NULL) THEN 'port'::text
    WHEN (floating_ip_id IS NOT NULL) THEN 'floating_ip'::text
    WHEN (metering_label_id IS NOT NULL) THEN 'metering_label'::text
    ELSE 'router'::text
END) STORED NOT NULL,
    CONSTRAINT meter_check CHECK ((num_nonnulls(port_id, floating_ip_id, router_id, metering_label_id) = 1)),
    CONSTRAINT meter_check1 CHECK ((id = COALESCE(port_id, floating_ip_id, router_id, metering_label_id)))
);

CREATE TABLE public.meter_reading (
    host_id uuid NOT NULL,
    source text NOT NULL,
    meter_id uuid,
    rx_bytes bigint NOT NULL,
    rx_packets bigint NOT NULL,
    tx_bytes bigint NOT NULL,
    tx_packets bigint NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.metering_label (
    id uuid NOT NULL,
    project_id uuid NOT NULL,
    name text DEFAULT ''::text NOT NULL,
    description text DEFAULT ''::text NOT NULL,
    shared boolean DEFAULT false NOT NULL,
    generation bigint DEFAULT 1 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.metering_label_rule (
    id uuid NOT NULL,
    metering_label_id uuid NOT NULL,
    direction text NOT NULL,
    remote_ip_prefix inet,
    source_ip_prefix inet,
    destination_ip_prefix inet,
    excluded boolean DEFAULT false NOT NULL,
    CONSTRAINT metering_label_rule_check CHECK ((num_nonnulls(remote_ip_prefix, source_ip_prefix, destination_ip_prefix) >= 1)),
    CONSTRAINT metering_label_rule_check1 CHECK (((remote_ip_prefix IS NULL) OR (num_nonnulls(source_ip_prefix, destination_ip_prefix) = 0))),
    CONSTRAINT metering_label_rule_check2 CHECK (((source_ip_prefix IS NULL) OR (destination_ip_prefix IS NULL) OR (family(source_ip_prefix) = family(destination_ip_prefix)))),
    CONSTRAINT metering_label_rule_direction_check CHECK ((direction = ANY (ARRAY['ingress'::text, 'egress'::text])))
);

CREATE TABLE public.migration (
    name text NOT NULL,
    sha256 text NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.ndp_proxy (
    id uuid NOT NULL,
    project_id uuid NOT NULL,
    name text DEFAULT ''::text NOT NULL,
    description text DEFAULT ''::text NOT NULL,
    router_id uuid NOT NULL,
    port_id uuid NOT NULL,
    ip_address inet NOT NULL,
    generation bigint DEFAULT 1 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT ndp_proxy_ip_address_check CHECK ((family(ip_address) = 6))
);

CREATE TABLE public.network (
    id uuid NOT NULL,
    project_id uuid NOT NULL,
    name text DEFAULT ''::text NOT NULL,
    description text DEFAULT ''::text NOT NULL,
    admin_state_up boolean DEFAULT true NOT NULL,
    shared boolean DEFAULT false NOT NULL,
    external boolean DEFAULT false NOT NULL,
    is_default boolean DEFAULT false NOT NULL,
    port_security_enabled boolean DEFAULT true NOT NULL,
    mtu integer DEFAULT 1442 NOT NULL,
    provider_network_type text DEFAULT 'geneve'::text NOT NULL,
    provider_physical_network text,
    provider_segmentation_id integer,
    dns_domain text DEFAULT ''::text NOT NULL,
    tags text[] DEFAULT '{}'::text[] NOT NULL,
    generation bigint DEFAULT 1 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    qos_policy_id uuid,
    CONSTRAINT network_provider_network_type_check CHECK ((provider_network_type = ANY (ARRAY['geneve'::text, 'flat'::text, 'vlan'::text, 'local'::text])))
);

CREATE TABLE public.network_flavor (
    id uuid NOT NULL,
    name text DEFAULT ''::text NOT NULL,
    description text DEFAULT ''::text NOT NULL,
    service_type text NOT NULL,
    enabled boolean DEFAULT true NOT NULL,
    generation bigint DEFAULT 1 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT network_flavor_service_type_check CHECK ((service_type = 'L3_ROUTER_NAT'::text))
);

CREATE TABLE public.network_flavor_profile (
    network_flavor_id uuid NOT NULL,
    service_profile_id uuid NOT NULL
);

CREATE SEQUENCE public.network_segment
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    MAXVALUE 16777215
    CACHE 1
    CYCLE;

CREATE SEQUENCE public.object_sequence
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

CREATE TABLE public.object (
    container_id uuid NOT NULL,
    name text NOT NULL COLLATE pg_catalog."C",
    sequence bigint DEFAULT nextval('public.object_sequence'::regclass) NOT NULL,
    id uuid NOT NULL,
    current boolean NOT NULL,
    null_version boolean NOT NULL,
    delete_marker boolean DEFAULT false NOT NULL,
    size_bytes bigint NOT NULL,
    etag text NOT NULL,
    content_type text NOT NULL,
    metadata jsonb,
    headers jsonb,
    checksums jsonb,
    tags jsonb,
    lock jsonb,
    manifest jsonb,
    blob_id uuid,
    parts integer DEFAULT 0 NOT NULL,
    owner_id text DEFAULT ''::text NOT NULL,
    expires_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.object_account (
    project_id uuid NOT NULL,
    metadata jsonb DEFAULT '{}'::jsonb NOT NULL,
    quota_bytes bigint,
    containers bigint DEFAULT 0 NOT NULL,
    objects bigint DEFAULT 0 NOT NULL,
    bytes bigint DEFAULT 0 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.object_blob (
    id uuid NOT NULL,
    disk_id uuid NOT NULL,
    intent_id uuid NOT NULL,
    file text NOT NULL,
    offset_bytes bigint NOT NULL,
    length bigint NOT NULL
);

CREATE TABLE public.object_disk (
    id uuid NOT NULL,
    host_id uuid NOT NULL,
    name text NOT NULL,
    state text DEFAULT 'in_use'::text NOT NULL,
    path text DEFAULT ''::text NOT NULL,
    total_bytes bigint DEFAULT 0 NOT NULL,
    free_bytes bigint DEFAULT 0 NOT NULL,
    problem text,
    seen_at timestamp with time zone DEFAULT now() NOT NULL,
    generation bigint DEFAULT 1 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT object_disk_state_check CHECK ((state = ANY (ARRAY['in_use'::text, 'draining'::text, 'gone'::text])))
);

CREATE TABLE public.object_intent (
    id uuid NOT NULL,
    holder text NOT NULL,
    deadline timestamp with time zone NOT NULL,
    state text DEFAULT 'open'::text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT object_intent_state_check CHECK ((state = ANY (ARRAY['open'::text, 'closed'::text, 'kept'::text])))
);

CREATE TABLE public.object_intent_disk (
    intent_id uuid NOT NULL,
    disk_id uuid NOT NULL,
    dead_bytes bigint DEFAULT 0 NOT NULL,
    look_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.object_part (
    object_id uuid NOT NULL,
    number integer NOT NULL,
    blob_id uuid,
    size_bytes bigint NOT NULL,
    etag text NOT NULL,
    checksums jsonb
);

CREATE TABLE public.object_removal (
    blob_id uuid NOT NULL,
    removed_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.object_upload (
    id uuid NOT NULL,
    container_id uuid NOT NULL,
    name text NOT NULL COLLATE pg_catalog."C",
    wish jsonb NOT NULL,
    initiator_id text DEFAULT ''::text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.object_upload_part (
    upload_id uuid NOT NULL,
    number integer NOT NULL,
    blob_id uuid,
    size_bytes bigint NOT NULL,
    etag text NOT NULL,
    checksums jsonb,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT object_upload_part_number_check CHECK (((number >= 1) AND (number <= 10000)))
);

CREATE TABLE public.operation (
    id uuid NOT NULL,
    project_id uuid,
    resource_type text NOT NULL,
    resource_id uuid NOT NULL,
    verb text NOT NULL,
    generation bigint NOT NULL,
    state text DEFAULT 'running'::text NOT NULL,
    owner text NOT NULL,
    waiting_for text,
    deadline timestamp with time zone NOT NULL,
    attempt integer DEFAULT 0 NOT NULL,
    error_code text,
    error_message text,
    actor_id uuid,
    request_id text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    finished_at timestamp with time zone,
    dismissed_at timestamp with time zone,
    CONSTRAINT operation_check CHECK (((state = 'running'::text) = (finished_at IS NULL))),
    CONSTRAINT operation_state_check CHECK ((state = ANY (ARRAY['running'::text, 'succeeded'::text, 'failed'::text])))
)
PARTITION BY RANGE (id);

CREATE TABLE public.operation_default (
    id uuid NOT NULL,
    project_id uuid,
    resource_type text NOT NULL,
    resource_id uuid NOT NULL,
    verb text NOT NULL,
    generation bigint NOT NULL,
    state text DEFAULT 'running'::text NOT NULL,
    owner text NOT NULL,
    waiting_for text,
    deadline timestamp with time zone NOT NULL,
    attempt integer DEFAULT 0 NOT NULL,
    error_code text,
    error_message text,
    actor_id uuid,
    request_id text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    finished_at timestamp with time zone,
    dismissed_at timestamp with time zone,
    CONSTRAINT operation_check CHECK (((state = 'running'::text) = (finished_at IS NULL))),
    CONSTRAINT operation_state_check CHECK ((state = ANY (ARRAY['running'::text, 'succeeded'::text, 'failed'::text])))
);

CREATE TABLE public.own_limit (
    id uuid NOT NULL,
    registered_limit_id uuid NOT NULL,
    project_id uuid,
    domain_id uuid,
    resource_limit bigint NOT NULL,
    description text,
    CONSTRAINT own_limit_check CHECK ((num_nonnulls(project_id, domain_id) = 1)),
    CONSTRAINT own_limit_resource_limit_check CHECK ((resource_limit >= '-1'::integer))
);

CREATE TABLE public.policy (
    id uuid NOT NULL,
    type text NOT NULL,
    blob text NOT NULL,
    extra jsonb DEFAULT '{}'::jsonb NOT NULL
);

CREATE TABLE public.port (
    id uuid NOT NULL,
    project_id uuid NOT NULL,
    network_id uuid NOT NULL,
    name text DEFAULT ''::text NOT NULL,
    description text DEFAULT ''::text NOT NULL,
    mac macaddr NOT NULL,
    admin_state_up boolean DEFAULT true NOT NULL,
    device_id text DEFAULT ''::text NOT NULL,
    device_owner text DEFAULT ''::text NOT NULL,
    port_security_enabled boolean DEFAULT true NOT NULL,
    allowed_address_pairs jsonb DEFAULT '[]'::jsonb NOT NULL,
    extra_dhcp_opts jsonb DEFAULT '[]'::jsonb NOT NULL,
    dns_name text DEFAULT ''::text NOT NULL,
    binding_vnic_type text DEFAULT 'normal'::text NOT NULL,
    host_id uuid,
    binding_host text DEFAULT ''::text NOT NULL,
    delete_with_device boolean DEFAULT false NOT NULL,
    observed_up boolean DEFAULT false NOT NULL,
    tags text[] DEFAULT '{}'::text[] NOT NULL,
    generation bigint DEFAULT 1 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    card_limits jsonb DEFAULT '{}'::jsonb NOT NULL,
    qos_policy_id uuid,
    propagate_uplink_status boolean DEFAULT true NOT NULL,
    dns_domain text DEFAULT ''::text NOT NULL,
    ip_deferred boolean DEFAULT false NOT NULL,
    migrating_to uuid
);

CREATE TABLE public.port_bandwidth (
    port_id uuid NOT NULL,
    host_id uuid NOT NULL,
    physical_network text NOT NULL,
    egress_kbps bigint NOT NULL,
    ingress_kbps bigint NOT NULL
);

CREATE TABLE public.port_forwarding (
    id uuid NOT NULL,
    project_id uuid NOT NULL,
    floating_ip_id uuid NOT NULL,
    router_id uuid NOT NULL,
    protocol text NOT NULL,
    external_first integer NOT NULL,
    external_last integer NOT NULL,
    port_id uuid NOT NULL,
    fixed_ip inet NOT NULL,
    internal_first integer NOT NULL,
    internal_last integer NOT NULL,
    description text DEFAULT ''::text NOT NULL,
    generation bigint DEFAULT 1 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT port_forwarding_check CHECK (((external_last >= external_first) AND (external_last <= 65535))),
    CONSTRAINT port_forwarding_check1 CHECK (((internal_last >= internal_first) AND (internal_last <= 65535))),
    CONSTRAINT port_forwarding_check2 CHECK (((internal_last = internal_first) OR ((internal_last - internal_first) = (external_last - external_first)))),
    CONSTRAINT port_forwarding_external_first_check CHECK (((external_first >= 1) AND (external_first <= 65535))),
    CONSTRAINT port_forwarding_internal_first_check CHECK (((internal_first >= 1) AND (internal_first <= 65535))),
    CONSTRAINT port_forwarding_protocol_check CHECK ((protocol = ANY (ARRAY['tcp'::text, 'udp'::text])))
);

CREATE TABLE public.port_ip (
    port_id uuid NOT NULL,
    subnet_id uuid NOT NULL,
    network_id uuid NOT NULL,
    ip inet NOT NULL,
    "position" integer DEFAULT 0 NOT NULL
);

CREATE TABLE public.port_security_group (
    port_id uuid NOT NULL,
    security_group_id uuid NOT NULL
);

CREATE TABLE public.project (
    id uuid NOT NULL,
    domain_id uuid NOT NULL,
    parent_id uuid,
    name text NOT NULL,
    description text DEFAULT ''::text NOT NULL,
    enabled boolean DEFAULT true NOT NULL,
    tags text[] DEFAULT '{}'::text[] NOT NULL,
    options jsonb DEFAULT '{}'::jsonb NOT NULL,
    extra jsonb DEFAULT '{}'::jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.project_endpoint (
    project_id uuid NOT NULL,
    endpoint_id uuid NOT NULL
);

CREATE TABLE public.project_endpoint_group (
    project_id uuid NOT NULL,
    endpoint_group_id uuid NOT NULL
);

CREATE TABLE public.qos_policy (
    id uuid NOT NULL,
    project_id uuid NOT NULL,
    name text DEFAULT ''::text NOT NULL,
    description text DEFAULT ''::text NOT NULL,
    is_default boolean DEFAULT false NOT NULL,
    shared boolean DEFAULT false NOT NULL,
    tags text[] DEFAULT '{}'::text[] NOT NULL,
    generation bigint DEFAULT 1 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.qos_rule (
    id uuid NOT NULL,
    qos_policy_id uuid NOT NULL,
    kind text NOT NULL,
    direction text DEFAULT 'egress'::text NOT NULL,
    max_kbps integer,
    max_burst_kbps integer,
    dscp_mark smallint,
    min_kbps integer,
    CONSTRAINT qos_rule_check CHECK (((kind <> 'bandwidth_limit'::text) OR (num_nonnulls(max_kbps, max_burst_kbps) = 2))),
    CONSTRAINT qos_rule_check1 CHECK (((kind <> 'dscp_marking'::text) OR ((dscp_mark IS NOT NULL) AND (direction = 'egress'::text)))),
    CONSTRAINT qos_rule_direction_check CHECK ((direction = ANY (ARRAY['ingress'::text, 'egress'::text]))),
    CONSTRAINT qos_rule_dscp_mark_check CHECK (((dscp_mark >= 0) AND (dscp_mark <= 56))),
    CONSTRAINT qos_rule_kind_check CHECK ((kind = ANY (ARRAY['bandwidth_limit'::text, 'dscp_marking'::text, 'minimum_bandwidth'::text]))),
    CONSTRAINT qos_rule_max_burst_kbps_check CHECK ((max_burst_kbps >= 0)),
    CONSTRAINT qos_rule_max_kbps_check CHECK ((max_kbps > 0)),
    CONSTRAINT qos_rule_min_kbps_check CHECK ((min_kbps >= 0)),
    CONSTRAINT qos_rule_minimum_check CHECK (((kind <> 'minimum_bandwidth'::text) OR (min_kbps IS NOT NULL)))
);

CREATE TABLE public.qos_specs (
    id uuid NOT NULL,
    name text NOT NULL,
    consumer text DEFAULT 'back-end'::text NOT NULL,
    specs jsonb DEFAULT '{}'::jsonb NOT NULL,
    generation bigint DEFAULT 1 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT qos_specs_consumer_check CHECK ((consumer = ANY (ARRAY['front-end'::text, 'back-end'::text, 'both'::text])))
);

CREATE TABLE public.quarantined_image (
    host_id uuid NOT NULL,
    image_id uuid NOT NULL,
    format text NOT NULL,
    size_bytes bigint NOT NULL,
    virtual_size_bytes bigint,
    sha256 text NOT NULL,
    md5 text,
    CONSTRAINT quarantined_image_format_check CHECK ((format = ANY (ARRAY['raw'::text, 'qcow2'::text, 'vmdk'::text, 'vdi'::text, 'vhd'::text, 'vhdx'::text, 'iso'::text, 'ploop'::text, 'ova'::text])))
);

CREATE TABLE public.quarantined_layer (
    host_id uuid NOT NULL,
    layer_id uuid NOT NULL,
    reason text NOT NULL,
    since timestamp with time zone NOT NULL,
    document jsonb NOT NULL,
    bytes bigint DEFAULT 0 NOT NULL,
    CONSTRAINT quarantined_layer_reason_check CHECK ((reason = ANY (ARRAY['missing'::text, 'older'::text])))
);

CREATE TABLE public.quarantined_server (
    host_id uuid NOT NULL,
    server_id uuid NOT NULL,
    reason text NOT NULL,
    since timestamp with time zone NOT NULL,
    guest boolean NOT NULL,
    document jsonb,
    bytes bigint DEFAULT 0 NOT NULL,
    way text,
    CONSTRAINT quarantined_server_reason_check CHECK ((reason = ANY (ARRAY['missing'::text, 'older'::text, 'unclaimed'::text]))),
    CONSTRAINT quarantined_server_way_check CHECK ((way = ANY (ARRAY['arriving'::text, 'left'::text])))
);

CREATE TABLE public.quota (
    id uuid NOT NULL,
    project_id uuid,
    resource text NOT NULL,
    maximum bigint NOT NULL,
    CONSTRAINT quota_maximum_check CHECK ((maximum >= '-1'::integer))
);

CREATE TABLE public.rbac_policy (
    id uuid NOT NULL,
    project_id uuid NOT NULL,
    network_id uuid,
    subnet_pool_id uuid,
    address_scope_id uuid,
    security_group_id uuid,
    address_group_id uuid,
    action text NOT NULL,
    target_project_id uuid,
    generation bigint DEFAULT 1 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    qos_policy_id uuid,
    CONSTRAINT rbac_policy_action_check CHECK ((action = ANY (ARRAY['access_as_shared'::text, 'access_as_external'::text]))),
    CONSTRAINT rbac_policy_check CHECK ((num_nonnulls(network_id, subnet_pool_id, address_scope_id, security_group_id, address_group_id, qos_policy_id) = 1)),
    CONSTRAINT rbac_policy_check1 CHECK (((action = 'access_as_shared'::text) OR (network_id IS NOT NULL)))
);

CREATE TABLE public.reachability_assertion (
    id uuid NOT NULL,
    project_id uuid NOT NULL,
    name text DEFAULT ''::text NOT NULL,
    description text DEFAULT ''::text NOT NULL,
    kind text NOT NULL,
    source text NOT NULL,
    destination text NOT NULL,
    ip_version integer,
    protocol integer NOT NULL,
    port integer,
    on_violation text DEFAULT 'refuse'::text NOT NULL,
    state text NOT NULL,
    state_since timestamp with time zone DEFAULT now() NOT NULL,
    finding jsonb,
    ground uuid[] DEFAULT '{}'::uuid[] NOT NULL,
    undecided boolean DEFAULT false NOT NULL,
    generation bigint DEFAULT 1 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT reachability_assertion_ip_version_check CHECK ((ip_version = ANY (ARRAY[4, 6]))),
    CONSTRAINT reachability_assertion_kind_check CHECK ((kind = ANY (ARRAY['must'::text, 'never'::text]))),
    CONSTRAINT reachability_assertion_on_violation_check CHECK ((on_violation = ANY (ARRAY['refuse'::text, 'alarm'::text]))),
    CONSTRAINT reachability_assertion_state_check CHECK ((state = ANY (ARRAY['holds'::text, 'violated'::text, 'unknown'::text])))
);

CREATE TABLE public.region (
    id uuid NOT NULL,
    name text NOT NULL,
    parent_id uuid,
    description text DEFAULT ''::text NOT NULL,
    extra jsonb DEFAULT '{}'::jsonb NOT NULL
);

CREATE TABLE public.registered_limit (
    id uuid NOT NULL,
    service_id uuid NOT NULL,
    resource_name text NOT NULL,
    default_limit bigint NOT NULL,
    description text,
    region text,
    CONSTRAINT registered_limit_default_limit_check CHECK ((default_limit >= '-1'::integer))
);

CREATE TABLE public.reserve_policy (
    id uuid DEFAULT '00000000-0000-7000-8000-000000000001'::uuid NOT NULL,
    survive text DEFAULT 'none'::text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT reserve_policy_id_check CHECK ((id = '00000000-0000-7000-8000-000000000001'::uuid)),
    CONSTRAINT reserve_policy_survive_check CHECK ((survive = ANY (ARRAY['none'::text, 'host'::text, 'domain'::text])))
);

CREATE TABLE public.role (
    id uuid NOT NULL,
    name text NOT NULL,
    domain_id uuid,
    description text DEFAULT ''::text NOT NULL,
    options jsonb DEFAULT '{}'::jsonb NOT NULL,
    extra jsonb DEFAULT '{}'::jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.role_assignment (
    id uuid NOT NULL,
    role_id uuid NOT NULL,
    user_id uuid,
    group_id uuid,
    project_id uuid,
    domain_id uuid,
    system boolean DEFAULT false NOT NULL,
    inherited boolean DEFAULT false NOT NULL,
    CONSTRAINT role_assignment_check CHECK ((num_nonnulls(user_id, group_id) = 1)),
    CONSTRAINT role_assignment_check1 CHECK (((num_nonnulls(project_id, domain_id) + (system)::integer) = 1))
);

CREATE TABLE public.role_implication (
    prior_role_id uuid NOT NULL,
    implied_role_id uuid NOT NULL
);

CREATE TABLE public.router (
    id uuid NOT NULL,
    project_id uuid NOT NULL,
    name text DEFAULT ''::text NOT NULL,
    description text DEFAULT ''::text NOT NULL,
    admin_state_up boolean DEFAULT true NOT NULL,
    gateway_network_id uuid,
    enable_snat boolean DEFAULT true NOT NULL,
    routes jsonb DEFAULT '[]'::jsonb NOT NULL,
    tags text[] DEFAULT '{}'::text[] NOT NULL,
    generation bigint DEFAULT 1 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    distributed boolean DEFAULT true NOT NULL,
    ha boolean DEFAULT true NOT NULL,
    gateway_qos_policy_id uuid,
    flavor_id uuid,
    availability_zone_hints text[] DEFAULT '{}'::text[] NOT NULL,
    default_route_ecmp boolean DEFAULT false NOT NULL,
    nat64 boolean DEFAULT false NOT NULL,
    ndp_proxy boolean DEFAULT false NOT NULL
);

CREATE TABLE public.security_group (
    id uuid NOT NULL,
    project_id uuid NOT NULL,
    name text NOT NULL,
    description text DEFAULT ''::text NOT NULL,
    stateful boolean DEFAULT true NOT NULL,
    is_default boolean DEFAULT false NOT NULL,
    tags text[] DEFAULT '{}'::text[] NOT NULL,
    generation bigint DEFAULT 1 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    shared boolean DEFAULT false NOT NULL
);

CREATE TABLE public.security_group_rule (
    id uuid NOT NULL,
    project_id uuid NOT NULL,
    security_group_id uuid NOT NULL,
    direction text NOT NULL,
    ethertype text NOT NULL,
    protocol text,
    port_range_min integer,
    port_range_max integer,
    remote_group_id uuid,
    remote_ip_prefix text,
    normalized_cidr cidr GENERATED ALWAYS AS (network((remote_ip_prefix)::inet)) STORED,
    description text DEFAULT ''::text NOT NULL,
    generation bigint DEFAULT 1 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    remote_address_group_id uuid,
    CONSTRAINT security_group_rule_direction_check CHECK ((direction = ANY (ARRAY['ingress'::text, 'egress'::text]))),
    CONSTRAINT security_group_rule_ethertype_check CHECK ((ethertype = ANY (ARRAY['IPv4'::text, 'IPv6'::text])))
);

CREATE TABLE public.segment (
    id uuid NOT NULL,
    network_id uuid NOT NULL,
    "position" integer NOT NULL,
    name text,
    description text DEFAULT ''::text NOT NULL,
    network_type text NOT NULL,
    physical_network text,
    segmentation_id integer,
    generation bigint DEFAULT 1 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.server (
    id uuid NOT NULL,
    project_id uuid NOT NULL,
    user_id uuid NOT NULL,
    name text NOT NULL,
    description text,
    hostname text NOT NULL,
    image_id uuid,
    image jsonb,
    flavor_id uuid NOT NULL,
    flavor jsonb NOT NULL,
    vcpus integer NOT NULL,
    memory_mib integer NOT NULL,
    disk_gib integer NOT NULL,
    key_name text,
    keys jsonb DEFAULT '[]'::jsonb NOT NULL,
    config_drive boolean DEFAULT false NOT NULL,
    metadata jsonb DEFAULT '{}'::jsonb NOT NULL,
    tags text[] DEFAULT '{}'::text[] NOT NULL,
    availability_zone text,
    requested_host_id uuid,
    access_ipv4 inet,
    access_ipv6 inet,
    locked boolean DEFAULT false NOT NULL,
    locked_by text,
    locked_reason text,
    disk_config text DEFAULT 'MANUAL'::text NOT NULL,
    reservation_id text NOT NULL,
    launch_index integer DEFAULT 0 NOT NULL,
    host_id uuid,
    epoch bigint DEFAULT 0 NOT NULL,
    generation bigint DEFAULT 1 NOT NULL,
    desired_presence text DEFAULT 'present'::text NOT NULL,
    desired_power text DEFAULT 'on'::text NOT NULL,
    desired_reboot_count integer DEFAULT 0 NOT NULL,
    desired_reboot_type text DEFAULT 'soft'::text NOT NULL,
    observed_generation bigint DEFAULT 0 NOT NULL,
    observed_state text DEFAULT 'none'::text NOT NULL,
    observed_power text,
    observed_reboot_count integer DEFAULT 0 NOT NULL,
    observed_started_at timestamp with time zone,
    observed_step text,
    observed_error jsonb,
    observed_at timestamp with time zone,
    fault jsonb,
    launched_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    desired_verb text DEFAULT 'create'::text NOT NULL,
    desired_rescue jsonb,
    observed_rescue_count bigint DEFAULT 0 NOT NULL,
    soft_deleted_at timestamp with time zone,
    hardware jsonb DEFAULT '{}'::jsonb NOT NULL,
    desired_root_count bigint DEFAULT 0 NOT NULL,
    observed_root_count bigint DEFAULT 0 NOT NULL,
    desired_capture jsonb,
    desired_resize jsonb,
    observed_resize_count bigint DEFAULT 0 NOT NULL,
    machine jsonb,
    local_disks jsonb DEFAULT '[]'::jsonb NOT NULL,
    local_gib integer DEFAULT 0 NOT NULL,
    guest_password text,
    guest_password_cleared bigint DEFAULT 0 NOT NULL,
    boot_roles text[],
    server_group_id uuid,
    resized_at timestamp with time zone,
    desired_shelve jsonb,
    desired_root jsonb,
    root_tag text,
    placement_policy text DEFAULT 'spread'::text NOT NULL,
    desired_move jsonb,
    evacuation_policy jsonb,
    observed_on_lease_end text,
    same_host uuid[],
    different_host uuid[],
    CONSTRAINT server_desired_power_check CHECK ((desired_power = ANY (ARRAY['on'::text, 'off'::text, 'paused'::text, 'suspended'::text]))),
    CONSTRAINT server_desired_presence_check CHECK ((desired_presence = ANY (ARRAY['present'::text, 'absent'::text]))),
    CONSTRAINT server_desired_reboot_type_check CHECK ((desired_reboot_type = ANY (ARRAY['soft'::text, 'hard'::text]))),
    CONSTRAINT server_different_host_check CHECK ((cardinality(different_host) > 0)),
    CONSTRAINT server_locked_by_check CHECK ((locked_by = ANY (ARRAY['owner'::text, 'admin'::text]))),
    CONSTRAINT server_observed_power_check CHECK ((observed_power = ANY (ARRAY['on'::text, 'off'::text, 'paused'::text, 'suspended'::text]))),
    CONSTRAINT server_observed_state_check CHECK ((observed_state = ANY (ARRAY['none'::text, 'building'::text, 'running'::text, 'stopped'::text, 'paused'::text, 'suspended'::text, 'absent'::text, 'failed'::text]))),
    CONSTRAINT server_placement_policy_check CHECK ((placement_policy = ANY (ARRAY['spread'::text, 'pack'::text]))),
    CONSTRAINT server_same_host_check CHECK ((cardinality(same_host) > 0))
);

CREATE TABLE public.server_absence (
    host_id uuid NOT NULL,
    server_id uuid NOT NULL,
    epoch bigint NOT NULL,
    generation bigint NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.server_admin_password (
    server_id uuid NOT NULL,
    password text NOT NULL
);

CREATE TABLE public.server_claim (
    server_id uuid NOT NULL,
    host_id uuid NOT NULL,
    vcpus integer NOT NULL,
    memory_mib bigint NOT NULL,
    disk_gib bigint NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    bandwidth jsonb,
    CONSTRAINT server_claim_disk_gib_check CHECK ((disk_gib >= 0)),
    CONSTRAINT server_claim_memory_mib_check CHECK ((memory_mib >= 0)),
    CONSTRAINT server_claim_vcpus_check CHECK ((vcpus >= 0))
);

CREATE TABLE public.server_group (
    id uuid NOT NULL,
    project_id uuid NOT NULL,
    user_id uuid NOT NULL,
    name text NOT NULL,
    policy text NOT NULL,
    max_servers_per_host integer,
    generation bigint DEFAULT 1 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT server_group_check CHECK (((max_servers_per_host IS NULL) OR ((max_servers_per_host > 0) AND (policy = 'anti-affinity'::text)))),
    CONSTRAINT server_group_policy_check CHECK ((policy = ANY (ARRAY['affinity'::text, 'anti-affinity'::text, 'soft-affinity'::text, 'soft-anti-affinity'::text])))
);

CREATE TABLE public.server_migration (
    id uuid NOT NULL,
    number integer NOT NULL,
    project_id uuid NOT NULL,
    user_id uuid NOT NULL,
    server_id uuid NOT NULL,
    server_generation bigint NOT NULL,
    host_id uuid,
    old_flavor_id uuid NOT NULL,
    new_flavor_id uuid NOT NULL,
    ended text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    kind text DEFAULT 'resize'::text NOT NULL,
    target_host_id uuid,
    target_epoch bigint,
    phase text,
    other_host_id uuid,
    other_epoch bigint,
    other_size jsonb,
    forced boolean DEFAULT false NOT NULL,
    target jsonb,
    source_state text,
    target_state text,
    progress jsonb,
    reached bigint DEFAULT 0 NOT NULL,
    reached_at timestamp with time zone,
    downtime_ms bigint,
    error jsonb,
    evidence jsonb,
    cause text,
    CONSTRAINT server_migration_cause_check CHECK ((cause = ANY (ARRAY['maintenance'::text, 'rebalance'::text]))),
    CONSTRAINT server_migration_ended_check CHECK ((ended = ANY (ARRAY['completed'::text, 'confirmed'::text, 'reverted'::text, 'cancelled'::text, 'failed'::text]))),
    CONSTRAINT server_migration_kind_check CHECK ((kind = ANY (ARRAY['resize'::text, 'migration'::text, 'live-migration'::text, 'evacuation'::text]))),
    CONSTRAINT server_migration_phase_check CHECK ((phase = ANY (ARRAY['preparing'::text, 'copying'::text, 'handing-over'::text, 'cancelling'::text, 'moved'::text, 'reverting'::text, 'ended'::text])))
);

CREATE TABLE public.server_migration_key (
    migration_id uuid NOT NULL,
    key text NOT NULL,
    proved_at xid8
);

ALTER TABLE public.server_migration ALTER COLUMN number ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.server_migration_number_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.server_personality (
    server_id uuid NOT NULL,
    files jsonb NOT NULL
);

CREATE TABLE public.server_port (
    server_id uuid NOT NULL,
    port_id uuid NOT NULL,
    "position" integer NOT NULL,
    tag text
);

CREATE TABLE public.server_refuge (
    server_id uuid NOT NULL,
    lost_host_id uuid NOT NULL,
    refuge_host_id uuid NOT NULL,
    vcpus integer NOT NULL,
    memory_mib bigint NOT NULL,
    disk_gib bigint NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT server_refuge_check CHECK ((lost_host_id <> refuge_host_id)),
    CONSTRAINT server_refuge_disk_gib_check CHECK ((disk_gib >= 0)),
    CONSTRAINT server_refuge_memory_mib_check CHECK ((memory_mib >= 0)),
    CONSTRAINT server_refuge_vcpus_check CHECK ((vcpus >= 0))
);

CREATE TABLE public.server_user_data (
    server_id uuid NOT NULL,
    user_data text NOT NULL
);

CREATE TABLE public.service (
    id uuid NOT NULL,
    type text NOT NULL,
    name text DEFAULT ''::text NOT NULL,
    description text DEFAULT ''::text NOT NULL,
    enabled boolean DEFAULT true NOT NULL,
    builtin boolean DEFAULT false NOT NULL,
    extra jsonb DEFAULT '{}'::jsonb NOT NULL
);

CREATE TABLE public.service_profile (
    id uuid NOT NULL,
    description text DEFAULT ''::text NOT NULL,
    driver text DEFAULT ''::text NOT NULL,
    metainfo text DEFAULT ''::text NOT NULL,
    enabled boolean DEFAULT true NOT NULL,
    generation bigint DEFAULT 1 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT service_profile_check CHECK (((driver <> ''::text) OR (metainfo <> ''::text))),
    CONSTRAINT service_profile_driver_check CHECK ((driver = ANY (ARRAY[''::text, 'ovn'::text])))
);

CREATE TABLE public.service_provider (
    id uuid NOT NULL,
    name text NOT NULL,
    auth_url text NOT NULL,
    sp_url text NOT NULL,
    description text,
    enabled boolean DEFAULT true NOT NULL,
    relay_state_prefix text NOT NULL
);

CREATE VIEW public.storage_message AS
 SELECT operation.id,
    operation.project_id,
    operation.resource_type,
    operation.resource_id,
    operation.verb,
    operation.error_code,
    operation.error_message,
    operation.request_id,
    operation.created_at,
    COALESCE(operation.finished_at, operation.created_at) AS updated_at
   FROM public.operation
  WHERE ((operation.state = 'failed'::text) AND (operation.dismissed_at IS NULL) AND (operation.error_code IS DISTINCT FROM 'conflict'::text) AND (operation.resource_type = ANY (ARRAY['volume'::text, 'volume_snapshot'::text, 'backup'::text])));

CREATE TABLE public.storage_pool (
    id uuid NOT NULL,
    host_id uuid NOT NULL,
    name text NOT NULL,
    tier text NOT NULL,
    kind text NOT NULL,
    total_bytes bigint NOT NULL,
    free_bytes bigint NOT NULL,
    problem text,
    disabled boolean DEFAULT false NOT NULL,
    disabled_reason text,
    generation bigint DEFAULT 1 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    over_subscription double precision DEFAULT 20 NOT NULL,
    reserved_percentage integer DEFAULT 0 NOT NULL,
    declared boolean DEFAULT false NOT NULL,
    source text,
    iops_per_volume integer,
    iops integer,
    iops_over_subscription double precision DEFAULT 1 NOT NULL,
    CONSTRAINT storage_pool_declared_has_source CHECK ((declared = (source IS NOT NULL))),
    CONSTRAINT storage_pool_iops_check CHECK ((iops > 0)),
    CONSTRAINT storage_pool_iops_over_subscription_check CHECK ((iops_over_subscription >= (1)::double precision)),
    CONSTRAINT storage_pool_iops_per_volume_check CHECK ((iops_per_volume > 0)),
    CONSTRAINT storage_pool_kind_check CHECK ((kind = ANY (ARRAY['directory'::text, 'file-system'::text, 'block-device'::text, 'rbd'::text]))),
    CONSTRAINT storage_pool_over_subscription_check CHECK ((over_subscription >= (1)::double precision)),
    CONSTRAINT storage_pool_reserved_percentage_check CHECK (((reserved_percentage >= 0) AND (reserved_percentage <= 100))),
    CONSTRAINT storage_pool_tier_check CHECK ((tier = ANY (ARRAY['ram'::text, 'flash'::text, 'disk'::text])))
);

CREATE TABLE public.storage_pool_usage (
    pool_id uuid NOT NULL,
    promised_bytes numeric DEFAULT 0 NOT NULL,
    CONSTRAINT storage_pool_usage_promised_bytes_check CHECK ((promised_bytes >= (0)::numeric))
)
WITH (fillfactor='50');

CREATE TABLE public.storage_pool_volumes (
    pool_id uuid NOT NULL,
    volume_type_id uuid NOT NULL,
    size_gib integer NOT NULL,
    volumes integer NOT NULL
)
WITH (fillfactor='50');

CREATE TABLE public.subnet (
    id uuid NOT NULL,
    project_id uuid NOT NULL,
    network_id uuid NOT NULL,
    name text DEFAULT ''::text NOT NULL,
    description text DEFAULT ''::text NOT NULL,
    ip_version integer NOT NULL,
    cidr cidr NOT NULL,
    gateway_ip inet,
    enable_dhcp boolean DEFAULT true NOT NULL,
    ipv6_address_mode text,
    ipv6_ra_mode text,
    allocation_pools jsonb DEFAULT '[]'::jsonb NOT NULL,
    dns_nameservers text[] DEFAULT '{}'::text[] NOT NULL,
    host_routes jsonb DEFAULT '[]'::jsonb NOT NULL,
    service_types text[] DEFAULT '{}'::text[] NOT NULL,
    tags text[] DEFAULT '{}'::text[] NOT NULL,
    generation bigint DEFAULT 1 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    subnet_pool_id uuid,
    segment_id uuid,
    CONSTRAINT subnet_ip_version_check CHECK ((ip_version = ANY (ARRAY[4, 6]))),
    CONSTRAINT subnet_ipv6_address_mode_check CHECK ((ipv6_address_mode = ANY (ARRAY['slaac'::text, 'dhcpv6-stateful'::text, 'dhcpv6-stateless'::text]))),
    CONSTRAINT subnet_ipv6_ra_mode_check CHECK ((ipv6_ra_mode = ANY (ARRAY['slaac'::text, 'dhcpv6-stateful'::text, 'dhcpv6-stateless'::text])))
);

CREATE TABLE public.subnet_pool (
    id uuid NOT NULL,
    project_id uuid NOT NULL,
    name text DEFAULT ''::text NOT NULL,
    description text DEFAULT ''::text NOT NULL,
    ip_version integer NOT NULL,
    prefixes cidr[] NOT NULL,
    min_prefix_length integer NOT NULL,
    max_prefix_length integer NOT NULL,
    default_prefix_length integer NOT NULL,
    default_quota integer,
    is_default boolean DEFAULT false NOT NULL,
    shared boolean DEFAULT false NOT NULL,
    address_scope_id uuid,
    tags text[] DEFAULT '{}'::text[] NOT NULL,
    generation bigint DEFAULT 1 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT subnet_pool_ip_version_check CHECK ((ip_version = ANY (ARRAY[4, 6])))
);

CREATE TABLE public.subport (
    port_id uuid NOT NULL,
    trunk_id uuid NOT NULL,
    segmentation_type text DEFAULT 'vlan'::text NOT NULL,
    segmentation_id integer NOT NULL,
    CONSTRAINT subport_segmentation_id_check CHECK (((segmentation_id >= 1) AND (segmentation_id <= 4094))),
    CONSTRAINT subport_segmentation_type_check CHECK ((segmentation_type = 'vlan'::text))
);

CREATE TABLE public.token_key (
    id uuid NOT NULL,
    secret bytea NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL
);

CREATE TABLE public.token_revocation (
    id uuid NOT NULL,
    audit_id text NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.trunk (
    id uuid NOT NULL,
    project_id uuid NOT NULL,
    name text DEFAULT ''::text NOT NULL,
    description text DEFAULT ''::text NOT NULL,
    admin_state_up boolean DEFAULT true NOT NULL,
    port_id uuid NOT NULL,
    tags text[] DEFAULT '{}'::text[] NOT NULL,
    generation bigint DEFAULT 1 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.trust (
    id uuid NOT NULL,
    trustor_user_id uuid NOT NULL,
    trustee_user_id uuid NOT NULL,
    project_id uuid,
    origin_user_id uuid NOT NULL,
    redelegated_trust_id uuid,
    impersonation boolean NOT NULL,
    role_ids uuid[] NOT NULL,
    expires_at timestamp with time zone,
    remaining_uses bigint,
    redelegation_count integer DEFAULT 0 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT trust_remaining_uses_check CHECK ((remaining_uses >= 0))
);

CREATE TABLE public."user" (
    id uuid NOT NULL,
    domain_id uuid NOT NULL,
    name text NOT NULL,
    description text DEFAULT ''::text NOT NULL,
    email text,
    default_project_id uuid,
    enabled boolean DEFAULT true NOT NULL,
    options jsonb DEFAULT '{}'::jsonb NOT NULL,
    extra jsonb DEFAULT '{}'::jsonb NOT NULL,
    token_version bigint DEFAULT 0 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.user_group (
    id uuid NOT NULL,
    domain_id uuid NOT NULL,
    name text NOT NULL,
    description text DEFAULT ''::text NOT NULL,
    extra jsonb DEFAULT '{}'::jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.user_group_member (
    group_id uuid NOT NULL,
    user_id uuid NOT NULL,
    expires_at timestamp with time zone
);

CREATE TABLE public.user_login (
    user_id uuid NOT NULL,
    failures integer DEFAULT 0 NOT NULL,
    failed_at timestamp with time zone,
    active_on date
);

CREATE TABLE public.user_password (
    user_id uuid NOT NULL,
    hash text NOT NULL,
    expires_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.user_password_past (
    id uuid NOT NULL,
    user_id uuid NOT NULL,
    hash text NOT NULL
);

CREATE TABLE public.user_quota (
    id uuid NOT NULL,
    project_id uuid NOT NULL,
    user_id uuid NOT NULL,
    resource text NOT NULL,
    maximum bigint NOT NULL,
    CONSTRAINT user_quota_maximum_check CHECK ((maximum >= '-1'::integer))
);

CREATE TABLE public.volume_attachment (
    id uuid NOT NULL,
    project_id uuid NOT NULL,
    volume_id uuid NOT NULL,
    server_id uuid,
    mode text DEFAULT 'rw'::text NOT NULL,
    slot integer,
    device text,
    boot_index integer,
    tag text,
    delete_on_termination boolean DEFAULT false NOT NULL,
    connector jsonb,
    completed_at timestamp with time zone,
    desired_presence text DEFAULT 'present'::text NOT NULL,
    generation bigint DEFAULT 1 NOT NULL,
    observed_state text,
    observed_layer_id uuid,
    observed_size_bytes bigint,
    attached_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    server_generation bigint DEFAULT 0 NOT NULL,
    named_server_id uuid,
    observed_full boolean DEFAULT false NOT NULL,
    target_host_id uuid,
    observed_copy_id uuid,
    observed_copy jsonb,
    CONSTRAINT volume_attachment_desired_presence_check CHECK ((desired_presence = ANY (ARRAY['present'::text, 'absent'::text]))),
    CONSTRAINT volume_attachment_mode_check CHECK ((mode = ANY (ARRAY['rw'::text, 'ro'::text]))),
    CONSTRAINT volume_attachment_observed_state_check CHECK ((observed_state = ANY (ARRAY['attached'::text, 'releasing'::text])))
);

CREATE TABLE public.volume_cache_use (
    volume_id uuid NOT NULL,
    seen jsonb,
    reads bigint DEFAULT 0 NOT NULL,
    misses bigint DEFAULT 0 NOT NULL,
    promoted_bytes bigint DEFAULT 0 NOT NULL,
    sunk_bytes bigint DEFAULT 0 NOT NULL,
    warmings bigint DEFAULT 0 NOT NULL,
    last_warming_ms bigint,
    generations bigint DEFAULT 0 NOT NULL,
    again_bytes bigint[] DEFAULT '{}'::bigint[] NOT NULL,
    fresh_bytes bigint DEFAULT 0 NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.volume_export (
    attachment_id uuid NOT NULL,
    host_id uuid NOT NULL,
    port integer NOT NULL,
    initiator text NOT NULL,
    secret_id uuid NOT NULL,
    sealed bytea NOT NULL,
    desired_presence text DEFAULT 'present'::text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT volume_export_desired_presence_check CHECK ((desired_presence = ANY (ARRAY['present'::text, 'absent'::text]))),
    CONSTRAINT volume_export_port_check CHECK (((port >= 1) AND (port <= 65535)))
);

CREATE TABLE public.volume_group (
    id uuid NOT NULL,
    project_id uuid NOT NULL,
    user_id uuid NOT NULL,
    name text DEFAULT ''::text NOT NULL,
    description text,
    group_type_id uuid NOT NULL,
    volume_type_ids uuid[] NOT NULL,
    availability_zone text,
    source_group_id uuid,
    source_group_snapshot_id uuid,
    fault jsonb,
    generation bigint DEFAULT 1 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.volume_key (
    id uuid NOT NULL,
    cipher text NOT NULL,
    key_size_bits integer NOT NULL,
    sealed bytea,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT volume_key_cipher_check CHECK ((cipher = 'aes-xts-plain64'::text)),
    CONSTRAINT volume_key_key_size_bits_check CHECK ((key_size_bits = ANY (ARRAY[256, 512])))
);

CREATE TABLE public.volume_layer (
    id uuid NOT NULL,
    volume_id uuid NOT NULL,
    host_id uuid NOT NULL,
    pool_id uuid NOT NULL,
    parent_id uuid,
    image_id uuid,
    image jsonb,
    size_bytes bigint NOT NULL,
    read_only boolean DEFAULT false NOT NULL,
    desired_source jsonb,
    desired_captures jsonb DEFAULT '[]'::jsonb NOT NULL,
    desired_backups jsonb DEFAULT '[]'::jsonb NOT NULL,
    desired_presence text DEFAULT 'present'::text NOT NULL,
    epoch bigint DEFAULT 1 NOT NULL,
    generation bigint DEFAULT 1 NOT NULL,
    observed_epoch bigint DEFAULT 0 NOT NULL,
    observed_generation bigint DEFAULT 0 NOT NULL,
    observed_state text DEFAULT 'none'::text NOT NULL,
    observed_size_bytes bigint DEFAULT 0 NOT NULL,
    observed_allocated_bytes bigint DEFAULT 0 NOT NULL,
    observed_step text,
    observed_error jsonb,
    observed_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    former_parent_id uuid,
    observed_captures jsonb DEFAULT '[]'::jsonb NOT NULL,
    observed_backups jsonb DEFAULT '[]'::jsonb NOT NULL,
    shorten_at timestamp with time zone,
    cache_role text,
    full_bytes bigint,
    sinks boolean DEFAULT false NOT NULL,
    observed_full boolean DEFAULT false NOT NULL,
    key_id uuid,
    exported boolean DEFAULT false NOT NULL,
    observed_export jsonb,
    moment uuid,
    observed_written boolean,
    written_at timestamp with time zone,
    observed_receiver jsonb,
    CONSTRAINT volume_layer_cache_role_check CHECK ((cache_role = ANY (ARRAY['base'::text, 'writes'::text]))),
    CONSTRAINT volume_layer_check CHECK (((parent_id IS NULL) OR (image_id IS NULL))),
    CONSTRAINT volume_layer_desired_presence_check CHECK ((desired_presence = ANY (ARRAY['present'::text, 'absent'::text]))),
    CONSTRAINT volume_layer_full_bytes_check CHECK ((full_bytes > 0)),
    CONSTRAINT volume_layer_observed_state_check CHECK ((observed_state = ANY (ARRAY['none'::text, 'building'::text, 'ready'::text, 'absent'::text, 'failed'::text]))),
    CONSTRAINT volume_layer_size_bytes_check CHECK ((size_bytes > 0))
);

CREATE TABLE public.volume_ownership (
    volume_id uuid NOT NULL,
    host_id uuid,
    epoch bigint DEFAULT 0 NOT NULL
);

CREATE TABLE public.volume_replica (
    volume_id uuid NOT NULL,
    rpo_seconds integer NOT NULL,
    size_bytes bigint NOT NULL,
    pool_id uuid,
    source_layer_id uuid,
    layer_id uuid,
    as_of timestamp with time zone,
    round_began_at timestamp with time zone,
    round_source_layer_id uuid,
    round_layer_id uuid,
    round_full boolean DEFAULT false NOT NULL,
    former_layer_id uuid,
    failed_over_at timestamp with time zone,
    rounds bigint DEFAULT 0 NOT NULL,
    last_round_bytes bigint,
    last_round_seconds double precision,
    failures integer DEFAULT 0 NOT NULL,
    fault jsonb,
    late_since timestamp with time zone,
    next_at timestamp with time zone DEFAULT now(),
    generation bigint DEFAULT 1 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    round_moved_at timestamp with time zone,
    round_copied_bytes bigint DEFAULT 0 NOT NULL,
    round_pool_id uuid,
    round_moment uuid,
    moment uuid,
    synchronous boolean DEFAULT false NOT NULL,
    copy_state text,
    copy_layer_id uuid,
    copy_of_layer_id uuid,
    copy_place jsonb,
    copy_since timestamp with time zone,
    copy_as_of timestamp with time zone,
    copy_ended_at timestamp with time zone,
    copy_failures integer DEFAULT 0 NOT NULL,
    CONSTRAINT volume_replica_check CHECK (((copy_state IS NULL) = (copy_layer_id IS NULL))),
    CONSTRAINT volume_replica_check1 CHECK (((copy_state IS DISTINCT FROM 'in_sync'::text) OR (copy_place IS NOT NULL))),
    CONSTRAINT volume_replica_copy_state_check CHECK ((copy_state = ANY (ARRAY['preparing'::text, 'copying'::text, 'in_sync'::text, 'ended'::text, 'kept'::text]))),
    CONSTRAINT volume_replica_rpo_seconds_check CHECK ((rpo_seconds > 0)),
    CONSTRAINT volume_replica_size_bytes_check CHECK ((size_bytes > 0))
);

CREATE TABLE public.volume_replica_key (
    volume_id uuid NOT NULL,
    key text NOT NULL
);

CREATE TABLE public.volume_snapshot (
    id uuid NOT NULL,
    project_id uuid NOT NULL,
    user_id uuid NOT NULL,
    volume_id uuid NOT NULL,
    layer_id uuid,
    name text DEFAULT ''::text NOT NULL,
    description text,
    size_gib integer NOT NULL,
    consumes_quota boolean DEFAULT true NOT NULL,
    metadata jsonb DEFAULT '{}'::jsonb NOT NULL,
    desired_presence text DEFAULT 'present'::text NOT NULL,
    generation bigint DEFAULT 1 NOT NULL,
    fault jsonb,
    ready_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    group_snapshot_id uuid,
    CONSTRAINT volume_snapshot_desired_presence_check CHECK ((desired_presence = ANY (ARRAY['present'::text, 'absent'::text])))
);

CREATE TABLE public.volume_transfer (
    id uuid NOT NULL,
    project_id uuid NOT NULL,
    volume_id uuid NOT NULL,
    name text NOT NULL,
    key_salt text NOT NULL,
    key_digest text NOT NULL,
    with_snapshots boolean NOT NULL,
    generation bigint DEFAULT 1 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.volume_type (
    id uuid NOT NULL,
    name text NOT NULL,
    description text,
    public boolean DEFAULT true NOT NULL,
    extra_specs jsonb DEFAULT '{}'::jsonb NOT NULL,
    generation bigint DEFAULT 1 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    qos_specs_id uuid
);

CREATE TABLE public.volume_type_access (
    volume_type_id uuid NOT NULL,
    project_id uuid NOT NULL
);

CREATE TABLE public.volume_type_default (
    project_id uuid NOT NULL,
    volume_type_id uuid NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.volume_type_encryption (
    volume_type_id uuid NOT NULL,
    id uuid NOT NULL,
    provider text NOT NULL,
    control_location text NOT NULL,
    cipher text,
    key_size integer,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone,
    CONSTRAINT volume_type_encryption_control_location_check CHECK ((control_location = ANY (ARRAY['front-end'::text, 'back-end'::text])))
);

ALTER TABLE ONLY public.change ATTACH PARTITION public.change_default DEFAULT;

ALTER TABLE ONLY public.decision ATTACH PARTITION public.decision_default DEFAULT;

ALTER TABLE ONLY public.operation ATTACH PARTITION public.operation_default DEFAULT;

ALTER TABLE ONLY public.access_rule
    ADD CONSTRAINT access_rule_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.access_rule
    ADD CONSTRAINT access_rule_user_id_service_method_path_key UNIQUE (user_id, service, method, path);

ALTER TABLE ONLY public.accounted_incarnation
    ADD CONSTRAINT accounted_incarnation_pkey PRIMARY KEY (incarnation);

ALTER TABLE ONLY public.address_group
    ADD CONSTRAINT address_group_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.address_scope
    ADD CONSTRAINT address_scope_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.aggregate_host
    ADD CONSTRAINT aggregate_host_pkey PRIMARY KEY (aggregate_id, host_id);

ALTER TABLE ONLY public.aggregate
    ADD CONSTRAINT aggregate_name_key UNIQUE (name);

ALTER TABLE ONLY public.aggregate
    ADD CONSTRAINT aggregate_number_key UNIQUE (number);

ALTER TABLE ONLY public.aggregate
    ADD CONSTRAINT aggregate_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.application_credential
    ADD CONSTRAINT application_credential_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.application_credential_secret
    ADD CONSTRAINT application_credential_secret_pkey PRIMARY KEY (application_credential_id);

ALTER TABLE ONLY public.application_credential
    ADD CONSTRAINT application_credential_user_id_name_key UNIQUE (user_id, name);

ALTER TABLE ONLY public.auto_allocated_topology
    ADD CONSTRAINT auto_allocated_topology_network_id_key UNIQUE (network_id);

ALTER TABLE ONLY public.auto_allocated_topology
    ADD CONSTRAINT auto_allocated_topology_pkey PRIMARY KEY (project_id);

ALTER TABLE ONLY public.auto_allocated_topology
    ADD CONSTRAINT auto_allocated_topology_router_id_key UNIQUE (router_id);

ALTER TABLE ONLY public.backup
    ADD CONSTRAINT backup_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.change_floor
    ADD CONSTRAINT change_floor_pkey PRIMARY KEY (only_row);

ALTER TABLE ONLY public.cloud
    ADD CONSTRAINT cloud_pkey PRIMARY KEY (only_row);

ALTER TABLE ONLY public.console_token
    ADD CONSTRAINT console_token_pkey PRIMARY KEY (digest);

ALTER TABLE ONLY public.container
    ADD CONSTRAINT container_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.container
    ADD CONSTRAINT container_project_id_name_key UNIQUE (project_id, name);

ALTER TABLE ONLY public.container_use
    ADD CONSTRAINT container_use_pkey PRIMARY KEY (container_id);

ALTER TABLE ONLY public.control_process
    ADD CONSTRAINT control_process_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.credential
    ADD CONSTRAINT credential_access_hash_key UNIQUE (access_hash);

ALTER TABLE ONLY public.credential
    ADD CONSTRAINT credential_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.custom_trait
    ADD CONSTRAINT custom_trait_pkey PRIMARY KEY (name);

ALTER TABLE ONLY public.default_security_group_rule
    ADD CONSTRAINT default_security_group_rule_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.domain_config
    ADD CONSTRAINT domain_config_domain_id_section_option_key UNIQUE (domain_id, section, option);

ALTER TABLE ONLY public.domain_config
    ADD CONSTRAINT domain_config_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.domain
    ADD CONSTRAINT domain_name_key UNIQUE (name);

ALTER TABLE ONLY public.domain
    ADD CONSTRAINT domain_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.endpoint_group
    ADD CONSTRAINT endpoint_group_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.endpoint
    ADD CONSTRAINT endpoint_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.federated_user
    ADD CONSTRAINT federated_user_pkey PRIMARY KEY (identity_provider_id, protocol, unique_id);

ALTER TABLE ONLY public.federation_protocol
    ADD CONSTRAINT federation_protocol_identity_provider_id_name_key UNIQUE (identity_provider_id, name);

ALTER TABLE ONLY public.federation_protocol
    ADD CONSTRAINT federation_protocol_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.flavor_access
    ADD CONSTRAINT flavor_access_pkey PRIMARY KEY (flavor_id, project_id);

ALTER TABLE ONLY public.flavor
    ADD CONSTRAINT flavor_flavor_id_key UNIQUE (flavor_id);

ALTER TABLE ONLY public.flavor
    ADD CONSTRAINT flavor_name_key UNIQUE (name);

ALTER TABLE ONLY public.flavor
    ADD CONSTRAINT flavor_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.floating_ip
    ADD CONSTRAINT floating_ip_floating_network_id_floating_ip_key UNIQUE (floating_network_id, floating_ip);

ALTER TABLE ONLY public.floating_ip
    ADD CONSTRAINT floating_ip_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.floating_ip
    ADD CONSTRAINT floating_ip_port_id_fixed_ip_key UNIQUE (port_id, fixed_ip);

ALTER TABLE ONLY public.forgotten
    ADD CONSTRAINT forgotten_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.group_snapshot
    ADD CONSTRAINT group_snapshot_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.group_type
    ADD CONSTRAINT group_type_name_key UNIQUE (name);

ALTER TABLE ONLY public.group_type
    ADD CONSTRAINT group_type_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.host_bandwidth
    ADD CONSTRAINT host_bandwidth_pkey PRIMARY KEY (host_id, physical_network);

ALTER TABLE ONLY public.host_bmc
    ADD CONSTRAINT host_bmc_pkey PRIMARY KEY (host_id);

ALTER TABLE ONLY public.host
    ADD CONSTRAINT host_name_key UNIQUE (name);

ALTER TABLE ONLY public.host
    ADD CONSTRAINT host_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.host_power_off
    ADD CONSTRAINT host_power_off_host_id_silent_since_key UNIQUE (host_id, silent_since);

ALTER TABLE ONLY public.host_power_off
    ADD CONSTRAINT host_power_off_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.host_reserve
    ADD CONSTRAINT host_reserve_pkey PRIMARY KEY (host_id);

ALTER TABLE ONLY public.host_standby
    ADD CONSTRAINT host_standby_pkey PRIMARY KEY (host_id);

ALTER TABLE ONLY public.host_token
    ADD CONSTRAINT host_token_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.host_token
    ADD CONSTRAINT host_token_secret_sha256_key UNIQUE (secret_sha256);

ALTER TABLE ONLY public.host_tunnels
    ADD CONSTRAINT host_tunnels_pkey PRIMARY KEY (host_id);

ALTER TABLE ONLY public.host_usage
    ADD CONSTRAINT host_usage_pkey PRIMARY KEY (host_id);

ALTER TABLE ONLY public.host_watts
    ADD CONSTRAINT host_watts_pkey PRIMARY KEY (host_id);

ALTER TABLE ONLY public.identity_provider
    ADD CONSTRAINT identity_provider_name_key UNIQUE (name);

ALTER TABLE ONLY public.identity_provider
    ADD CONSTRAINT identity_provider_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.image_copy
    ADD CONSTRAINT image_copy_pkey PRIMARY KEY (image_id, host_id);

ALTER TABLE ONLY public.image_id_past
    ADD CONSTRAINT image_id_past_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.image_location
    ADD CONSTRAINT image_location_pkey PRIMARY KEY (image_id, host_id);

ALTER TABLE ONLY public.image_member
    ADD CONSTRAINT image_member_pkey PRIMARY KEY (image_id, project_id);

ALTER TABLE ONLY public.image
    ADD CONSTRAINT image_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.image_task
    ADD CONSTRAINT image_task_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.image_upload
    ADD CONSTRAINT image_upload_image_id_key UNIQUE (image_id);

ALTER TABLE ONLY public.image_upload
    ADD CONSTRAINT image_upload_pkey PRIMARY KEY (upload_id);

ALTER TABLE ONLY public.key_pair
    ADD CONSTRAINT key_pair_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.key_pair
    ADD CONSTRAINT key_pair_user_id_name_key UNIQUE (user_id, name);

ALTER TABLE ONLY public.lease
    ADD CONSTRAINT lease_pkey PRIMARY KEY (role);

ALTER TABLE ONLY public.local_ip_association
    ADD CONSTRAINT local_ip_association_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.local_ip
    ADD CONSTRAINT local_ip_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.mapping
    ADD CONSTRAINT mapping_name_key UNIQUE (name);

ALTER TABLE ONLY public.mapping
    ADD CONSTRAINT mapping_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.metadef_entry
    ADD CONSTRAINT metadef_entry_namespace_id_kind_name_key UNIQUE (namespace_id, kind, name);

ALTER TABLE ONLY public.metadef_entry
    ADD CONSTRAINT metadef_entry_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.metadef_namespace
    ADD CONSTRAINT metadef_namespace_name_key UNIQUE (name);

ALTER TABLE ONLY public.metadef_namespace
    ADD CONSTRAINT metadef_namespace_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.meter
    ADD CONSTRAINT meter_floating_ip_id_key UNIQUE (floating_ip_id);

ALTER TABLE ONLY public.meter
    ADD CONSTRAINT meter_metering_label_id_key UNIQUE (metering_label_id);

ALTER TABLE ONLY public.meter
    ADD CONSTRAINT meter_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.meter
    ADD CONSTRAINT meter_port_id_key UNIQUE (port_id);

ALTER TABLE ONLY public.meter_reading
    ADD CONSTRAINT meter_reading_pkey PRIMARY KEY (host_id, source);

ALTER TABLE ONLY public.meter
    ADD CONSTRAINT meter_router_id_key UNIQUE (router_id);

ALTER TABLE ONLY public.metering_label
    ADD CONSTRAINT metering_label_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.metering_label_rule
    ADD CONSTRAINT metering_label_rule_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.migration
    ADD CONSTRAINT migration_pkey PRIMARY KEY (name);

ALTER TABLE ONLY public.ndp_proxy
    ADD CONSTRAINT ndp_proxy_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.network_flavor
    ADD CONSTRAINT network_flavor_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.network_flavor_profile
    ADD CONSTRAINT network_flavor_profile_pkey PRIMARY KEY (network_flavor_id, service_profile_id);

ALTER TABLE ONLY public.network
    ADD CONSTRAINT network_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.object_account
    ADD CONSTRAINT object_account_pkey PRIMARY KEY (project_id);

ALTER TABLE ONLY public.object_blob
    ADD CONSTRAINT object_blob_pkey PRIMARY KEY (id, disk_id);

ALTER TABLE ONLY public.object_disk
    ADD CONSTRAINT object_disk_host_id_name_key UNIQUE (host_id, name);

ALTER TABLE ONLY public.object_disk
    ADD CONSTRAINT object_disk_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.object_intent_disk
    ADD CONSTRAINT object_intent_disk_pkey PRIMARY KEY (intent_id, disk_id);

ALTER TABLE ONLY public.object_intent
    ADD CONSTRAINT object_intent_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.object_part
    ADD CONSTRAINT object_part_pkey PRIMARY KEY (object_id, number);

ALTER TABLE ONLY public.object
    ADD CONSTRAINT object_pkey PRIMARY KEY (container_id, name, sequence);

ALTER TABLE ONLY public.object_removal
    ADD CONSTRAINT object_removal_pkey PRIMARY KEY (blob_id);

ALTER TABLE ONLY public.object_upload_part
    ADD CONSTRAINT object_upload_part_pkey PRIMARY KEY (upload_id, number);

ALTER TABLE ONLY public.object_upload
    ADD CONSTRAINT object_upload_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.own_limit
    ADD CONSTRAINT own_limit_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.own_limit
    ADD CONSTRAINT own_limit_registered_limit_id_project_id_domain_id_key UNIQUE NULLS NOT DISTINCT (registered_limit_id, project_id, domain_id);

ALTER TABLE ONLY public.policy
    ADD CONSTRAINT policy_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.port_bandwidth
    ADD CONSTRAINT port_bandwidth_pkey PRIMARY KEY (port_id);

ALTER TABLE ONLY public.port_forwarding
    ADD CONSTRAINT port_forwarding_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.port_ip
    ADD CONSTRAINT port_ip_pkey PRIMARY KEY (subnet_id, ip);

ALTER TABLE ONLY public.port
    ADD CONSTRAINT port_network_id_mac_key UNIQUE (network_id, mac);

ALTER TABLE ONLY public.port
    ADD CONSTRAINT port_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.port_security_group
    ADD CONSTRAINT port_security_group_pkey PRIMARY KEY (port_id, security_group_id);

ALTER TABLE ONLY public.project
    ADD CONSTRAINT project_domain_id_name_key UNIQUE (domain_id, name);

ALTER TABLE ONLY public.project_endpoint_group
    ADD CONSTRAINT project_endpoint_group_pkey PRIMARY KEY (project_id, endpoint_group_id);

ALTER TABLE ONLY public.project_endpoint
    ADD CONSTRAINT project_endpoint_pkey PRIMARY KEY (project_id, endpoint_id);

ALTER TABLE ONLY public.project
    ADD CONSTRAINT project_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.qos_policy
    ADD CONSTRAINT qos_policy_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.qos_rule
    ADD CONSTRAINT qos_rule_once UNIQUE (qos_policy_id, kind, direction);

ALTER TABLE ONLY public.qos_rule
    ADD CONSTRAINT qos_rule_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.qos_specs
    ADD CONSTRAINT qos_specs_name_key UNIQUE (name);

ALTER TABLE ONLY public.qos_specs
    ADD CONSTRAINT qos_specs_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.quarantined_image
    ADD CONSTRAINT quarantined_image_pkey PRIMARY KEY (host_id, image_id);

ALTER TABLE ONLY public.quarantined_layer
    ADD CONSTRAINT quarantined_layer_pkey PRIMARY KEY (host_id, layer_id);

ALTER TABLE ONLY public.quarantined_server
    ADD CONSTRAINT quarantined_server_pkey PRIMARY KEY (host_id, server_id);

ALTER TABLE ONLY public.quota
    ADD CONSTRAINT quota_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.quota
    ADD CONSTRAINT quota_project_id_resource_key UNIQUE NULLS NOT DISTINCT (project_id, resource);

ALTER TABLE ONLY public.rbac_policy
    ADD CONSTRAINT rbac_policy_once UNIQUE NULLS NOT DISTINCT (network_id, subnet_pool_id, address_scope_id, security_group_id, address_group_id, qos_policy_id, action, target_project_id);

ALTER TABLE ONLY public.rbac_policy
    ADD CONSTRAINT rbac_policy_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.reachability_assertion
    ADD CONSTRAINT reachability_assertion_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.region
    ADD CONSTRAINT region_name_key UNIQUE (name);

ALTER TABLE ONLY public.region
    ADD CONSTRAINT region_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.registered_limit
    ADD CONSTRAINT registered_limit_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.registered_limit
    ADD CONSTRAINT registered_limit_service_id_region_resource_name_key UNIQUE NULLS NOT DISTINCT (service_id, region, resource_name);

ALTER TABLE ONLY public.reserve_policy
    ADD CONSTRAINT reserve_policy_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.role_assignment
    ADD CONSTRAINT role_assignment_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.role_assignment
    ADD CONSTRAINT role_assignment_role_id_user_id_group_id_project_id_domain__key UNIQUE NULLS NOT DISTINCT (role_id, user_id, group_id, project_id, domain_id, system, inherited);

ALTER TABLE ONLY public.role
    ADD CONSTRAINT role_domain_id_name_key UNIQUE NULLS NOT DISTINCT (domain_id, name);

ALTER TABLE ONLY public.role_implication
    ADD CONSTRAINT role_implication_pkey PRIMARY KEY (prior_role_id, implied_role_id);

ALTER TABLE ONLY public.role
    ADD CONSTRAINT role_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.router
    ADD CONSTRAINT router_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.security_group
    ADD CONSTRAINT security_group_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.security_group_rule
    ADD CONSTRAINT security_group_rule_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.segment
    ADD CONSTRAINT segment_network_id_position_key UNIQUE (network_id, "position");

ALTER TABLE ONLY public.segment
    ADD CONSTRAINT segment_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.server_absence
    ADD CONSTRAINT server_absence_pkey PRIMARY KEY (host_id, server_id);

ALTER TABLE ONLY public.server_admin_password
    ADD CONSTRAINT server_admin_password_pkey PRIMARY KEY (server_id);

ALTER TABLE ONLY public.server_claim
    ADD CONSTRAINT server_claim_pkey PRIMARY KEY (server_id);

ALTER TABLE ONLY public.server_group
    ADD CONSTRAINT server_group_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.server_migration_key
    ADD CONSTRAINT server_migration_key_pkey PRIMARY KEY (migration_id);

ALTER TABLE ONLY public.server_migration
    ADD CONSTRAINT server_migration_number_key UNIQUE (number);

ALTER TABLE ONLY public.server_migration
    ADD CONSTRAINT server_migration_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.server_personality
    ADD CONSTRAINT server_personality_pkey PRIMARY KEY (server_id);

ALTER TABLE ONLY public.server
    ADD CONSTRAINT server_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.server_port
    ADD CONSTRAINT server_port_pkey PRIMARY KEY (server_id, port_id);

ALTER TABLE ONLY public.server_port
    ADD CONSTRAINT server_port_port_id_key UNIQUE (port_id);

ALTER TABLE ONLY public.server_refuge
    ADD CONSTRAINT server_refuge_pkey PRIMARY KEY (server_id, lost_host_id);

ALTER TABLE ONLY public.server_user_data
    ADD CONSTRAINT server_user_data_pkey PRIMARY KEY (server_id);

ALTER TABLE ONLY public.service
    ADD CONSTRAINT service_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.service_profile
    ADD CONSTRAINT service_profile_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.service_provider
    ADD CONSTRAINT service_provider_name_key UNIQUE (name);

ALTER TABLE ONLY public.service_provider
    ADD CONSTRAINT service_provider_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.storage_pool
    ADD CONSTRAINT storage_pool_host_id_name_key UNIQUE (host_id, name);

ALTER TABLE ONLY public.storage_pool
    ADD CONSTRAINT storage_pool_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.storage_pool_usage
    ADD CONSTRAINT storage_pool_usage_pkey PRIMARY KEY (pool_id);

ALTER TABLE ONLY public.storage_pool_volumes
    ADD CONSTRAINT storage_pool_volumes_pkey PRIMARY KEY (pool_id, volume_type_id, size_gib);

ALTER TABLE ONLY public.subnet
    ADD CONSTRAINT subnet_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.subnet_pool
    ADD CONSTRAINT subnet_pool_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.subport
    ADD CONSTRAINT subport_pkey PRIMARY KEY (port_id);

ALTER TABLE ONLY public.subport
    ADD CONSTRAINT subport_tag UNIQUE (trunk_id, segmentation_type, segmentation_id);

ALTER TABLE ONLY public.token_key
    ADD CONSTRAINT token_key_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.token_revocation
    ADD CONSTRAINT token_revocation_audit_id_key UNIQUE (audit_id);

ALTER TABLE ONLY public.token_revocation
    ADD CONSTRAINT token_revocation_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.trunk
    ADD CONSTRAINT trunk_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.trunk
    ADD CONSTRAINT trunk_port_id_key UNIQUE (port_id);

ALTER TABLE ONLY public.trust
    ADD CONSTRAINT trust_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public."user"
    ADD CONSTRAINT user_domain_id_name_key UNIQUE (domain_id, name);

ALTER TABLE ONLY public.user_group
    ADD CONSTRAINT user_group_domain_id_name_key UNIQUE (domain_id, name);

ALTER TABLE ONLY public.user_group_member
    ADD CONSTRAINT user_group_member_pkey PRIMARY KEY (group_id, user_id);

ALTER TABLE ONLY public.user_group
    ADD CONSTRAINT user_group_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.user_login
    ADD CONSTRAINT user_login_pkey PRIMARY KEY (user_id);

ALTER TABLE ONLY public.user_password_past
    ADD CONSTRAINT user_password_past_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.user_password
    ADD CONSTRAINT user_password_pkey PRIMARY KEY (user_id);

ALTER TABLE ONLY public."user"
    ADD CONSTRAINT user_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.user_quota
    ADD CONSTRAINT user_quota_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.user_quota
    ADD CONSTRAINT user_quota_project_id_user_id_resource_key UNIQUE (project_id, user_id, resource);

ALTER TABLE ONLY public.volume_attachment
    ADD CONSTRAINT volume_attachment_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.volume_attachment
    ADD CONSTRAINT volume_attachment_server_id_slot_key UNIQUE (server_id, slot);

ALTER TABLE ONLY public.volume_attachment
    ADD CONSTRAINT volume_attachment_volume_id_key UNIQUE (volume_id);

ALTER TABLE ONLY public.volume_cache_use
    ADD CONSTRAINT volume_cache_use_pkey PRIMARY KEY (volume_id);

ALTER TABLE ONLY public.volume_export
    ADD CONSTRAINT volume_export_host_id_port_key UNIQUE (host_id, port);

ALTER TABLE ONLY public.volume_export
    ADD CONSTRAINT volume_export_pkey PRIMARY KEY (attachment_id);

ALTER TABLE ONLY public.volume_export
    ADD CONSTRAINT volume_export_secret_id_key UNIQUE (secret_id);

ALTER TABLE ONLY public.volume_group
    ADD CONSTRAINT volume_group_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.volume_key
    ADD CONSTRAINT volume_key_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.volume_layer
    ADD CONSTRAINT volume_layer_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.volume_ownership
    ADD CONSTRAINT volume_ownership_pkey PRIMARY KEY (volume_id);

ALTER TABLE ONLY public.volume
    ADD CONSTRAINT volume_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.volume_replica_key
    ADD CONSTRAINT volume_replica_key_pkey PRIMARY KEY (volume_id);

ALTER TABLE ONLY public.volume_replica
    ADD CONSTRAINT volume_replica_pkey PRIMARY KEY (volume_id);

ALTER TABLE ONLY public.volume_snapshot
    ADD CONSTRAINT volume_snapshot_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.volume_transfer
    ADD CONSTRAINT volume_transfer_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.volume_transfer
    ADD CONSTRAINT volume_transfer_volume_id_key UNIQUE (volume_id);

ALTER TABLE ONLY public.volume_type_access
    ADD CONSTRAINT volume_type_access_pkey PRIMARY KEY (volume_type_id, project_id);

ALTER TABLE ONLY public.volume_type_default
    ADD CONSTRAINT volume_type_default_pkey PRIMARY KEY (project_id);

ALTER TABLE ONLY public.volume_type_encryption
    ADD CONSTRAINT volume_type_encryption_id_key UNIQUE (id);

ALTER TABLE ONLY public.volume_type_encryption
    ADD CONSTRAINT volume_type_encryption_pkey PRIMARY KEY (volume_type_id);

ALTER TABLE ONLY public.volume_type
    ADD CONSTRAINT volume_type_name_key UNIQUE (name);

ALTER TABLE ONLY public.volume_type
    ADD CONSTRAINT volume_type_pkey PRIMARY KEY (id);

CREATE INDEX address_group_project ON public.address_group USING btree (project_id, id);

CREATE INDEX address_scope_project ON public.address_scope USING btree (project_id, id);

CREATE INDEX address_scope_shared ON public.address_scope USING btree (id) WHERE shared;

CREATE INDEX aggregate_host_host ON public.aggregate_host USING btree (host_id);

CREATE INDEX backup_file ON public.backup USING btree (file_name);

CREATE INDEX backup_key ON public.backup USING btree (key_id) WHERE (key_id IS NOT NULL);

CREATE INDEX backup_parent ON public.backup USING btree (parent_id) WHERE (parent_id IS NOT NULL);

CREATE INDEX backup_project ON public.backup USING btree (project_id, created_at, id);

CREATE INDEX backup_unsettled ON public.backup USING btree (id) WHERE ((layer_id IS NOT NULL) OR (desired_presence = 'absent'::text));

CREATE INDEX backup_volume ON public.backup USING btree (volume_id, data_at);

CREATE INDEX change_server_deleted ON ONLY public.change USING btree (at) WHERE ((resource_type = 'server'::text) AND (action = 'deleted'::text));

CREATE INDEX change_default_at_idx ON public.change_default USING btree (at) WHERE ((resource_type = 'server'::text) AND (action = 'deleted'::text));

CREATE INDEX change_server_deleted_project ON ONLY public.change USING btree (project_id, at) WHERE ((resource_type = 'server'::text) AND (action = 'deleted'::text));

CREATE INDEX change_default_project_id_at_idx ON public.change_default USING btree (project_id, at) WHERE ((resource_type = 'server'::text) AND (action = 'deleted'::text));

CREATE INDEX change_project ON ONLY public.change USING btree (project_id, transaction_id, sequence);

CREATE INDEX change_default_project_id_transaction_id_sequence_idx ON public.change_default USING btree (project_id, transaction_id, sequence);

CREATE INDEX change_resource ON ONLY public.change USING btree (resource_type, resource_id, transaction_id, sequence);

CREATE INDEX change_default_resource_type_resource_id_transaction_id_seq_idx ON public.change_default USING btree (resource_type, resource_id, transaction_id, sequence);

CREATE UNIQUE INDEX change_position ON ONLY public.change USING btree (transaction_id, sequence, at);

CREATE UNIQUE INDEX change_default_transaction_id_sequence_at_idx ON public.change_default USING btree (transaction_id, sequence, at);

CREATE INDEX console_token_expiry ON public.console_token USING btree (expires_at);

CREATE INDEX console_token_server ON public.console_token USING btree (server_id);

CREATE UNIQUE INDEX container_bucket_name ON public.container USING btree (bucket_name);

CREATE INDEX credential_project ON public.credential USING btree (project_id);

CREATE INDEX credential_user ON public.credential USING btree (user_id);

CREATE UNIQUE INDEX decision_id ON ONLY public.decision USING btree (id);

CREATE UNIQUE INDEX decision_default_id_idx ON public.decision_default USING btree (id);

CREATE INDEX decision_project ON ONLY public.decision USING btree (project_id, id);

CREATE INDEX decision_default_project_id_id_idx ON public.decision_default USING btree (project_id, id);

CREATE INDEX decision_resource ON ONLY public.decision USING btree (resource_id, id DESC);

CREATE INDEX decision_default_resource_id_id_idx ON public.decision_default USING btree (resource_id, id DESC);

CREATE INDEX default_security_group_rule_remote_address_group ON public.default_security_group_rule USING btree (remote_address_group_id) WHERE (remote_address_group_id IS NOT NULL);

CREATE INDEX default_security_group_rule_remote_group ON public.default_security_group_rule USING btree (remote_group_id) WHERE (remote_group_id IS NOT NULL);

CREATE UNIQUE INDEX domain_default ON public.domain USING btree (is_default) WHERE is_default;

CREATE INDEX endpoint_service ON public.endpoint USING btree (service_id);

CREATE INDEX federated_user_user ON public.federated_user USING btree (user_id);

CREATE INDEX floating_ip_floating_port ON public.floating_ip USING btree (floating_port_id);

CREATE INDEX floating_ip_named ON public.floating_ip USING btree (project_id, id) WHERE (dns_name <> ''::text);

CREATE INDEX floating_ip_project ON public.floating_ip USING btree (project_id, id);

CREATE INDEX floating_ip_qos_policy ON public.floating_ip USING btree (qos_policy_id) WHERE (qos_policy_id IS NOT NULL);

CREATE INDEX floating_ip_router ON public.floating_ip USING btree (router_id) WHERE (router_id IS NOT NULL);

CREATE INDEX group_snapshot_of_group ON public.group_snapshot USING btree (group_id);

CREATE INDEX group_snapshot_project ON public.group_snapshot USING btree (project_id, created_at, id);

CREATE INDEX host_in_maintenance ON public.host USING btree (id) WHERE (maintenance IS NOT NULL);

CREATE INDEX host_machine_uuid ON public.host USING btree (((facts ->> 'machineUuid'::text)));

CREATE INDEX host_power_off_open ON public.host_power_off USING btree (host_id) WHERE (ended IS NULL);

CREATE INDEX host_token_used_by ON public.host_token USING btree (used_by);

CREATE INDEX host_tunnels_broken ON public.host_tunnels USING btree (host_id) WHERE (faults > 0);

CREATE INDEX host_watts_next ON public.host_watts USING btree (next_at);

CREATE INDEX image_backup ON public.image USING btree (((owner_properties ->> 'instance_uuid'::text))) WHERE (owner_properties ? 'backup_type'::text);

CREATE INDEX image_copy_host ON public.image_copy USING btree (host_id);

CREATE INDEX image_foreign_owner ON public.image USING btree (foreign_owner) WHERE (foreign_owner IS NOT NULL);

CREATE INDEX image_key ON public.image USING btree (key_id) WHERE (key_id IS NOT NULL);

CREATE INDEX image_location_host ON public.image_location USING btree (host_id);

CREATE INDEX image_member_project ON public.image_member USING btree (project_id, image_id);

CREATE INDEX image_project ON public.image USING btree (project_id, id);

CREATE INDEX image_task_ended ON public.image_task USING btree (ended_at) WHERE (ended_at IS NOT NULL);

CREATE INDEX image_task_image ON public.image_task USING btree (image_id, id);

CREATE UNIQUE INDEX image_task_unfinished ON public.image_task USING btree (image_id) WHERE (ended_at IS NULL);

CREATE INDEX image_visible ON public.image USING btree (visibility, id);

CREATE INDEX image_without_digests ON public.image USING btree (id) WHERE ((sha512 IS NULL) AND (size_bytes IS NOT NULL));

CREATE UNIQUE INDEX lease_epoch ON public.lease USING btree (role, epoch);

CREATE UNIQUE INDEX local_ip_association_local_ip_id_fixed_port_id_key ON public.local_ip_association USING btree (local_ip_id, fixed_port_id);

CREATE INDEX local_ip_association_network ON public.local_ip_association USING btree (network_id);

CREATE INDEX local_ip_association_port ON public.local_ip_association USING btree (fixed_port_id, fixed_ip);

CREATE INDEX local_ip_association_project ON public.local_ip_association USING btree (project_id, id);

CREATE UNIQUE INDEX local_ip_local_port_id_local_ip_address_key ON public.local_ip USING btree (local_port_id, local_ip_address);

CREATE INDEX local_ip_network ON public.local_ip USING btree (network_id);

CREATE INDEX local_ip_project ON public.local_ip USING btree (project_id, id);

CREATE INDEX metadef_namespace_project ON public.metadef_namespace USING btree (project_id, id);

CREATE INDEX meter_project ON public.meter USING btree (project_id, id);

CREATE INDEX meter_reading_meter ON public.meter_reading USING btree (meter_id);

CREATE INDEX meter_reading_of_nothing ON public.meter_reading USING btree (host_id, updated_at) WHERE (meter_id IS NULL);

CREATE INDEX metering_label_project ON public.metering_label USING btree (project_id, id);

CREATE INDEX metering_label_rule_label ON public.metering_label_rule USING btree (metering_label_id);

CREATE INDEX metering_label_shared ON public.metering_label USING btree (id) WHERE shared;

CREATE INDEX ndp_proxy_port ON public.ndp_proxy USING btree (port_id, ip_address);

CREATE INDEX ndp_proxy_project ON public.ndp_proxy USING btree (project_id, id);

CREATE UNIQUE INDEX ndp_proxy_router_id_ip_address_key ON public.ndp_proxy USING btree (router_id, ip_address);

CREATE INDEX network_flavor_profile_profile ON public.network_flavor_profile USING btree (service_profile_id);

CREATE INDEX network_open ON public.network USING btree (id) WHERE (shared OR external);

CREATE INDEX network_project ON public.network USING btree (project_id, id);

CREATE INDEX network_qos_policy ON public.network USING btree (qos_policy_id) WHERE (qos_policy_id IS NOT NULL);

CREATE INDEX object_blob_file ON public.object_blob USING btree (intent_id, disk_id, file);

CREATE UNIQUE INDEX object_current ON public.object USING btree (container_id, name) WHERE current;

CREATE INDEX object_expires ON public.object USING btree (expires_at) WHERE ((expires_at IS NOT NULL) AND current);

CREATE INDEX object_intent_disk_look ON public.object_intent_disk USING btree (look_at);

CREATE INDEX object_intent_open ON public.object_intent USING btree (deadline) WHERE (state = 'open'::text);

CREATE UNIQUE INDEX object_past_null ON public.object USING btree (container_id, name) WHERE (null_version AND (NOT current));

CREATE INDEX object_removal_time ON public.object_removal USING btree (removed_at);

CREATE INDEX object_upload_name ON public.object_upload USING btree (container_id, name, id);

CREATE INDEX object_upload_time ON public.object_upload USING btree (created_at);

CREATE INDEX operation_deadline ON ONLY public.operation USING btree (deadline) WHERE (state = 'running'::text);

CREATE INDEX operation_default_deadline_idx ON public.operation_default USING btree (deadline) WHERE (state = 'running'::text);

CREATE UNIQUE INDEX operation_id ON ONLY public.operation USING btree (id);

CREATE UNIQUE INDEX operation_default_id_idx ON public.operation_default USING btree (id);

CREATE INDEX operation_project ON ONLY public.operation USING btree (project_id, id);

CREATE INDEX operation_default_project_id_id_idx ON public.operation_default USING btree (project_id, id);

CREATE INDEX operation_resource ON ONLY public.operation USING btree (resource_id, id DESC);

CREATE INDEX operation_default_resource_id_id_idx ON public.operation_default USING btree (resource_id, id DESC);

CREATE INDEX operation_running ON ONLY public.operation USING btree (resource_id) WHERE (state = 'running'::text);

CREATE INDEX operation_default_resource_id_idx ON public.operation_default USING btree (resource_id) WHERE (state = 'running'::text);

CREATE INDEX own_limit_project ON public.own_limit USING btree (project_id);

CREATE INDEX port_bandwidth_host ON public.port_bandwidth USING btree (host_id);

CREATE INDEX port_device ON public.port USING btree (device_id) WHERE (device_id <> ''::text);

CREATE INDEX port_dhcp_options ON public.port USING btree (network_id) WHERE (extra_dhcp_opts <> '[]'::jsonb);

CREATE INDEX port_forwarding_floating_ip ON public.port_forwarding USING btree (floating_ip_id);

CREATE INDEX port_forwarding_port ON public.port_forwarding USING btree (port_id, fixed_ip);

CREATE INDEX port_forwarding_project ON public.port_forwarding USING btree (project_id, id);

CREATE INDEX port_forwarding_router ON public.port_forwarding USING btree (router_id);

CREATE INDEX port_host ON public.port USING btree (host_id, network_id) WHERE (host_id IS NOT NULL);

CREATE UNIQUE INDEX port_ip_port_ip ON public.port_ip USING btree (port_id, ip);

CREATE INDEX port_migrating_to ON public.port USING btree (migrating_to) WHERE (migrating_to IS NOT NULL);

CREATE INDEX port_named ON public.port USING btree (network_id, id) WHERE (dns_name <> ''::text);

CREATE INDEX port_network ON public.port USING btree (network_id, id);

CREATE INDEX port_network_owner ON public.port USING btree (network_id, device_owner text_pattern_ops);

CREATE INDEX port_project ON public.port USING btree (project_id, id);

CREATE INDEX port_qos_policy ON public.port USING btree (qos_policy_id) WHERE (qos_policy_id IS NOT NULL);

CREATE INDEX port_security_group_group ON public.port_security_group USING btree (security_group_id);

CREATE INDEX project_parent ON public.project USING btree (parent_id);

CREATE UNIQUE INDEX qos_policy_default ON public.qos_policy USING btree (project_id) WHERE is_default;

CREATE INDEX qos_policy_project ON public.qos_policy USING btree (project_id, id);

CREATE INDEX quarantined_server_server ON public.quarantined_server USING btree (server_id);

CREATE INDEX rbac_policy_address_group ON public.rbac_policy USING btree (address_group_id) WHERE (address_group_id IS NOT NULL);

CREATE INDEX rbac_policy_address_scope ON public.rbac_policy USING btree (address_scope_id) WHERE (address_scope_id IS NOT NULL);

CREATE INDEX rbac_policy_project ON public.rbac_policy USING btree (project_id, id);

CREATE INDEX rbac_policy_qos_policy ON public.rbac_policy USING btree (qos_policy_id) WHERE (qos_policy_id IS NOT NULL);

CREATE INDEX rbac_policy_security_group ON public.rbac_policy USING btree (security_group_id) WHERE (security_group_id IS NOT NULL);

CREATE INDEX rbac_policy_subnet_pool ON public.rbac_policy USING btree (subnet_pool_id) WHERE (subnet_pool_id IS NOT NULL);

CREATE INDEX rbac_policy_target ON public.rbac_policy USING btree (target_project_id);

CREATE INDEX reachability_assertion_ground ON public.reachability_assertion USING gin (ground);

CREATE INDEX reachability_assertion_project ON public.reachability_assertion USING btree (project_id, id);

CREATE INDEX reachability_assertion_undecided ON public.reachability_assertion USING btree (id) WHERE undecided;

CREATE INDEX role_assignment_group ON public.role_assignment USING btree (group_id);

CREATE INDEX role_assignment_project ON public.role_assignment USING btree (project_id);

CREATE INDEX role_assignment_user ON public.role_assignment USING btree (user_id);

CREATE INDEX router_flavor ON public.router USING btree (flavor_id) WHERE (flavor_id IS NOT NULL);

CREATE INDEX router_gateway_network ON public.router USING btree (gateway_network_id, id) WHERE (gateway_network_id IS NOT NULL);

CREATE INDEX router_gateway_qos_policy ON public.router USING btree (gateway_qos_policy_id) WHERE (gateway_qos_policy_id IS NOT NULL);

CREATE INDEX router_nat64 ON public.router USING btree (((id)::text)) WHERE nat64;

CREATE INDEX router_project ON public.router USING btree (project_id, id);

CREATE UNIQUE INDEX security_group_default ON public.security_group USING btree (project_id) WHERE is_default;

CREATE INDEX security_group_project ON public.security_group USING btree (project_id, id);

CREATE INDEX security_group_rule_address_group ON public.security_group_rule USING btree (remote_address_group_id) WHERE (remote_address_group_id IS NOT NULL);

CREATE INDEX security_group_rule_group ON public.security_group_rule USING btree (security_group_id);

CREATE INDEX security_group_rule_remote ON public.security_group_rule USING btree (remote_group_id);

CREATE INDEX segment_carried ON public.segment USING btree (segmentation_id, physical_network);

CREATE INDEX server_absence_server ON public.server_absence USING btree (server_id);

CREATE INDEX server_absent ON public.server USING btree (id) WHERE (desired_presence = 'absent'::text);

CREATE INDEX server_claim_host ON public.server_claim USING btree (host_id);

CREATE INDEX server_group_member ON public.server USING btree (server_group_id) WHERE (server_group_id IS NOT NULL);

CREATE INDEX server_group_project ON public.server_group USING btree (project_id, id);

CREATE INDEX server_host ON public.server USING btree (host_id) INCLUDE (vcpus, memory_mib, disk_gib);

CREATE INDEX server_image ON public.server USING btree (image_id);

CREATE INDEX server_migration_caused ON public.server_migration USING btree (host_id) WHERE ((cause IS NOT NULL) AND (phase <> 'ended'::text));

CREATE UNIQUE INDEX server_migration_moving ON public.server_migration USING btree (server_id) WHERE (phase <> 'ended'::text);

CREATE INDEX server_migration_not_ended ON public.server_migration USING btree (number) WHERE (ended IS NULL);

CREATE INDEX server_migration_other ON public.server_migration USING btree (other_host_id) WHERE (other_host_id IS NOT NULL);

CREATE INDEX server_migration_project ON public.server_migration USING btree (project_id);

CREATE INDEX server_migration_server ON public.server_migration USING btree (server_id);

CREATE INDEX server_project ON public.server USING btree (project_id, id DESC);

CREATE INDEX server_refuge_lost ON public.server_refuge USING btree (lost_host_id);

CREATE INDEX server_refuge_refuge ON public.server_refuge USING btree (refuge_host_id, lost_host_id);

CREATE INDEX server_resized ON public.server USING btree (resized_at) WHERE (resized_at IS NOT NULL);

CREATE INDEX server_restart_elsewhere ON public.server USING btree (host_id) WHERE ((evacuation_policy ->> 'restart'::text) = 'elsewhere'::text);

CREATE INDEX server_shelved ON public.server USING btree (id) WHERE (desired_shelve IS NOT NULL);

CREATE INDEX server_soft_deleted ON public.server USING btree (soft_deleted_at) WHERE (soft_deleted_at IS NOT NULL);

CREATE INDEX server_unserved ON public.server USING btree (id) WHERE ((observed_generation < generation) OR (host_id IS NULL));

CREATE INDEX server_updated ON public.server USING btree (updated_at);

CREATE INDEX server_without_digest ON public.server USING btree (id) WHERE ((image @> '{"sha256": null}'::jsonb) OR (desired_root @> '{"image": {"sha256": null}}'::jsonb) OR (desired_rescue @> '{"image": {"sha256": null}}'::jsonb) OR (desired_shelve @> '{"image": {"sha256": null}}'::jsonb));

CREATE INDEX subnet_network ON public.subnet USING btree (network_id);

CREATE INDEX subnet_pool_address_scope ON public.subnet_pool USING btree (address_scope_id) WHERE (address_scope_id IS NOT NULL);

CREATE UNIQUE INDEX subnet_pool_default ON public.subnet_pool USING btree (ip_version) WHERE is_default;

CREATE INDEX subnet_pool_project ON public.subnet_pool USING btree (project_id, id);

CREATE INDEX subnet_pool_shared ON public.subnet_pool USING btree (id) WHERE shared;

CREATE INDEX subnet_project ON public.subnet USING btree (project_id, id);

CREATE INDEX subnet_segment ON public.subnet USING btree (segment_id) WHERE (segment_id IS NOT NULL);

CREATE INDEX subnet_subnet_pool ON public.subnet USING btree (subnet_pool_id) WHERE (subnet_pool_id IS NOT NULL);

CREATE INDEX token_revocation_expiry ON public.token_revocation USING btree (expires_at);

CREATE INDEX trunk_project ON public.trunk USING btree (project_id, id);

CREATE INDEX trust_parent ON public.trust USING btree (redelegated_trust_id);

CREATE INDEX trust_project ON public.trust USING btree (project_id);

CREATE INDEX trust_trustee ON public.trust USING btree (trustee_user_id);

CREATE INDEX trust_trustor ON public.trust USING btree (trustor_user_id);

CREATE INDEX user_group_member_user ON public.user_group_member USING btree (user_id);

CREATE INDEX user_password_past_user ON public.user_password_past USING btree (user_id, id);

CREATE INDEX volume_attachment_project ON public.volume_attachment USING btree (project_id);

CREATE INDEX volume_cache_pool ON public.volume USING btree (cache_pool_id) WHERE (cache_pool_id IS NOT NULL);

CREATE INDEX volume_carried ON public.volume USING btree (((desired_task ->> 'migration_id'::text))) WHERE ((desired_task ->> 'kind'::text) = 'carry'::text);

CREATE INDEX volume_group_project ON public.volume_group USING btree (project_id, created_at, id);

CREATE INDEX volume_host ON public.volume USING btree (host_id);

CREATE INDEX volume_layer_absent_of ON public.volume_layer USING btree (volume_id) WHERE (desired_presence = 'absent'::text);

CREATE INDEX volume_layer_cache ON public.volume_layer USING btree (volume_id) WHERE (cache_role IS NOT NULL);

CREATE INDEX volume_layer_copy_of ON public.volume_layer USING btree (((desired_source ->> 'copy_of'::text))) WHERE (desired_source IS NOT NULL);

CREATE INDEX volume_layer_exported ON public.volume_layer USING btree (volume_id) WHERE exported;

CREATE INDEX volume_layer_former_parent ON public.volume_layer USING btree (former_parent_id) WHERE (former_parent_id IS NOT NULL);

CREATE INDEX volume_layer_host ON public.volume_layer USING btree (host_id, id);

CREATE INDEX volume_layer_image ON public.volume_layer USING btree (image_id) WHERE (image_id IS NOT NULL);

CREATE INDEX volume_layer_key ON public.volume_layer USING btree (key_id) WHERE (key_id IS NOT NULL);

CREATE INDEX volume_layer_of ON public.volume USING btree (layer_id);

CREATE INDEX volume_layer_parent ON public.volume_layer USING btree (parent_id) WHERE (parent_id IS NOT NULL);

CREATE INDEX volume_layer_pool ON public.volume_layer USING btree (pool_id);

CREATE INDEX volume_layer_shorten ON public.volume_layer USING btree (shorten_at) WHERE (shorten_at IS NOT NULL);

CREATE INDEX volume_of_group ON public.volume USING btree (group_id) WHERE (group_id IS NOT NULL);

CREATE INDEX volume_pool ON public.volume USING btree (pool_id);

CREATE INDEX volume_project ON public.volume USING btree (project_id, created_at, id);

CREATE INDEX volume_replica_copy ON public.volume_replica USING btree (copy_layer_id) WHERE (copy_layer_id IS NOT NULL);

CREATE INDEX volume_replica_next ON public.volume_replica USING btree (next_at);

CREATE INDEX volume_replica_pool ON public.volume_replica USING btree (pool_id);

CREATE INDEX volume_replica_round ON public.volume_replica USING btree (round_began_at) WHERE (round_began_at IS NOT NULL);

CREATE INDEX volume_replica_round_moment ON public.volume_replica USING btree (round_moment) WHERE (round_moment IS NOT NULL);

CREATE INDEX volume_replica_round_pool ON public.volume_replica USING btree (round_pool_id) WHERE (round_pool_id IS NOT NULL);

CREATE INDEX volume_restored_into ON public.volume USING btree ((((desired_task #>> '{into,layer_id}'::text[]))::uuid)) WHERE ((desired_task ->> 'kind'::text) = 'restore'::text);

CREATE INDEX volume_restoring ON public.volume USING btree (((desired_task ->> 'backup_id'::text))) WHERE ((desired_task ->> 'kind'::text) = 'restore'::text);

CREATE INDEX volume_snapshot_layer ON public.volume_snapshot USING btree (layer_id);

CREATE INDEX volume_snapshot_of_group_snapshot ON public.volume_snapshot USING btree (group_snapshot_id) WHERE (group_snapshot_id IS NOT NULL);

CREATE INDEX volume_snapshot_project ON public.volume_snapshot USING btree (project_id, created_at, id);

CREATE INDEX volume_snapshot_unready ON public.volume_snapshot USING btree (volume_id) WHERE (ready_at IS NULL);

CREATE INDEX volume_snapshot_volume ON public.volume_snapshot USING btree (volume_id);

CREATE INDEX volume_transfer_project ON public.volume_transfer USING btree (project_id, created_at, id);

CREATE INDEX volume_type_default_type ON public.volume_type_default USING btree (volume_type_id);

CREATE INDEX volume_type_of ON public.volume USING btree (volume_type_id);

CREATE INDEX volume_type_qos_specs ON public.volume_type USING btree (qos_specs_id);

CREATE INDEX volume_unsettled ON public.volume USING btree (id) WHERE ((launched_at IS NULL) OR (desired_presence = 'absent'::text) OR (desired_task IS NOT NULL) OR (fault IS NOT NULL));

CREATE INDEX volume_waiting_source ON public.volume USING btree (source_volume_id) WHERE (launched_at IS NULL);

ALTER INDEX public.change_server_deleted ATTACH PARTITION public.change_default_at_idx;

ALTER INDEX public.change_server_deleted_project ATTACH PARTITION public.change_default_project_id_at_idx;

ALTER INDEX public.change_project ATTACH PARTITION public.change_default_project_id_transaction_id_sequence_idx;

ALTER INDEX public.change_resource ATTACH PARTITION public.change_default_resource_type_resource_id_transaction_id_seq_idx;

ALTER INDEX public.change_position ATTACH PARTITION public.change_default_transaction_id_sequence_at_idx;

ALTER INDEX public.decision_id ATTACH PARTITION public.decision_default_id_idx;

ALTER INDEX public.decision_project ATTACH PARTITION public.decision_default_project_id_id_idx;

ALTER INDEX public.decision_resource ATTACH PARTITION public.decision_default_resource_id_id_idx;

ALTER INDEX public.operation_deadline ATTACH PARTITION public.operation_default_deadline_idx;

ALTER INDEX public.operation_id ATTACH PARTITION public.operation_default_id_idx;

ALTER INDEX public.operation_project ATTACH PARTITION public.operation_default_project_id_id_idx;

ALTER INDEX public.operation_resource ATTACH PARTITION public.operation_default_resource_id_id_idx;

ALTER INDEX public.operation_running ATTACH PARTITION public.operation_default_resource_id_idx;

CREATE TRIGGER access_rule_change AFTER INSERT OR DELETE OR UPDATE ON public.access_rule FOR EACH ROW EXECUTE FUNCTION public.append_change('access_rule');

CREATE TRIGGER accounted_incarnation_change AFTER INSERT ON public.accounted_incarnation FOR EACH ROW EXECUTE FUNCTION public.append_change('accounted_incarnation', 'incarnation');

CREATE TRIGGER address_group_change AFTER INSERT OR DELETE OR UPDATE ON public.address_group FOR EACH ROW EXECUTE FUNCTION public.append_change('address_group');

CREATE TRIGGER address_group_undecides AFTER INSERT OR DELETE ON public.address_group FOR EACH ROW EXECUTE FUNCTION public.undecide_reachability();

CREATE TRIGGER address_group_update_undecides AFTER UPDATE ON public.address_group FOR EACH ROW WHEN ((old.generation IS DISTINCT FROM new.generation)) EXECUTE FUNCTION public.undecide_reachability();

CREATE TRIGGER address_scope_change AFTER INSERT OR DELETE OR UPDATE ON public.address_scope FOR EACH ROW EXECUTE FUNCTION public.append_change('address_scope');

CREATE TRIGGER aggregate_change AFTER INSERT OR DELETE OR UPDATE ON public.aggregate FOR EACH ROW EXECUTE FUNCTION public.append_change('aggregate');

CREATE TRIGGER aggregate_changed AFTER UPDATE OF metadata ON public.aggregate FOR EACH ROW EXECUTE FUNCTION public.aggregate_changed();

CREATE TRIGGER aggregate_host_changed AFTER INSERT OR DELETE ON public.aggregate_host FOR EACH ROW EXECUTE FUNCTION public.aggregate_changed();

CREATE TRIGGER application_credential_change AFTER INSERT OR DELETE OR UPDATE ON public.application_credential FOR EACH ROW EXECUTE FUNCTION public.append_change('application_credential');

CREATE TRIGGER attachment_change_ends_copy AFTER UPDATE OF desired_presence, server_id, target_host_id, mode ON public.volume_attachment FOR EACH ROW WHEN (((((old.desired_presence IS DISTINCT FROM new.desired_presence) OR (old.server_id IS DISTINCT FROM new.server_id)) OR (old.target_host_id IS DISTINCT FROM new.target_host_id)) OR (old.mode IS DISTINCT FROM new.mode))) EXECUTE FUNCTION public.attachment_ends_copy();

CREATE TRIGGER attachment_ends_copy AFTER INSERT OR DELETE ON public.volume_attachment FOR EACH ROW EXECUTE FUNCTION public.attachment_ends_copy();

CREATE TRIGGER backup_change AFTER INSERT OR DELETE OR UPDATE ON public.backup FOR EACH ROW EXECUTE FUNCTION public.append_change('backup');

CREATE TRIGGER backup_key_drop AFTER DELETE ON public.backup FOR EACH ROW WHEN ((old.key_id IS NOT NULL)) EXECUTE FUNCTION public.drop_volume_key();

CREATE TRIGGER cloud_object_intents AFTER UPDATE OF incarnation ON public.cloud FOR EACH ROW WHEN ((old.incarnation IS DISTINCT FROM new.incarnation)) EXECUTE FUNCTION public.keep_open_object_intents();

CREATE TRIGGER container_change AFTER INSERT OR DELETE OR UPDATE ON public.container FOR EACH ROW EXECUTE FUNCTION public.append_change('container', 'id', 'metadata');

CREATE TRIGGER credential_change AFTER INSERT OR DELETE OR UPDATE ON public.credential FOR EACH ROW EXECUTE FUNCTION public.append_change('credential', 'id', 'sealed', 'access_hash');

CREATE TRIGGER default_security_group_rule_change AFTER INSERT OR DELETE OR UPDATE ON public.default_security_group_rule FOR EACH ROW EXECUTE FUNCTION public.append_change('default_security_group_rule');

CREATE TRIGGER domain_change AFTER INSERT OR DELETE OR UPDATE ON public.domain FOR EACH ROW EXECUTE FUNCTION public.append_change('domain');

CREATE TRIGGER domain_config_change AFTER INSERT OR DELETE OR UPDATE ON public.domain_config FOR EACH ROW EXECUTE FUNCTION public.append_change('domain_config', 'id', 'value');

CREATE TRIGGER endpoint_change AFTER INSERT OR DELETE OR UPDATE ON public.endpoint FOR EACH ROW EXECUTE FUNCTION public.append_change('endpoint');

CREATE TRIGGER endpoint_group_change AFTER INSERT OR DELETE OR UPDATE ON public.endpoint_group FOR EACH ROW EXECUTE FUNCTION public.append_change('endpoint_group');

CREATE TRIGGER federation_protocol_change AFTER INSERT OR DELETE OR UPDATE ON public.federation_protocol FOR EACH ROW EXECUTE FUNCTION public.append_change('federation_protocol');

CREATE TRIGGER flavor_change AFTER INSERT OR DELETE OR UPDATE ON public.flavor FOR EACH ROW EXECUTE FUNCTION public.append_change('flavor');

CREATE TRIGGER floating_ip_change AFTER INSERT OR DELETE OR UPDATE ON public.floating_ip FOR EACH ROW EXECUTE FUNCTION public.append_change('floating_ip');

CREATE TRIGGER floating_ip_undecides AFTER INSERT OR DELETE ON public.floating_ip FOR EACH ROW EXECUTE FUNCTION public.undecide_reachability();

CREATE TRIGGER floating_ip_update_undecides AFTER UPDATE ON public.floating_ip FOR EACH ROW WHEN ((old.generation IS DISTINCT FROM new.generation)) EXECUTE FUNCTION public.undecide_reachability();

CREATE TRIGGER group_snapshot_change AFTER INSERT OR DELETE OR UPDATE ON public.group_snapshot FOR EACH ROW EXECUTE FUNCTION public.append_change('group_snapshot');

CREATE TRIGGER group_type_change AFTER INSERT OR DELETE OR UPDATE ON public.group_type FOR EACH ROW EXECUTE FUNCTION public.append_change('group_type');

CREATE TRIGGER host_bandwidth_room BEFORE UPDATE ON public.host_bandwidth FOR EACH ROW WHEN (((((new.used_egress_kbps > old.used_egress_kbps) AND (new.used_egress_kbps > new.egress_kbps)) OR ((new.used_ingress_kbps > old.used_ingress_kbps) AND (new.used_ingress_kbps > new.ingress_kbps))) AND (COALESCE(current_setting('bothy.carried'::text, true), ''::text) <> 'yes'::text))) EXECUTE FUNCTION public.refuse_bandwidth();

CREATE TRIGGER host_bmc_change AFTER INSERT OR DELETE OR UPDATE ON public.host_bmc FOR EACH ROW EXECUTE FUNCTION public.append_change('host_bmc', 'host_id', 'sealed');

CREATE TRIGGER host_change AFTER INSERT OR DELETE ON public.host FOR EACH ROW EXECUTE FUNCTION public.append_change('host', 'id', 'changed_in', 'lease_ends_at');

CREATE TRIGGER host_changed BEFORE UPDATE ON public.host FOR EACH ROW WHEN ((((((((((((((((old.name IS DISTINCT FROM new.name) OR (old.availability_zone IS DISTINCT FROM new.availability_zone)) OR (old.enabled IS DISTINCT FROM new.enabled)) OR (old.connected IS DISTINCT FROM new.connected)) OR (old.forced_down IS DISTINCT FROM new.forced_down)) OR (old.vcpus IS DISTINCT FROM new.vcpus)) OR (old.memory_mib IS DISTINCT FROM new.memory_mib)) OR (old.disk_gib IS DISTINCT FROM new.disk_gib)) OR (old.physical_networks IS DISTINCT FROM new.physical_networks)) OR (old.facts IS DISTINCT FROM new.facts)) OR (old.traits IS DISTINCT FROM new.traits)) OR (old.disabled_reason IS DISTINCT FROM new.disabled_reason)) OR (old.disabled_by IS DISTINCT FROM new.disabled_by)) OR (old.forced_down_by IS DISTINCT FROM new.forced_down_by)) OR ((NOT new.connected) AND (old.last_seen_at IS DISTINCT FROM new.last_seen_at)))) EXECUTE FUNCTION public.host_changed_in();

CREATE TRIGGER host_power_off_change AFTER INSERT OR DELETE OR UPDATE ON public.host_power_off FOR EACH ROW EXECUTE FUNCTION public.append_change('host_power_off', 'id', '~next_at', '~off_at');

CREATE TRIGGER host_standby_change AFTER INSERT OR DELETE OR UPDATE ON public.host_standby FOR EACH ROW EXECUTE FUNCTION public.append_change('host_standby', 'host_id', '~changed_in', '~next_at');

CREATE TRIGGER host_token_change AFTER INSERT OR DELETE OR UPDATE ON public.host_token FOR EACH ROW EXECUTE FUNCTION public.append_change('host_token', 'id', 'secret_sha256', 'used_key_sha256');

CREATE TRIGGER host_updated AFTER UPDATE ON public.host FOR EACH ROW WHEN (((to_jsonb(old.*) - '{last_seen_at,updated_at,changed_in,lease_ends_at}'::text[]) IS DISTINCT FROM (to_jsonb(new.*) - '{last_seen_at,updated_at,changed_in,lease_ends_at}'::text[]))) EXECUTE FUNCTION public.append_change('host', 'id', 'changed_in', 'lease_ends_at');

CREATE TRIGGER identity_provider_change AFTER INSERT OR DELETE OR UPDATE ON public.identity_provider FOR EACH ROW EXECUTE FUNCTION public.append_change('identity_provider', 'id', 'sealed_client_secret');

CREATE TRIGGER image_change AFTER INSERT OR DELETE OR UPDATE ON public.image FOR EACH ROW EXECUTE FUNCTION public.append_change('image');

CREATE TRIGGER image_id_past AFTER DELETE ON public.image FOR EACH ROW EXECUTE FUNCTION public.remember_image_id();

CREATE TRIGGER image_key_drop AFTER DELETE ON public.image FOR EACH ROW WHEN ((old.key_id IS NOT NULL)) EXECUTE FUNCTION public.drop_volume_key();

CREATE TRIGGER image_member_change AFTER INSERT OR DELETE OR UPDATE ON public.image_member FOR EACH ROW EXECUTE FUNCTION public.append_change('image_member', 'image_id');

CREATE TRIGGER key_pair_change AFTER INSERT OR DELETE OR UPDATE ON public.key_pair FOR EACH ROW EXECUTE FUNCTION public.append_change('key_pair');

CREATE TRIGGER local_ip_association_change AFTER INSERT OR DELETE OR UPDATE ON public.local_ip_association FOR EACH ROW EXECUTE FUNCTION public.append_change('local_ip_association');

CREATE TRIGGER local_ip_association_undecides AFTER INSERT OR DELETE ON public.local_ip_association FOR EACH ROW EXECUTE FUNCTION public.undecide_reachability();

CREATE TRIGGER local_ip_change AFTER INSERT OR DELETE OR UPDATE ON public.local_ip FOR EACH ROW EXECUTE FUNCTION public.append_change('local_ip');

CREATE TRIGGER local_ip_undecides AFTER INSERT OR DELETE ON public.local_ip FOR EACH ROW EXECUTE FUNCTION public.undecide_reachability();

CREATE TRIGGER mapping_change AFTER INSERT OR DELETE OR UPDATE ON public.mapping FOR EACH ROW EXECUTE FUNCTION public.append_change('mapping');

CREATE TRIGGER metadef_namespace_change AFTER INSERT OR DELETE OR UPDATE ON public.metadef_namespace FOR EACH ROW EXECUTE FUNCTION public.append_change('metadef_namespace');

CREATE TRIGGER metering_label_change AFTER INSERT OR DELETE OR UPDATE ON public.metering_label FOR EACH ROW EXECUTE FUNCTION public.append_change('metering_label');

CREATE TRIGGER metering_label_rule_change AFTER INSERT OR DELETE OR UPDATE ON public.metering_label_rule FOR EACH ROW EXECUTE FUNCTION public.append_change('metering_label_rule');

CREATE TRIGGER ndp_proxy_change AFTER INSERT OR DELETE OR UPDATE ON public.ndp_proxy FOR EACH ROW EXECUTE FUNCTION public.append_change('ndp_proxy');

CREATE TRIGGER network_change AFTER INSERT OR DELETE OR UPDATE ON public.network FOR EACH ROW EXECUTE FUNCTION public.append_change('network');

CREATE TRIGGER network_first_segment AFTER INSERT ON public.network FOR EACH ROW EXECUTE FUNCTION public.make_first_segment();

CREATE TRIGGER network_flavor_change AFTER INSERT OR DELETE OR UPDATE ON public.network_flavor FOR EACH ROW EXECUTE FUNCTION public.append_change('network_flavor');

CREATE TRIGGER network_undecides AFTER INSERT OR DELETE ON public.network FOR EACH ROW EXECUTE FUNCTION public.undecide_reachability();

CREATE TRIGGER network_update_undecides AFTER UPDATE ON public.network FOR EACH ROW WHEN ((old.generation IS DISTINCT FROM new.generation)) EXECUTE FUNCTION public.undecide_reachability();

CREATE TRIGGER object_disk_change AFTER INSERT OR DELETE OR UPDATE ON public.object_disk FOR EACH ROW EXECUTE FUNCTION public.append_change('object_disk', 'id', '~seen_at', '~free_bytes', '=total_bytes', '=path', '=problem');

CREATE TRIGGER operation_change AFTER INSERT OR UPDATE ON public.operation FOR EACH ROW EXECUTE FUNCTION public.append_change('operation');

CREATE TRIGGER own_limit_change AFTER INSERT OR DELETE OR UPDATE ON public.own_limit FOR EACH ROW EXECUTE FUNCTION public.append_change('own_limit');

CREATE TRIGGER policy_change AFTER INSERT OR DELETE OR UPDATE ON public.policy FOR EACH ROW EXECUTE FUNCTION public.append_change('policy');

CREATE TRIGGER port_bandwidth_changed AFTER UPDATE ON public.port_bandwidth REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.count_bandwidth();

CREATE TRIGGER port_bandwidth_gone AFTER DELETE ON public.port_bandwidth REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION public.count_bandwidth();

CREATE TRIGGER port_bandwidth_made AFTER INSERT ON public.port_bandwidth REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.count_bandwidth();

CREATE TRIGGER port_bandwidth_moved AFTER UPDATE OF host_id, qos_policy_id, device_owner ON public.port FOR EACH ROW WHEN (((((old.host_id IS DISTINCT FROM new.host_id) OR (old.qos_policy_id IS DISTINCT FROM new.qos_policy_id)) OR ((old.device_owner ~~ 'network:%'::text) IS DISTINCT FROM (new.device_owner ~~ 'network:%'::text))) AND ((old.host_id IS NOT NULL) OR (new.host_id IS NOT NULL)))) EXECUTE FUNCTION public.promise_port_bandwidth();

CREATE TRIGGER port_bandwidth_network AFTER UPDATE OF qos_policy_id ON public.network FOR EACH ROW WHEN ((old.qos_policy_id IS DISTINCT FROM new.qos_policy_id)) EXECUTE FUNCTION public.promise_network_bandwidth();

CREATE TRIGGER port_bandwidth_placed AFTER INSERT ON public.port FOR EACH ROW WHEN ((new.host_id IS NOT NULL)) EXECUTE FUNCTION public.promise_port_bandwidth();

CREATE TRIGGER port_bandwidth_rule AFTER INSERT OR DELETE OR UPDATE ON public.qos_rule FOR EACH ROW EXECUTE FUNCTION public.promise_policy_bandwidth();

CREATE TRIGGER port_bandwidth_withdrawn AFTER DELETE ON public.port FOR EACH ROW WHEN ((old.host_id IS NOT NULL)) EXECUTE FUNCTION public.withdraw_port_bandwidth();

CREATE TRIGGER port_change AFTER INSERT OR DELETE OR UPDATE ON public.port FOR EACH ROW EXECUTE FUNCTION public.append_change('port', 'id', '=observed_up');

CREATE TRIGGER port_forwarding_change AFTER INSERT OR DELETE OR UPDATE ON public.port_forwarding FOR EACH ROW EXECUTE FUNCTION public.append_change('port_forwarding');

CREATE TRIGGER port_ip_change AFTER INSERT OR DELETE OR UPDATE ON public.port_ip FOR EACH ROW EXECUTE FUNCTION public.append_change('port_ip', 'port_id');

CREATE TRIGGER port_moves_subports AFTER UPDATE OF host_id, binding_host, migrating_to ON public.port FOR EACH ROW WHEN (((old.host_id IS DISTINCT FROM new.host_id) OR (old.binding_host <> new.binding_host) OR (old.migrating_to IS DISTINCT FROM new.migrating_to))) EXECUTE FUNCTION public.move_subports();

CREATE TRIGGER port_security_group_change AFTER INSERT OR DELETE OR UPDATE ON public.port_security_group FOR EACH ROW EXECUTE FUNCTION public.append_change('port_security_group', 'port_id');

CREATE TRIGGER port_undecides AFTER INSERT OR DELETE ON public.port FOR EACH ROW EXECUTE FUNCTION public.undecide_reachability();

CREATE TRIGGER port_update_undecides AFTER UPDATE ON public.port FOR EACH ROW WHEN ((old.generation IS DISTINCT FROM new.generation)) EXECUTE FUNCTION public.undecide_reachability();

CREATE TRIGGER project_change AFTER INSERT OR DELETE OR UPDATE ON public.project FOR EACH ROW EXECUTE FUNCTION public.append_change('project');

CREATE TRIGGER project_endpoint_change AFTER INSERT OR DELETE OR UPDATE ON public.project_endpoint FOR EACH ROW EXECUTE FUNCTION public.append_change('project_endpoint', 'project_id');

CREATE TRIGGER project_endpoint_group_change AFTER INSERT OR DELETE OR UPDATE ON public.project_endpoint_group FOR EACH ROW EXECUTE FUNCTION public.append_change('project_endpoint_group', 'project_id');

CREATE TRIGGER project_forgotten AFTER DELETE ON public.project FOR EACH ROW EXECUTE FUNCTION public.note_forgotten('project');

CREATE TRIGGER qos_policy_change AFTER INSERT OR DELETE OR UPDATE ON public.qos_policy FOR EACH ROW EXECUTE FUNCTION public.append_change('qos_policy');

CREATE TRIGGER qos_rule_change AFTER INSERT OR DELETE OR UPDATE ON public.qos_rule FOR EACH ROW EXECUTE FUNCTION public.append_change('qos_rule');

CREATE TRIGGER qos_specs_change AFTER INSERT OR DELETE OR UPDATE ON public.qos_specs FOR EACH ROW EXECUTE FUNCTION public.append_change('qos_specs');

CREATE TRIGGER quota_change AFTER INSERT OR DELETE OR UPDATE ON public.quota FOR EACH ROW EXECUTE FUNCTION public.append_change('quota');

CREATE TRIGGER rbac_policy_change AFTER INSERT OR DELETE OR UPDATE ON public.rbac_policy FOR EACH ROW EXECUTE FUNCTION public.append_change('rbac_policy');

CREATE TRIGGER reachability_assertion_change AFTER INSERT OR DELETE OR UPDATE ON public.reachability_assertion FOR EACH ROW EXECUTE FUNCTION public.append_change('reachability_assertion', 'id', 'ground', 'undecided', '~ground', '~undecided');

CREATE CONSTRAINT TRIGGER reachability_assertion_decided AFTER UPDATE ON public.reachability_assertion DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (new.undecided) EXECUTE FUNCTION public.require_reachability_decided();

CREATE TRIGGER region_change AFTER INSERT OR DELETE OR UPDATE ON public.region FOR EACH ROW EXECUTE FUNCTION public.append_change('region');

CREATE TRIGGER registered_limit_change AFTER INSERT OR DELETE OR UPDATE ON public.registered_limit FOR EACH ROW EXECUTE FUNCTION public.append_change('registered_limit');

CREATE TRIGGER reserve_policy_change AFTER INSERT OR DELETE OR UPDATE ON public.reserve_policy FOR EACH ROW EXECUTE FUNCTION public.append_change('reserve_policy');

CREATE TRIGGER role_assignment_change AFTER INSERT OR DELETE OR UPDATE ON public.role_assignment FOR EACH ROW EXECUTE FUNCTION public.append_change('role_assignment');

CREATE TRIGGER role_change AFTER INSERT OR DELETE OR UPDATE ON public.role FOR EACH ROW EXECUTE FUNCTION public.append_change('role');

CREATE TRIGGER role_implication_change AFTER INSERT OR DELETE OR UPDATE ON public.role_implication FOR EACH ROW EXECUTE FUNCTION public.append_change('role_implication', 'prior_role_id');

CREATE TRIGGER router_change AFTER INSERT OR DELETE OR UPDATE ON public.router FOR EACH ROW EXECUTE FUNCTION public.append_change('router');

CREATE TRIGGER router_undecides AFTER INSERT OR DELETE ON public.router FOR EACH ROW EXECUTE FUNCTION public.undecide_reachability();

CREATE TRIGGER router_update_undecides AFTER UPDATE ON public.router FOR EACH ROW WHEN ((old.generation IS DISTINCT FROM new.generation)) EXECUTE FUNCTION public.undecide_reachability();

CREATE TRIGGER security_group_change AFTER INSERT OR DELETE OR UPDATE ON public.security_group FOR EACH ROW EXECUTE FUNCTION public.append_change('security_group');

CREATE TRIGGER security_group_rule_change AFTER INSERT OR DELETE OR UPDATE ON public.security_group_rule FOR EACH ROW EXECUTE FUNCTION public.append_change('security_group_rule');

CREATE TRIGGER security_group_rule_undecides AFTER INSERT OR DELETE ON public.security_group_rule FOR EACH ROW EXECUTE FUNCTION public.undecide_reachability();

CREATE TRIGGER security_group_undecides AFTER INSERT OR DELETE ON public.security_group FOR EACH ROW EXECUTE FUNCTION public.undecide_reachability();

CREATE TRIGGER security_group_update_undecides AFTER UPDATE ON public.security_group FOR EACH ROW WHEN ((old.generation IS DISTINCT FROM new.generation)) EXECUTE FUNCTION public.undecide_reachability();

CREATE TRIGGER segment_change AFTER INSERT OR DELETE OR UPDATE ON public.segment FOR EACH ROW EXECUTE FUNCTION public.append_change('segment');

CREATE TRIGGER server_absence_change AFTER INSERT OR UPDATE ON public.server_absence FOR EACH ROW EXECUTE FUNCTION public.append_change('server_absence', 'server_id');

CREATE TRIGGER server_change AFTER INSERT OR DELETE OR UPDATE ON public.server FOR EACH ROW EXECUTE FUNCTION public.append_change('server', 'id', '~observed_step', '~observed_at', '=observed_generation', '=observed_state', '=observed_power', '=observed_reboot_count', '=observed_rescue_count', '=observed_root_count', '=observed_resize_count', '=observed_started_at', '=observed_error', '=launched_at', '=resized_at');

CREATE TRIGGER server_claim_bandwidth AFTER INSERT OR DELETE OR UPDATE ON public.server_claim FOR EACH ROW EXECUTE FUNCTION public.count_claim_bandwidth();

CREATE TRIGGER server_claim_usage AFTER INSERT OR DELETE OR UPDATE ON public.server_claim FOR EACH ROW EXECUTE FUNCTION public.count_claim_usage();

CREATE TRIGGER server_group_change AFTER INSERT OR DELETE OR UPDATE ON public.server_group FOR EACH ROW EXECUTE FUNCTION public.append_change('server_group');

CREATE TRIGGER server_leaves_migration BEFORE DELETE ON public.server FOR EACH ROW EXECUTE FUNCTION public.leave_migration();

CREATE TRIGGER server_left AFTER DELETE ON public.server FOR EACH ROW EXECUTE FUNCTION public.note_absence();

CREATE TRIGGER server_left_host AFTER UPDATE OF host_id ON public.server FOR EACH ROW WHEN (((old.host_id IS NOT NULL) AND (old.host_id IS DISTINCT FROM new.host_id))) EXECUTE FUNCTION public.forget_refuge();

CREATE TRIGGER server_migration_change AFTER INSERT OR DELETE OR UPDATE ON public.server_migration FOR EACH ROW EXECUTE FUNCTION public.append_change('server_migration', 'id', '~progress', '~reached', '~reached_at', '=source_state', '=target_state', '=downtime_ms');

CREATE TRIGGER server_migration_given AFTER INSERT OR UPDATE OF other_host_id ON public.server_migration FOR EACH ROW WHEN ((new.other_host_id IS NOT NULL)) EXECUTE FUNCTION public.forget_migration_absence();

CREATE TRIGGER server_migration_left AFTER UPDATE OF other_host_id ON public.server_migration FOR EACH ROW WHEN (((old.other_host_id IS NOT NULL) AND (old.other_host_id IS DISTINCT FROM new.other_host_id))) EXECUTE FUNCTION public.note_migration_absence();

CREATE TRIGGER server_migration_ports AFTER INSERT OR UPDATE OF phase, other_host_id ON public.server_migration FOR EACH ROW WHEN ((new.kind = 'live-migration'::text)) EXECUTE FUNCTION public.note_migrating_to();

CREATE TRIGGER server_moved AFTER UPDATE OF host_id ON public.server FOR EACH ROW WHEN ((old.host_id IS DISTINCT FROM new.host_id)) EXECUTE FUNCTION public.note_absence();

CREATE TRIGGER server_placed AFTER INSERT ON public.server FOR EACH ROW WHEN ((new.host_id IS NOT NULL)) EXECUTE FUNCTION public.note_absence();

CREATE TRIGGER server_refuge_gone AFTER DELETE ON public.server_refuge REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION public.server_refuge_counted();

CREATE TRIGGER server_refuge_made AFTER INSERT ON public.server_refuge REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION public.server_refuge_counted();

CREATE TRIGGER server_usage AFTER INSERT OR DELETE ON public.server FOR EACH ROW EXECUTE FUNCTION public.count_host_usage();

CREATE TRIGGER server_usage_moved AFTER UPDATE OF host_id, vcpus, memory_mib, disk_gib, local_gib ON public.server FOR EACH ROW WHEN ((((((old.host_id IS DISTINCT FROM new.host_id) OR (old.vcpus IS DISTINCT FROM new.vcpus)) OR (old.memory_mib IS DISTINCT FROM new.memory_mib)) OR (old.disk_gib IS DISTINCT FROM new.disk_gib)) OR (old.local_gib IS DISTINCT FROM new.local_gib))) EXECUTE FUNCTION public.count_host_usage();

CREATE TRIGGER service_change AFTER INSERT OR DELETE OR UPDATE ON public.service FOR EACH ROW EXECUTE FUNCTION public.append_change('service');

CREATE TRIGGER service_profile_change AFTER INSERT OR DELETE OR UPDATE ON public.service_profile FOR EACH ROW EXECUTE FUNCTION public.append_change('service_profile');

CREATE TRIGGER service_provider_change AFTER INSERT OR DELETE OR UPDATE ON public.service_provider FOR EACH ROW EXECUTE FUNCTION public.append_change('service_provider');

CREATE TRIGGER storage_pool_change AFTER INSERT OR DELETE OR UPDATE ON public.storage_pool FOR EACH ROW EXECUTE FUNCTION public.append_change('storage_pool', 'id', '~free_bytes');

CREATE TRIGGER storage_pool_ram AFTER INSERT OR DELETE OR UPDATE OF tier, total_bytes ON public.storage_pool FOR EACH ROW EXECUTE FUNCTION public.count_ram_pool();

CREATE TRIGGER subnet_change AFTER INSERT OR DELETE OR UPDATE ON public.subnet FOR EACH ROW EXECUTE FUNCTION public.append_change('subnet');

CREATE TRIGGER subnet_pool_change AFTER INSERT OR DELETE OR UPDATE ON public.subnet_pool FOR EACH ROW EXECUTE FUNCTION public.append_change('subnet_pool');

CREATE TRIGGER subnet_pool_undecides AFTER INSERT OR DELETE ON public.subnet_pool FOR EACH ROW EXECUTE FUNCTION public.undecide_reachability();

CREATE TRIGGER subnet_pool_update_undecides AFTER UPDATE ON public.subnet_pool FOR EACH ROW WHEN ((old.generation IS DISTINCT FROM new.generation)) EXECUTE FUNCTION public.undecide_reachability();

CREATE TRIGGER subnet_undecides AFTER INSERT OR DELETE ON public.subnet FOR EACH ROW EXECUTE FUNCTION public.undecide_reachability();

CREATE TRIGGER subnet_update_undecides AFTER UPDATE ON public.subnet FOR EACH ROW WHEN ((old.generation IS DISTINCT FROM new.generation)) EXECUTE FUNCTION public.undecide_reachability();

CREATE TRIGGER subport_change AFTER INSERT OR DELETE OR UPDATE ON public.subport FOR EACH ROW EXECUTE FUNCTION public.append_change('subport', 'port_id');

CREATE TRIGGER token_revocation_change AFTER INSERT OR DELETE ON public.token_revocation FOR EACH ROW EXECUTE FUNCTION public.append_change('token_revocation');

CREATE TRIGGER trunk_change AFTER INSERT OR DELETE OR UPDATE ON public.trunk FOR EACH ROW EXECUTE FUNCTION public.append_change('trunk');

CREATE TRIGGER trust_change AFTER INSERT OR DELETE OR UPDATE ON public.trust FOR EACH ROW EXECUTE FUNCTION public.append_change('trust');

CREATE TRIGGER user_change AFTER INSERT OR DELETE OR UPDATE ON public."user" FOR EACH ROW EXECUTE FUNCTION public.append_change('user');

CREATE TRIGGER user_forgotten AFTER DELETE ON public."user" FOR EACH ROW EXECUTE FUNCTION public.note_forgotten('user');

CREATE TRIGGER user_group_change AFTER INSERT OR DELETE OR UPDATE ON public.user_group FOR EACH ROW EXECUTE FUNCTION public.append_change('user_group');

CREATE TRIGGER user_group_member_change AFTER INSERT OR DELETE OR UPDATE ON public.user_group_member FOR EACH ROW EXECUTE FUNCTION public.append_change('user_group_member', 'group_id');

CREATE TRIGGER user_quota_change AFTER INSERT OR DELETE OR UPDATE ON public.user_quota FOR EACH ROW EXECUTE FUNCTION public.append_change('user_quota');

CREATE TRIGGER volume_attachment_change AFTER INSERT OR DELETE OR UPDATE ON public.volume_attachment FOR EACH ROW EXECUTE FUNCTION public.append_change('volume_attachment', 'id', '=observed_state', '=observed_layer_id', '=observed_size_bytes', '=observed_full', '=attached_at', '=observed_copy_id', '=observed_copy');

CREATE TRIGGER volume_cache_usage AFTER INSERT OR DELETE OR UPDATE OF cache_pool_id, cache_bytes ON public.volume FOR EACH ROW EXECUTE FUNCTION public.count_cache_usage();

CREATE TRIGGER volume_change AFTER INSERT OR DELETE OR UPDATE ON public.volume FOR EACH ROW EXECUTE FUNCTION public.append_change('volume', 'id', '=launched_at');

CREATE TRIGGER volume_ends_copy AFTER UPDATE OF layer_id, host_id, desired_task, desired_presence ON public.volume FOR EACH ROW WHEN (((((old.layer_id IS DISTINCT FROM new.layer_id) OR (old.host_id IS DISTINCT FROM new.host_id)) OR (old.desired_task IS DISTINCT FROM new.desired_task)) OR (old.desired_presence IS DISTINCT FROM new.desired_presence))) EXECUTE FUNCTION public.volume_ends_copy();

CREATE TRIGGER volume_group_change AFTER INSERT OR DELETE OR UPDATE ON public.volume_group FOR EACH ROW EXECUTE FUNCTION public.append_change('volume_group');

CREATE TRIGGER volume_layer_change AFTER INSERT OR DELETE OR UPDATE ON public.volume_layer FOR EACH ROW EXECUTE FUNCTION public.append_change('volume_layer', 'id', '~observed_step', '~observed_at', '~observed_allocated_bytes', '~shorten_at', '=observed_epoch', '=observed_generation', '=observed_state', '=observed_size_bytes', '=observed_error', '=observed_captures', '=observed_backups', '=observed_export', '=observed_written', '=written_at', '=observed_receiver');

CREATE TRIGGER volume_layer_key_drop AFTER DELETE ON public.volume_layer FOR EACH ROW WHEN ((old.key_id IS NOT NULL)) EXECUTE FUNCTION public.drop_volume_key();

CREATE TRIGGER volume_layer_usage AFTER INSERT OR DELETE ON public.volume_layer FOR EACH ROW EXECUTE FUNCTION public.count_pool_usage();

CREATE TRIGGER volume_layer_usage_moved AFTER UPDATE OF size_bytes, read_only, desired_presence ON public.volume_layer FOR EACH ROW EXECUTE FUNCTION public.count_pool_usage();

CREATE TRIGGER volume_pool_volumes AFTER INSERT OR DELETE OR UPDATE OF pool_id, volume_type_id, size_gib, desired_task ON public.volume FOR EACH ROW EXECUTE FUNCTION public.count_pool_volumes();

CREATE TRIGGER volume_replica_change AFTER INSERT OR DELETE OR UPDATE ON public.volume_replica FOR EACH ROW EXECUTE FUNCTION public.append_change('volume_replica', 'volume_id', '~next_at', '~updated_at', '~round_moved_at', '~round_copied_bytes', '=as_of', '=rounds', '=last_round_bytes', '=last_round_seconds', '=round_began_at', '=round_source_layer_id', '=round_layer_id', '=round_full', '=source_layer_id', '=layer_id', '=round_pool_id', '=round_moment', '=moment', '=copy_state', '=copy_as_of', '=copy_layer_id', '=copy_of_layer_id', '=copy_place', '=copy_since', '=copy_ended_at', '=copy_failures');

CREATE TRIGGER volume_replica_usage AFTER INSERT OR DELETE ON public.volume_replica FOR EACH ROW EXECUTE FUNCTION public.count_replica_usage();

CREATE TRIGGER volume_replica_usage_moved AFTER UPDATE OF pool_id, round_pool_id, size_bytes ON public.volume_replica FOR EACH ROW EXECUTE FUNCTION public.count_replica_usage();

CREATE TRIGGER volume_snapshot_change AFTER INSERT OR DELETE OR UPDATE ON public.volume_snapshot FOR EACH ROW EXECUTE FUNCTION public.append_change('volume_snapshot', 'id', '=ready_at');

CREATE TRIGGER volume_transfer_change AFTER INSERT OR DELETE OR UPDATE ON public.volume_transfer FOR EACH ROW EXECUTE FUNCTION public.append_change('volume_transfer', 'id', 'key_salt', 'key_digest');

CREATE TRIGGER volume_type_change AFTER INSERT OR DELETE OR UPDATE ON public.volume_type FOR EACH ROW EXECUTE FUNCTION public.append_change('volume_type');

ALTER TABLE ONLY public.access_rule
    ADD CONSTRAINT access_rule_user_id_fkey FOREIGN KEY (user_id) REFERENCES public."user"(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.address_group
    ADD CONSTRAINT address_group_project_id_fkey FOREIGN KEY (project_id) REFERENCES public.project(id);

ALTER TABLE ONLY public.address_scope
    ADD CONSTRAINT address_scope_project_id_fkey FOREIGN KEY (project_id) REFERENCES public.project(id);

ALTER TABLE ONLY public.aggregate_host
    ADD CONSTRAINT aggregate_host_aggregate_id_fkey FOREIGN KEY (aggregate_id) REFERENCES public.aggregate(id);

ALTER TABLE ONLY public.aggregate_host
    ADD CONSTRAINT aggregate_host_host_id_fkey FOREIGN KEY (host_id) REFERENCES public.host(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.application_credential
    ADD CONSTRAINT application_credential_project_id_fkey FOREIGN KEY (project_id) REFERENCES public.project(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.application_credential_secret
    ADD CONSTRAINT application_credential_secret_application_credential_id_fkey FOREIGN KEY (application_credential_id) REFERENCES public.application_credential(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.application_credential
    ADD CONSTRAINT application_credential_user_id_fkey FOREIGN KEY (user_id) REFERENCES public."user"(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.auto_allocated_topology
    ADD CONSTRAINT auto_allocated_topology_network_id_fkey FOREIGN KEY (network_id) REFERENCES public.network(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.auto_allocated_topology
    ADD CONSTRAINT auto_allocated_topology_project_id_fkey FOREIGN KEY (project_id) REFERENCES public.project(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.auto_allocated_topology
    ADD CONSTRAINT auto_allocated_topology_router_id_fkey FOREIGN KEY (router_id) REFERENCES public.router(id) ON DELETE SET NULL;

ALTER TABLE ONLY public.backup
    ADD CONSTRAINT backup_host_id_fkey FOREIGN KEY (host_id) REFERENCES public.host(id) ON DELETE SET NULL;

ALTER TABLE ONLY public.backup
    ADD CONSTRAINT backup_key_id_fkey FOREIGN KEY (key_id) REFERENCES public.volume_key(id);

ALTER TABLE ONLY public.backup
    ADD CONSTRAINT backup_parent_id_fkey FOREIGN KEY (parent_id) REFERENCES public.backup(id);

ALTER TABLE ONLY public.backup
    ADD CONSTRAINT backup_project_id_fkey FOREIGN KEY (project_id) REFERENCES public.project(id);

ALTER TABLE ONLY public.console_token
    ADD CONSTRAINT console_token_server_id_fkey FOREIGN KEY (server_id) REFERENCES public.server(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.container
    ADD CONSTRAINT container_project_id_fkey FOREIGN KEY (project_id) REFERENCES public.project(id);

ALTER TABLE ONLY public.container_use
    ADD CONSTRAINT container_use_container_id_fkey FOREIGN KEY (container_id) REFERENCES public.container(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.credential
    ADD CONSTRAINT credential_project_id_fkey FOREIGN KEY (project_id) REFERENCES public.project(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.credential
    ADD CONSTRAINT credential_user_id_fkey FOREIGN KEY (user_id) REFERENCES public."user"(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.default_security_group_rule
    ADD CONSTRAINT default_security_group_rule_remote_address_group_id_fkey FOREIGN KEY (remote_address_group_id) REFERENCES public.address_group(id);

ALTER TABLE ONLY public.default_security_group_rule
    ADD CONSTRAINT default_security_group_rule_remote_group_id_fkey FOREIGN KEY (remote_group_id) REFERENCES public.security_group(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.domain_config
    ADD CONSTRAINT domain_config_domain_id_fkey FOREIGN KEY (domain_id) REFERENCES public.domain(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.endpoint
    ADD CONSTRAINT endpoint_region_id_fkey FOREIGN KEY (region_id) REFERENCES public.region(id);

ALTER TABLE ONLY public.endpoint
    ADD CONSTRAINT endpoint_service_id_fkey FOREIGN KEY (service_id) REFERENCES public.service(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.federated_user
    ADD CONSTRAINT federated_user_identity_provider_id_fkey FOREIGN KEY (identity_provider_id) REFERENCES public.identity_provider(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.federated_user
    ADD CONSTRAINT federated_user_user_id_fkey FOREIGN KEY (user_id) REFERENCES public."user"(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.federation_protocol
    ADD CONSTRAINT federation_protocol_identity_provider_id_fkey FOREIGN KEY (identity_provider_id) REFERENCES public.identity_provider(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.federation_protocol
    ADD CONSTRAINT federation_protocol_mapping_id_fkey FOREIGN KEY (mapping_id) REFERENCES public.mapping(id);

ALTER TABLE ONLY public.flavor_access
    ADD CONSTRAINT flavor_access_flavor_id_fkey FOREIGN KEY (flavor_id) REFERENCES public.flavor(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.flavor_access
    ADD CONSTRAINT flavor_access_project_id_fkey FOREIGN KEY (project_id) REFERENCES public.project(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.floating_ip
    ADD CONSTRAINT floating_ip_floating_network_id_fkey FOREIGN KEY (floating_network_id) REFERENCES public.network(id);

ALTER TABLE ONLY public.floating_ip
    ADD CONSTRAINT floating_ip_floating_port_id_fkey FOREIGN KEY (floating_port_id) REFERENCES public.port(id);

ALTER TABLE ONLY public.floating_ip
    ADD CONSTRAINT floating_ip_port_id_fkey FOREIGN KEY (port_id) REFERENCES public.port(id) ON DELETE SET NULL;

ALTER TABLE ONLY public.floating_ip
    ADD CONSTRAINT floating_ip_project_id_fkey FOREIGN KEY (project_id) REFERENCES public.project(id);

ALTER TABLE ONLY public.floating_ip
    ADD CONSTRAINT floating_ip_qos_policy_id_fkey FOREIGN KEY (qos_policy_id) REFERENCES public.qos_policy(id);

ALTER TABLE ONLY public.floating_ip
    ADD CONSTRAINT floating_ip_router_id_fkey FOREIGN KEY (router_id) REFERENCES public.router(id);

ALTER TABLE ONLY public.group_snapshot
    ADD CONSTRAINT group_snapshot_group_id_fkey FOREIGN KEY (group_id) REFERENCES public.volume_group(id);

ALTER TABLE ONLY public.group_snapshot
    ADD CONSTRAINT group_snapshot_group_type_id_fkey FOREIGN KEY (group_type_id) REFERENCES public.group_type(id);

ALTER TABLE ONLY public.group_snapshot
    ADD CONSTRAINT group_snapshot_project_id_fkey FOREIGN KEY (project_id) REFERENCES public.project(id);

ALTER TABLE ONLY public.host_bandwidth
    ADD CONSTRAINT host_bandwidth_host_id_fkey FOREIGN KEY (host_id) REFERENCES public.host(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.host_bmc
    ADD CONSTRAINT host_bmc_host_id_fkey FOREIGN KEY (host_id) REFERENCES public.host(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.host_power_off
    ADD CONSTRAINT host_power_off_host_id_fkey FOREIGN KEY (host_id) REFERENCES public.host(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.host_reserve
    ADD CONSTRAINT host_reserve_host_id_fkey FOREIGN KEY (host_id) REFERENCES public.host(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.host_standby
    ADD CONSTRAINT host_standby_host_id_fkey FOREIGN KEY (host_id) REFERENCES public.host(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.host_token
    ADD CONSTRAINT host_token_used_by_fkey FOREIGN KEY (used_by) REFERENCES public.host(id) ON DELETE SET NULL;

ALTER TABLE ONLY public.host_tunnels
    ADD CONSTRAINT host_tunnels_host_id_fkey FOREIGN KEY (host_id) REFERENCES public.host(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.host_usage
    ADD CONSTRAINT host_usage_host_id_fkey FOREIGN KEY (host_id) REFERENCES public.host(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.host_watts
    ADD CONSTRAINT host_watts_host_id_fkey FOREIGN KEY (host_id) REFERENCES public.host(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.identity_provider
    ADD CONSTRAINT identity_provider_domain_id_fkey FOREIGN KEY (domain_id) REFERENCES public.domain(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.image_copy
    ADD CONSTRAINT image_copy_host_id_fkey FOREIGN KEY (host_id) REFERENCES public.host(id);

ALTER TABLE ONLY public.image_copy
    ADD CONSTRAINT image_copy_image_id_fkey FOREIGN KEY (image_id) REFERENCES public.image(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.image
    ADD CONSTRAINT image_key_id_fkey FOREIGN KEY (key_id) REFERENCES public.volume_key(id);

ALTER TABLE ONLY public.image_location
    ADD CONSTRAINT image_location_host_id_fkey FOREIGN KEY (host_id) REFERENCES public.host(id);

ALTER TABLE ONLY public.image_location
    ADD CONSTRAINT image_location_image_id_fkey FOREIGN KEY (image_id) REFERENCES public.image(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.image_member
    ADD CONSTRAINT image_member_image_id_fkey FOREIGN KEY (image_id) REFERENCES public.image(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.image
    ADD CONSTRAINT image_project_id_fkey FOREIGN KEY (project_id) REFERENCES public.project(id);

ALTER TABLE ONLY public.image_task
    ADD CONSTRAINT image_task_image_id_fkey FOREIGN KEY (image_id) REFERENCES public.image(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.image_upload
    ADD CONSTRAINT image_upload_image_id_fkey FOREIGN KEY (image_id) REFERENCES public.image(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.key_pair
    ADD CONSTRAINT key_pair_user_id_fkey FOREIGN KEY (user_id) REFERENCES public."user"(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.local_ip_association
    ADD CONSTRAINT local_ip_association_fixed_port_id_fixed_ip_fkey FOREIGN KEY (fixed_port_id, fixed_ip) REFERENCES public.port_ip(port_id, ip) ON DELETE CASCADE;

ALTER TABLE ONLY public.local_ip_association
    ADD CONSTRAINT local_ip_association_local_ip_id_fkey FOREIGN KEY (local_ip_id) REFERENCES public.local_ip(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.local_ip_association
    ADD CONSTRAINT local_ip_association_network_id_fkey FOREIGN KEY (network_id) REFERENCES public.network(id);

ALTER TABLE ONLY public.local_ip_association
    ADD CONSTRAINT local_ip_association_project_id_fkey FOREIGN KEY (project_id) REFERENCES public.project(id);

ALTER TABLE ONLY public.local_ip
    ADD CONSTRAINT local_ip_local_port_id_local_ip_address_fkey FOREIGN KEY (local_port_id, local_ip_address) REFERENCES public.port_ip(port_id, ip) ON DELETE CASCADE;

ALTER TABLE ONLY public.local_ip
    ADD CONSTRAINT local_ip_network_id_fkey FOREIGN KEY (network_id) REFERENCES public.network(id);

ALTER TABLE ONLY public.local_ip
    ADD CONSTRAINT local_ip_project_id_fkey FOREIGN KEY (project_id) REFERENCES public.project(id);

ALTER TABLE ONLY public.metadef_entry
    ADD CONSTRAINT metadef_entry_namespace_id_fkey FOREIGN KEY (namespace_id) REFERENCES public.metadef_namespace(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.metadef_namespace
    ADD CONSTRAINT metadef_namespace_project_id_fkey FOREIGN KEY (project_id) REFERENCES public.project(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.meter
    ADD CONSTRAINT meter_floating_ip_id_fkey FOREIGN KEY (floating_ip_id) REFERENCES public.floating_ip(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.meter
    ADD CONSTRAINT meter_metering_label_id_fkey FOREIGN KEY (metering_label_id) REFERENCES public.metering_label(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.meter
    ADD CONSTRAINT meter_port_id_fkey FOREIGN KEY (port_id) REFERENCES public.port(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.meter
    ADD CONSTRAINT meter_project_id_fkey FOREIGN KEY (project_id) REFERENCES public.project(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.meter_reading
    ADD CONSTRAINT meter_reading_meter_id_fkey FOREIGN KEY (meter_id) REFERENCES public.meter(id) ON DELETE SET NULL;

ALTER TABLE ONLY public.meter
    ADD CONSTRAINT meter_router_id_fkey FOREIGN KEY (router_id) REFERENCES public.router(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.metering_label
    ADD CONSTRAINT metering_label_project_id_fkey FOREIGN KEY (project_id) REFERENCES public.project(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.metering_label_rule
    ADD CONSTRAINT metering_label_rule_metering_label_id_fkey FOREIGN KEY (metering_label_id) REFERENCES public.metering_label(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.ndp_proxy
    ADD CONSTRAINT ndp_proxy_port_id_ip_address_fkey FOREIGN KEY (port_id, ip_address) REFERENCES public.port_ip(port_id, ip) ON DELETE CASCADE;

ALTER TABLE ONLY public.ndp_proxy
    ADD CONSTRAINT ndp_proxy_project_id_fkey FOREIGN KEY (project_id) REFERENCES public.project(id);

ALTER TABLE ONLY public.ndp_proxy
    ADD CONSTRAINT ndp_proxy_router_id_fkey FOREIGN KEY (router_id) REFERENCES public.router(id);

ALTER TABLE ONLY public.network_flavor_profile
    ADD CONSTRAINT network_flavor_profile_network_flavor_id_fkey FOREIGN KEY (network_flavor_id) REFERENCES public.network_flavor(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.network_flavor_profile
    ADD CONSTRAINT network_flavor_profile_service_profile_id_fkey FOREIGN KEY (service_profile_id) REFERENCES public.service_profile(id);

ALTER TABLE ONLY public.network
    ADD CONSTRAINT network_project_id_fkey FOREIGN KEY (project_id) REFERENCES public.project(id);

ALTER TABLE ONLY public.network
    ADD CONSTRAINT network_qos_policy_id_fkey FOREIGN KEY (qos_policy_id) REFERENCES public.qos_policy(id);

ALTER TABLE ONLY public.object_account
    ADD CONSTRAINT object_account_project_id_fkey FOREIGN KEY (project_id) REFERENCES public.project(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.object_disk
    ADD CONSTRAINT object_disk_host_id_fkey FOREIGN KEY (host_id) REFERENCES public.host(id);

ALTER TABLE ONLY public.object_intent_disk
    ADD CONSTRAINT object_intent_disk_disk_id_fkey FOREIGN KEY (disk_id) REFERENCES public.object_disk(id);

ALTER TABLE ONLY public.object_intent_disk
    ADD CONSTRAINT object_intent_disk_intent_id_fkey FOREIGN KEY (intent_id) REFERENCES public.object_intent(id);

ALTER TABLE ONLY public.object_upload_part
    ADD CONSTRAINT object_upload_part_upload_id_fkey FOREIGN KEY (upload_id) REFERENCES public.object_upload(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.own_limit
    ADD CONSTRAINT own_limit_domain_id_fkey FOREIGN KEY (domain_id) REFERENCES public.domain(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.own_limit
    ADD CONSTRAINT own_limit_project_id_fkey FOREIGN KEY (project_id) REFERENCES public.project(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.own_limit
    ADD CONSTRAINT own_limit_registered_limit_id_fkey FOREIGN KEY (registered_limit_id) REFERENCES public.registered_limit(id);

ALTER TABLE ONLY public.port_bandwidth
    ADD CONSTRAINT port_bandwidth_host_id_fkey FOREIGN KEY (host_id) REFERENCES public.host(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.port_forwarding
    ADD CONSTRAINT port_forwarding_floating_ip_id_fkey FOREIGN KEY (floating_ip_id) REFERENCES public.floating_ip(id);

ALTER TABLE ONLY public.port_forwarding
    ADD CONSTRAINT port_forwarding_port_id_fixed_ip_fkey FOREIGN KEY (port_id, fixed_ip) REFERENCES public.port_ip(port_id, ip) ON DELETE CASCADE;

ALTER TABLE ONLY public.port_forwarding
    ADD CONSTRAINT port_forwarding_project_id_fkey FOREIGN KEY (project_id) REFERENCES public.project(id);

ALTER TABLE ONLY public.port_forwarding
    ADD CONSTRAINT port_forwarding_router_id_fkey FOREIGN KEY (router_id) REFERENCES public.router(id);

ALTER TABLE ONLY public.port
    ADD CONSTRAINT port_host_id_fkey FOREIGN KEY (host_id) REFERENCES public.host(id);

ALTER TABLE ONLY public.port_ip
    ADD CONSTRAINT port_ip_port_id_fkey FOREIGN KEY (port_id) REFERENCES public.port(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.port_ip
    ADD CONSTRAINT port_ip_subnet_id_fkey FOREIGN KEY (subnet_id) REFERENCES public.subnet(id);

ALTER TABLE ONLY public.port
    ADD CONSTRAINT port_migrating_to_fkey FOREIGN KEY (migrating_to) REFERENCES public.host(id) ON DELETE SET NULL;

ALTER TABLE ONLY public.port
    ADD CONSTRAINT port_network_id_fkey FOREIGN KEY (network_id) REFERENCES public.network(id);

ALTER TABLE ONLY public.port
    ADD CONSTRAINT port_project_id_fkey FOREIGN KEY (project_id) REFERENCES public.project(id);

ALTER TABLE ONLY public.port
    ADD CONSTRAINT port_qos_policy_id_fkey FOREIGN KEY (qos_policy_id) REFERENCES public.qos_policy(id);

ALTER TABLE ONLY public.port_security_group
    ADD CONSTRAINT port_security_group_port_id_fkey FOREIGN KEY (port_id) REFERENCES public.port(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.port_security_group
    ADD CONSTRAINT port_security_group_security_group_id_fkey FOREIGN KEY (security_group_id) REFERENCES public.security_group(id);

ALTER TABLE ONLY public.project
    ADD CONSTRAINT project_domain_id_fkey FOREIGN KEY (domain_id) REFERENCES public.domain(id);

ALTER TABLE ONLY public.project_endpoint
    ADD CONSTRAINT project_endpoint_endpoint_id_fkey FOREIGN KEY (endpoint_id) REFERENCES public.endpoint(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.project_endpoint_group
    ADD CONSTRAINT project_endpoint_group_endpoint_group_id_fkey FOREIGN KEY (endpoint_group_id) REFERENCES public.endpoint_group(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.project_endpoint_group
    ADD CONSTRAINT project_endpoint_group_project_id_fkey FOREIGN KEY (project_id) REFERENCES public.project(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.project_endpoint
    ADD CONSTRAINT project_endpoint_project_id_fkey FOREIGN KEY (project_id) REFERENCES public.project(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.project
    ADD CONSTRAINT project_parent_id_fkey FOREIGN KEY (parent_id) REFERENCES public.project(id);

ALTER TABLE ONLY public.qos_policy
    ADD CONSTRAINT qos_policy_project_id_fkey FOREIGN KEY (project_id) REFERENCES public.project(id);

ALTER TABLE ONLY public.qos_rule
    ADD CONSTRAINT qos_rule_qos_policy_id_fkey FOREIGN KEY (qos_policy_id) REFERENCES public.qos_policy(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.quarantined_image
    ADD CONSTRAINT quarantined_image_host_id_fkey FOREIGN KEY (host_id) REFERENCES public.host(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.quarantined_layer
    ADD CONSTRAINT quarantined_layer_host_id_fkey FOREIGN KEY (host_id) REFERENCES public.host(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.quarantined_server
    ADD CONSTRAINT quarantined_server_host_id_fkey FOREIGN KEY (host_id) REFERENCES public.host(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.quota
    ADD CONSTRAINT quota_project_id_fkey FOREIGN KEY (project_id) REFERENCES public.project(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.rbac_policy
    ADD CONSTRAINT rbac_policy_address_group_id_fkey FOREIGN KEY (address_group_id) REFERENCES public.address_group(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.rbac_policy
    ADD CONSTRAINT rbac_policy_address_scope_id_fkey FOREIGN KEY (address_scope_id) REFERENCES public.address_scope(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.rbac_policy
    ADD CONSTRAINT rbac_policy_network_id_fkey FOREIGN KEY (network_id) REFERENCES public.network(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.rbac_policy
    ADD CONSTRAINT rbac_policy_project_id_fkey FOREIGN KEY (project_id) REFERENCES public.project(id);

ALTER TABLE ONLY public.rbac_policy
    ADD CONSTRAINT rbac_policy_qos_policy_id_fkey FOREIGN KEY (qos_policy_id) REFERENCES public.qos_policy(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.rbac_policy
    ADD CONSTRAINT rbac_policy_security_group_id_fkey FOREIGN KEY (security_group_id) REFERENCES public.security_group(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.rbac_policy
    ADD CONSTRAINT rbac_policy_subnet_pool_id_fkey FOREIGN KEY (subnet_pool_id) REFERENCES public.subnet_pool(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.rbac_policy
    ADD CONSTRAINT rbac_policy_target_project_id_fkey FOREIGN KEY (target_project_id) REFERENCES public.project(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.reachability_assertion
    ADD CONSTRAINT reachability_assertion_project_id_fkey FOREIGN KEY (project_id) REFERENCES public.project(id);

ALTER TABLE ONLY public.region
    ADD CONSTRAINT region_parent_id_fkey FOREIGN KEY (parent_id) REFERENCES public.region(id);

ALTER TABLE ONLY public.role_assignment
    ADD CONSTRAINT role_assignment_domain_id_fkey FOREIGN KEY (domain_id) REFERENCES public.domain(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.role_assignment
    ADD CONSTRAINT role_assignment_group_id_fkey FOREIGN KEY (group_id) REFERENCES public.user_group(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.role_assignment
    ADD CONSTRAINT role_assignment_project_id_fkey FOREIGN KEY (project_id) REFERENCES public.project(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.role_assignment
    ADD CONSTRAINT role_assignment_role_id_fkey FOREIGN KEY (role_id) REFERENCES public.role(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.role_assignment
    ADD CONSTRAINT role_assignment_user_id_fkey FOREIGN KEY (user_id) REFERENCES public."user"(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.role
    ADD CONSTRAINT role_domain_id_fkey FOREIGN KEY (domain_id) REFERENCES public.domain(id);

ALTER TABLE ONLY public.role_implication
    ADD CONSTRAINT role_implication_implied_role_id_fkey FOREIGN KEY (implied_role_id) REFERENCES public.role(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.role_implication
    ADD CONSTRAINT role_implication_prior_role_id_fkey FOREIGN KEY (prior_role_id) REFERENCES public.role(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.router
    ADD CONSTRAINT router_flavor_id_fkey FOREIGN KEY (flavor_id) REFERENCES public.network_flavor(id);

ALTER TABLE ONLY public.router
    ADD CONSTRAINT router_gateway_network_id_fkey FOREIGN KEY (gateway_network_id) REFERENCES public.network(id);

ALTER TABLE ONLY public.router
    ADD CONSTRAINT router_gateway_qos_policy_id_fkey FOREIGN KEY (gateway_qos_policy_id) REFERENCES public.qos_policy(id);

ALTER TABLE ONLY public.router
    ADD CONSTRAINT router_project_id_fkey FOREIGN KEY (project_id) REFERENCES public.project(id);

ALTER TABLE ONLY public.security_group
    ADD CONSTRAINT security_group_project_id_fkey FOREIGN KEY (project_id) REFERENCES public.project(id);

ALTER TABLE ONLY public.security_group_rule
    ADD CONSTRAINT security_group_rule_remote_address_group_id_fkey FOREIGN KEY (remote_address_group_id) REFERENCES public.address_group(id);

ALTER TABLE ONLY public.security_group_rule
    ADD CONSTRAINT security_group_rule_remote_group_id_fkey FOREIGN KEY (remote_group_id) REFERENCES public.security_group(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.security_group_rule
    ADD CONSTRAINT security_group_rule_security_group_id_fkey FOREIGN KEY (security_group_id) REFERENCES public.security_group(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.segment
    ADD CONSTRAINT segment_network_id_fkey FOREIGN KEY (network_id) REFERENCES public.network(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.server_absence
    ADD CONSTRAINT server_absence_host_id_fkey FOREIGN KEY (host_id) REFERENCES public.host(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.server_admin_password
    ADD CONSTRAINT server_admin_password_server_id_fkey FOREIGN KEY (server_id) REFERENCES public.server(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.server_claim
    ADD CONSTRAINT server_claim_host_id_fkey FOREIGN KEY (host_id) REFERENCES public.host(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.server_claim
    ADD CONSTRAINT server_claim_server_id_fkey FOREIGN KEY (server_id) REFERENCES public.server(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.server_group
    ADD CONSTRAINT server_group_project_id_fkey FOREIGN KEY (project_id) REFERENCES public.project(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.server
    ADD CONSTRAINT server_host_id_fkey FOREIGN KEY (host_id) REFERENCES public.host(id);

ALTER TABLE ONLY public.server_migration
    ADD CONSTRAINT server_migration_host_id_fkey FOREIGN KEY (host_id) REFERENCES public.host(id) ON DELETE SET NULL;

ALTER TABLE ONLY public.server_migration_key
    ADD CONSTRAINT server_migration_key_migration_id_fkey FOREIGN KEY (migration_id) REFERENCES public.server_migration(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.server_migration
    ADD CONSTRAINT server_migration_other_host_id_fkey FOREIGN KEY (other_host_id) REFERENCES public.host(id) ON DELETE SET NULL;

ALTER TABLE ONLY public.server_migration
    ADD CONSTRAINT server_migration_project_id_fkey FOREIGN KEY (project_id) REFERENCES public.project(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.server_migration
    ADD CONSTRAINT server_migration_server_id_fkey FOREIGN KEY (server_id) REFERENCES public.server(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.server_migration
    ADD CONSTRAINT server_migration_target_host_id_fkey FOREIGN KEY (target_host_id) REFERENCES public.host(id) ON DELETE SET NULL;

ALTER TABLE ONLY public.server_personality
    ADD CONSTRAINT server_personality_server_id_fkey FOREIGN KEY (server_id) REFERENCES public.server(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.server_port
    ADD CONSTRAINT server_port_port_id_fkey FOREIGN KEY (port_id) REFERENCES public.port(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.server_port
    ADD CONSTRAINT server_port_server_id_fkey FOREIGN KEY (server_id) REFERENCES public.server(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.server
    ADD CONSTRAINT server_project_id_fkey FOREIGN KEY (project_id) REFERENCES public.project(id);

ALTER TABLE ONLY public.server_refuge
    ADD CONSTRAINT server_refuge_lost_host_id_fkey FOREIGN KEY (lost_host_id) REFERENCES public.host(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.server_refuge
    ADD CONSTRAINT server_refuge_refuge_host_id_fkey FOREIGN KEY (refuge_host_id) REFERENCES public.host(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.server_refuge
    ADD CONSTRAINT server_refuge_server_id_fkey FOREIGN KEY (server_id) REFERENCES public.server(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.server
    ADD CONSTRAINT server_server_group_id_fkey FOREIGN KEY (server_group_id) REFERENCES public.server_group(id) ON DELETE SET NULL;

ALTER TABLE ONLY public.server_user_data
    ADD CONSTRAINT server_user_data_server_id_fkey FOREIGN KEY (server_id) REFERENCES public.server(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.storage_pool
    ADD CONSTRAINT storage_pool_host_id_fkey FOREIGN KEY (host_id) REFERENCES public.host(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.storage_pool_usage
    ADD CONSTRAINT storage_pool_usage_pool_id_fkey FOREIGN KEY (pool_id) REFERENCES public.storage_pool(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.storage_pool_volumes
    ADD CONSTRAINT storage_pool_volumes_pool_id_fkey FOREIGN KEY (pool_id) REFERENCES public.storage_pool(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.subnet
    ADD CONSTRAINT subnet_network_id_fkey FOREIGN KEY (network_id) REFERENCES public.network(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.subnet_pool
    ADD CONSTRAINT subnet_pool_address_scope_id_fkey FOREIGN KEY (address_scope_id) REFERENCES public.address_scope(id);

ALTER TABLE ONLY public.subnet_pool
    ADD CONSTRAINT subnet_pool_project_id_fkey FOREIGN KEY (project_id) REFERENCES public.project(id);

ALTER TABLE ONLY public.subnet
    ADD CONSTRAINT subnet_project_id_fkey FOREIGN KEY (project_id) REFERENCES public.project(id);

ALTER TABLE ONLY public.subnet
    ADD CONSTRAINT subnet_segment_id_fkey FOREIGN KEY (segment_id) REFERENCES public.segment(id);

ALTER TABLE ONLY public.subnet
    ADD CONSTRAINT subnet_subnet_pool_id_fkey FOREIGN KEY (subnet_pool_id) REFERENCES public.subnet_pool(id);

ALTER TABLE ONLY public.subport
    ADD CONSTRAINT subport_port_id_fkey FOREIGN KEY (port_id) REFERENCES public.port(id);

ALTER TABLE ONLY public.subport
    ADD CONSTRAINT subport_trunk_id_fkey FOREIGN KEY (trunk_id) REFERENCES public.trunk(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.trunk
    ADD CONSTRAINT trunk_port_id_fkey FOREIGN KEY (port_id) REFERENCES public.port(id);

ALTER TABLE ONLY public.trunk
    ADD CONSTRAINT trunk_project_id_fkey FOREIGN KEY (project_id) REFERENCES public.project(id);

ALTER TABLE ONLY public.trust
    ADD CONSTRAINT trust_origin_user_id_fkey FOREIGN KEY (origin_user_id) REFERENCES public."user"(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.trust
    ADD CONSTRAINT trust_project_id_fkey FOREIGN KEY (project_id) REFERENCES public.project(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.trust
    ADD CONSTRAINT trust_redelegated_trust_id_fkey FOREIGN KEY (redelegated_trust_id) REFERENCES public.trust(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.trust
    ADD CONSTRAINT trust_trustee_user_id_fkey FOREIGN KEY (trustee_user_id) REFERENCES public."user"(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.trust
    ADD CONSTRAINT trust_trustor_user_id_fkey FOREIGN KEY (trustor_user_id) REFERENCES public."user"(id) ON DELETE CASCADE;

ALTER TABLE ONLY public."user"
    ADD CONSTRAINT user_domain_id_fkey FOREIGN KEY (domain_id) REFERENCES public.domain(id);

ALTER TABLE ONLY public.user_group
    ADD CONSTRAINT user_group_domain_id_fkey FOREIGN KEY (domain_id) REFERENCES public.domain(id);

ALTER TABLE ONLY public.user_group_member
    ADD CONSTRAINT user_group_member_group_id_fkey FOREIGN KEY (group_id) REFERENCES public.user_group(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.user_group_member
    ADD CONSTRAINT user_group_member_user_id_fkey FOREIGN KEY (user_id) REFERENCES public."user"(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.user_login
    ADD CONSTRAINT user_login_user_id_fkey FOREIGN KEY (user_id) REFERENCES public."user"(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.user_password_past
    ADD CONSTRAINT user_password_past_user_id_fkey FOREIGN KEY (user_id) REFERENCES public."user"(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.user_password
    ADD CONSTRAINT user_password_user_id_fkey FOREIGN KEY (user_id) REFERENCES public."user"(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.user_quota
    ADD CONSTRAINT user_quota_project_id_fkey FOREIGN KEY (project_id) REFERENCES public.project(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.volume_attachment
    ADD CONSTRAINT volume_attachment_project_id_fkey FOREIGN KEY (project_id) REFERENCES public.project(id);

ALTER TABLE ONLY public.volume_attachment
    ADD CONSTRAINT volume_attachment_server_id_fkey FOREIGN KEY (server_id) REFERENCES public.server(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.volume_attachment
    ADD CONSTRAINT volume_attachment_target_host_id_fkey FOREIGN KEY (target_host_id) REFERENCES public.host(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.volume_attachment
    ADD CONSTRAINT volume_attachment_volume_id_fkey FOREIGN KEY (volume_id) REFERENCES public.volume(id);

ALTER TABLE ONLY public.volume
    ADD CONSTRAINT volume_cache_pool_id_fkey FOREIGN KEY (cache_pool_id) REFERENCES public.storage_pool(id);

ALTER TABLE ONLY public.volume_cache_use
    ADD CONSTRAINT volume_cache_use_volume_id_fkey FOREIGN KEY (volume_id) REFERENCES public.volume(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.volume_export
    ADD CONSTRAINT volume_export_attachment_id_fkey FOREIGN KEY (attachment_id) REFERENCES public.volume_attachment(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.volume_export
    ADD CONSTRAINT volume_export_host_id_fkey FOREIGN KEY (host_id) REFERENCES public.host(id);

ALTER TABLE ONLY public.volume_group
    ADD CONSTRAINT volume_group_group_type_id_fkey FOREIGN KEY (group_type_id) REFERENCES public.group_type(id);

ALTER TABLE ONLY public.volume
    ADD CONSTRAINT volume_group_id_fkey FOREIGN KEY (group_id) REFERENCES public.volume_group(id);

ALTER TABLE ONLY public.volume_group
    ADD CONSTRAINT volume_group_project_id_fkey FOREIGN KEY (project_id) REFERENCES public.project(id);

ALTER TABLE ONLY public.volume
    ADD CONSTRAINT volume_host_id_fkey FOREIGN KEY (host_id) REFERENCES public.host(id);

ALTER TABLE ONLY public.volume_layer
    ADD CONSTRAINT volume_layer_former_parent_id_fkey FOREIGN KEY (former_parent_id) REFERENCES public.volume_layer(id);

ALTER TABLE ONLY public.volume_layer
    ADD CONSTRAINT volume_layer_host_id_fkey FOREIGN KEY (host_id) REFERENCES public.host(id);

ALTER TABLE ONLY public.volume
    ADD CONSTRAINT volume_layer_id_fkey FOREIGN KEY (layer_id) REFERENCES public.volume_layer(id);

ALTER TABLE ONLY public.volume_layer
    ADD CONSTRAINT volume_layer_key_id_fkey FOREIGN KEY (key_id) REFERENCES public.volume_key(id);

ALTER TABLE ONLY public.volume_layer
    ADD CONSTRAINT volume_layer_parent_id_fkey FOREIGN KEY (parent_id) REFERENCES public.volume_layer(id);

ALTER TABLE ONLY public.volume_layer
    ADD CONSTRAINT volume_layer_pool_id_fkey FOREIGN KEY (pool_id) REFERENCES public.storage_pool(id);

ALTER TABLE ONLY public.volume_ownership
    ADD CONSTRAINT volume_ownership_host_id_fkey FOREIGN KEY (host_id) REFERENCES public.host(id);

ALTER TABLE ONLY public.volume
    ADD CONSTRAINT volume_pool_id_fkey FOREIGN KEY (pool_id) REFERENCES public.storage_pool(id);

ALTER TABLE ONLY public.volume
    ADD CONSTRAINT volume_project_id_fkey FOREIGN KEY (project_id) REFERENCES public.project(id);

ALTER TABLE ONLY public.volume_replica_key
    ADD CONSTRAINT volume_replica_key_volume_id_fkey FOREIGN KEY (volume_id) REFERENCES public.volume_replica(volume_id) ON DELETE CASCADE;

ALTER TABLE ONLY public.volume_replica
    ADD CONSTRAINT volume_replica_pool_id_fkey FOREIGN KEY (pool_id) REFERENCES public.storage_pool(id);

ALTER TABLE ONLY public.volume_replica
    ADD CONSTRAINT volume_replica_round_pool_id_fkey FOREIGN KEY (round_pool_id) REFERENCES public.storage_pool(id);

ALTER TABLE ONLY public.volume_replica
    ADD CONSTRAINT volume_replica_volume_id_fkey FOREIGN KEY (volume_id) REFERENCES public.volume(id);

ALTER TABLE ONLY public.volume_snapshot
    ADD CONSTRAINT volume_snapshot_group_snapshot_id_fkey FOREIGN KEY (group_snapshot_id) REFERENCES public.group_snapshot(id);

ALTER TABLE ONLY public.volume_snapshot
    ADD CONSTRAINT volume_snapshot_layer_id_fkey FOREIGN KEY (layer_id) REFERENCES public.volume_layer(id);

ALTER TABLE ONLY public.volume_snapshot
    ADD CONSTRAINT volume_snapshot_project_id_fkey FOREIGN KEY (project_id) REFERENCES public.project(id);

ALTER TABLE ONLY public.volume_snapshot
    ADD CONSTRAINT volume_snapshot_volume_id_fkey FOREIGN KEY (volume_id) REFERENCES public.volume(id);

ALTER TABLE ONLY public.volume_transfer
    ADD CONSTRAINT volume_transfer_project_id_fkey FOREIGN KEY (project_id) REFERENCES public.project(id);

ALTER TABLE ONLY public.volume_transfer
    ADD CONSTRAINT volume_transfer_volume_id_fkey FOREIGN KEY (volume_id) REFERENCES public.volume(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.volume_type_access
    ADD CONSTRAINT volume_type_access_project_id_fkey FOREIGN KEY (project_id) REFERENCES public.project(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.volume_type_access
    ADD CONSTRAINT volume_type_access_volume_type_id_fkey FOREIGN KEY (volume_type_id) REFERENCES public.volume_type(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.volume_type_default
    ADD CONSTRAINT volume_type_default_project_id_fkey FOREIGN KEY (project_id) REFERENCES public.project(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.volume_type_default
    ADD CONSTRAINT volume_type_default_volume_type_id_fkey FOREIGN KEY (volume_type_id) REFERENCES public.volume_type(id);

ALTER TABLE ONLY public.volume_type_encryption
    ADD CONSTRAINT volume_type_encryption_volume_type_id_fkey FOREIGN KEY (volume_type_id) REFERENCES public.volume_type(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.volume_type
    ADD CONSTRAINT volume_type_qos_specs_id_fkey FOREIGN KEY (qos_specs_id) REFERENCES public.qos_specs(id);

ALTER TABLE ONLY public.volume
    ADD CONSTRAINT volume_volume_type_id_fkey FOREIGN KEY (volume_type_id) REFERENCES public.volume_type(id);

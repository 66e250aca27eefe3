-- A database as control of commit af229ec (first light) left it: one host, a network, an image, a server that runs and one that was
-- deleted, and the last rows of its change log. The oldest that `bothy up` must take; never edited.
SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
CREATE SCHEMA graphile_worker;
CREATE TYPE graphile_worker.job_spec AS (
	identifier text,
	payload json,
	queue_name text,
	run_at timestamp with time zone,
	max_attempts smallint,
	job_key text,
	priority smallint,
	flags text[]
);
SET default_tablespace = '';
SET default_table_access_method = heap;
CREATE TABLE graphile_worker._private_jobs (
    id bigint NOT NULL,
    job_queue_id integer,
    task_id integer NOT NULL,
    payload json DEFAULT '{}'::json NOT NULL,
    priority smallint DEFAULT 0 NOT NULL,
    run_at timestamp with time zone DEFAULT now() NOT NULL,
    attempts smallint DEFAULT 0 NOT NULL,
    max_attempts smallint DEFAULT 25 NOT NULL,
    last_error text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    key text,
    locked_at timestamp with time zone,
    locked_by text,
    revision integer DEFAULT 0 NOT NULL,
    flags jsonb,
    is_available boolean GENERATED ALWAYS AS (((locked_at IS NULL) AND (attempts < max_attempts))) STORED NOT NULL,
    CONSTRAINT jobs_key_check CHECK (((length(key) > 0) AND (length(key) <= 512))),
    CONSTRAINT jobs_max_attempts_check CHECK ((max_attempts >= 1))
);
CREATE FUNCTION graphile_worker.add_job(identifier text, payload json DEFAULT NULL::json, queue_name text DEFAULT NULL::text, run_at timestamp with time zone DEFAULT NULL::timestamp with time zone, max_attempts integer DEFAULT NULL::integer, job_key text DEFAULT NULL::text, priority integer DEFAULT NULL::integer, flags text[] DEFAULT NULL::text[], job_key_mode text DEFAULT 'replace'::text) RETURNS graphile_worker._private_jobs
    LANGUAGE plpgsql
    AS $$
declare
  v_job "graphile_worker"._private_jobs;
begin
  if (job_key is null or job_key_mode is null or job_key_mode in ('replace', 'preserve_run_at')) then
    select * into v_job
    from "graphile_worker".add_jobs(
      ARRAY[(
        identifier,
        payload,
        queue_name,
        run_at,
        max_attempts::smallint,
        job_key,
        priority::smallint,
        flags
      )::"graphile_worker".job_spec],
      (job_key_mode = 'preserve_run_at')
    )
    limit 1;
    return v_job;
  elsif job_key_mode = 'unsafe_dedupe' then
    -- Ensure all the tasks exist (insert only missing identifiers so identity is not consumed)
    insert into "graphile_worker"._private_tasks as tasks (identifier)
    select add_job.identifier
    where not exists (
      select 1
      from "graphile_worker"._private_tasks as existing
      where existing.identifier = add_job.identifier
    )
    on conflict do nothing;
    -- Ensure all the queues exist
    if add_job.queue_name is not null then
      insert into "graphile_worker"._private_job_queues as job_queues (queue_name)
      select add_job.queue_name
      where not exists (
        select 1
        from "graphile_worker"._private_job_queues as existing
        where existing.queue_name = add_job.queue_name
      )
      on conflict do nothing;
    end if;
    -- Insert job, but if one already exists then do nothing, even if the
    -- existing job has already started (and thus represents an out-of-date
    -- world state). This is dangerous because it means that whatever state
    -- change triggered this add_job may not be acted upon (since it happened
    -- after the existing job started executing, but no further job is being
    -- scheduled), but it is useful in very rare circumstances for
    -- de-duplication. If in doubt, DO NOT USE THIS.
    insert into "graphile_worker"._private_jobs as jobs (
      job_queue_id,
      task_id,
      payload,
      run_at,
      max_attempts,
      key,
      priority,
      flags
    )
      select
        job_queues.id,
        tasks.id,
        coalesce(add_job.payload, '{}'::json),
        coalesce(add_job.run_at, now()),
        coalesce(add_job.max_attempts::smallint, 25::smallint),
        add_job.job_key,
        coalesce(add_job.priority::smallint, 0::smallint),
        (
          select jsonb_object_agg(flag, true)
          from unnest(add_job.flags) as item(flag)
        )
      from "graphile_worker"._private_tasks as tasks
      left join "graphile_worker"._private_job_queues as job_queues
      on job_queues.queue_name = add_job.queue_name
      where tasks.identifier = add_job.identifier
    on conflict (key)
      -- Bump the updated_at so that there's something to return
      do update set
        revision = jobs.revision + 1,
        updated_at = now()
      returning *
      into v_job;
    if v_job.revision = 0 then
      perform pg_notify('jobs:insert', '{"r":' || random()::text || ',"count":1}');
    end if;
    return v_job;
  else
    raise exception 'Invalid job_key_mode value, expected ''replace'', ''preserve_run_at'' or ''unsafe_dedupe''.' using errcode = 'GWBKM';
  end if;
end;
$$;
CREATE FUNCTION graphile_worker.add_jobs(specs graphile_worker.job_spec[], job_key_preserve_run_at boolean DEFAULT false) RETURNS SETOF graphile_worker._private_jobs
    LANGUAGE plpgsql
    AS $$
begin
  -- Ensure all the tasks exist (insert only missing identifiers so identity is not consumed)
  insert into "graphile_worker"._private_tasks as tasks (identifier)
  select distinct spec.identifier
  from unnest(specs) spec
  where not exists (
    select 1
    from "graphile_worker"._private_tasks as existing
    where existing.identifier = spec.identifier
  )
  on conflict do nothing;
  -- Ensure all the queues exist
  insert into "graphile_worker"._private_job_queues as job_queues (queue_name)
  select distinct spec.queue_name
  from unnest(specs) spec
  where spec.queue_name is not null
  and not exists (
    select 1
    from "graphile_worker"._private_job_queues as existing
    where existing.queue_name = spec.queue_name
  )
  on conflict do nothing;
  -- Ensure any locked jobs have their key cleared - in the case of locked
  -- existing job create a new job instead as it must have already started
  -- executing (i.e. it's world state is out of date, and the fact add_job
  -- has been called again implies there's new information that needs to be
  -- acted upon).
  update "graphile_worker"._private_jobs as jobs
  set
    key = null,
    attempts = jobs.max_attempts,
    updated_at = now()
  from unnest(specs) spec
  where spec.job_key is not null
  and jobs.key = spec.job_key
  and is_available is not true;
  -- WARNING: this count is not 100% accurate; 'on conflict' clause will cause it to be an overestimate
  perform pg_notify('jobs:insert', '{"r":' || random()::text || ',"count":' || array_length(specs, 1)::text || '}');
  -- TODO: is there a risk that a conflict could occur depending on the
  -- isolation level?
  return query insert into "graphile_worker"._private_jobs as jobs (
    job_queue_id,
    task_id,
    payload,
    run_at,
    max_attempts,
    key,
    priority,
    flags
  )
    select
      job_queues.id,
      tasks.id,
      coalesce(spec.payload, '{}'::json),
      coalesce(spec.run_at, now()),
      coalesce(spec.max_attempts, 25),
      spec.job_key,
      coalesce(spec.priority, 0),
      (
        select jsonb_object_agg(flag, true)
        from unnest(spec.flags) as item(flag)
      )
    from unnest(specs) spec
    inner join "graphile_worker"._private_tasks as tasks
    on tasks.identifier = spec.identifier
    left join "graphile_worker"._private_job_queues as job_queues
    on job_queues.queue_name = spec.queue_name
  on conflict (key) do update set
    job_queue_id = excluded.job_queue_id,
    task_id = excluded.task_id,
    payload =
      case
      when json_typeof(jobs.payload) = 'array' and json_typeof(excluded.payload) = 'array' then
        (jobs.payload::jsonb || excluded.payload::jsonb)::json
      else
        excluded.payload
      end,
    max_attempts = excluded.max_attempts,
    run_at = (case
      when job_key_preserve_run_at is true and jobs.attempts = 0 then jobs.run_at
      else excluded.run_at
    end),
    priority = excluded.priority,
    revision = jobs.revision + 1,
    flags = excluded.flags,
    -- always reset error/retry state
    attempts = 0,
    last_error = null,
    updated_at = now()
  where jobs.locked_at is null
  returning *;
end;
$$;
CREATE FUNCTION graphile_worker.complete_jobs(job_ids bigint[]) RETURNS SETOF graphile_worker._private_jobs
    LANGUAGE sql
    AS $$
  delete from "graphile_worker"._private_jobs as jobs
    where id = any(job_ids)
    and (
      locked_at is null
    or
      locked_at < now() - interval '4 hours'
    )
    returning *;
$$;
CREATE FUNCTION graphile_worker.force_unlock_workers(worker_ids text[]) RETURNS void
    LANGUAGE sql
    AS $$
update "graphile_worker"._private_jobs as jobs
set locked_at = null, locked_by = null
where locked_by = any(worker_ids);
update "graphile_worker"._private_job_queues as job_queues
set locked_at = null, locked_by = null
where locked_by = any(worker_ids);
$$;
CREATE FUNCTION graphile_worker.permanently_fail_jobs(job_ids bigint[], error_message text DEFAULT NULL::text) RETURNS SETOF graphile_worker._private_jobs
    LANGUAGE sql
    AS $$
  update "graphile_worker"._private_jobs as jobs
    set
      last_error = coalesce(error_message, 'Manually marked as failed'),
      attempts = max_attempts,
      updated_at = now()
    where id = any(job_ids)
    and (
      locked_at is null
    or
      locked_at < NOW() - interval '4 hours'
    )
    returning *;
$$;
CREATE FUNCTION graphile_worker.remove_job(job_key text) RETURNS graphile_worker._private_jobs
    LANGUAGE plpgsql STRICT
    AS $$
declare
  v_job "graphile_worker"._private_jobs;
begin
  -- Delete job if not locked
  delete from "graphile_worker"._private_jobs as jobs
    where key = job_key
    and (
      locked_at is null
    or
      locked_at < NOW() - interval '4 hours'
    )
  returning * into v_job;
  if not (v_job is null) then
    perform pg_notify('jobs:insert', '{"r":' || random()::text || ',"count":-1}');
    return v_job;
  end if;
  -- Otherwise prevent job from retrying, and clear the key
  update "graphile_worker"._private_jobs as jobs
  set
    key = null,
    attempts = jobs.max_attempts,
    updated_at = now()
  where key = job_key
  returning * into v_job;
  return v_job;
end;
$$;
CREATE FUNCTION graphile_worker.reschedule_jobs(job_ids bigint[], run_at timestamp with time zone DEFAULT NULL::timestamp with time zone, priority integer DEFAULT NULL::integer, attempts integer DEFAULT NULL::integer, max_attempts integer DEFAULT NULL::integer) RETURNS SETOF graphile_worker._private_jobs
    LANGUAGE sql
    AS $$
  update "graphile_worker"._private_jobs as jobs
    set
      run_at = coalesce(reschedule_jobs.run_at, jobs.run_at),
      priority = coalesce(reschedule_jobs.priority::smallint, jobs.priority),
      attempts = coalesce(reschedule_jobs.attempts::smallint, jobs.attempts),
      max_attempts = coalesce(reschedule_jobs.max_attempts::smallint, jobs.max_attempts),
      updated_at = now()
    where id = any(job_ids)
    and (
      locked_at is null
    or
      locked_at < NOW() - interval '4 hours'
    )
    returning *;
$$;
CREATE FUNCTION public.append_change() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
declare
  body jsonb;
  before jsonb;
  id_column text := coalesce(tg_argv[1], 'id');
begin
  if tg_op = 'DELETE' then
    body := to_jsonb(old);
  else
    body := to_jsonb(new);
  end if;
  if tg_op = 'UPDATE' then
    before := to_jsonb(old);
    if before - 'updated_at' = body - 'updated_at' then
      return null;
    end if;
  end if;
  for i in 2 .. tg_nargs - 1 loop
    body := body - tg_argv[i];
  end loop;
  insert into change (resource_type, resource_id, action, project_id, generation, actor_id, request_id, body)
  values (
    tg_argv[0],
    (body ->> id_column)::uuid,
    case tg_op when 'INSERT' then 'created' when 'UPDATE' then 'updated' else 'deleted' end,
    case when tg_argv[0] = 'project' then (body ->> 'id')::uuid else (body ->> 'project_id')::uuid end,
    (body ->> 'generation')::bigint,
    nullif(current_setting('bothy.actor', true), '')::uuid,
    nullif(current_setting('bothy.request', true), ''),
    body
  );
  perform pg_notify('bothy_change', '');
  return null;
end
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
CREATE TABLE graphile_worker._private_job_queues (
    id integer NOT NULL,
    queue_name text NOT NULL,
    locked_at timestamp with time zone,
    locked_by text,
    is_available boolean GENERATED ALWAYS AS ((locked_at IS NULL)) STORED NOT NULL,
    CONSTRAINT job_queues_queue_name_check CHECK ((length(queue_name) <= 128))
);
CREATE TABLE graphile_worker._private_known_crontabs (
    identifier text NOT NULL,
    known_since timestamp with time zone NOT NULL,
    last_execution timestamp with time zone
);
CREATE TABLE graphile_worker._private_tasks (
    id integer NOT NULL,
    identifier text NOT NULL,
    CONSTRAINT tasks_identifier_check CHECK ((length(identifier) <= 128))
);
ALTER TABLE graphile_worker._private_job_queues ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME graphile_worker.job_queues_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE VIEW graphile_worker.jobs AS
 SELECT jobs.id,
    job_queues.queue_name,
    tasks.identifier AS task_identifier,
    jobs.priority,
    jobs.run_at,
    jobs.attempts,
    jobs.max_attempts,
    jobs.last_error,
    jobs.created_at,
    jobs.updated_at,
    jobs.key,
    jobs.locked_at,
    jobs.locked_by,
    jobs.revision,
    jobs.flags
   FROM ((graphile_worker._private_jobs jobs
     JOIN graphile_worker._private_tasks tasks ON ((tasks.id = jobs.task_id)))
     LEFT JOIN graphile_worker._private_job_queues job_queues ON ((job_queues.id = jobs.job_queue_id)));
ALTER TABLE graphile_worker._private_jobs ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME graphile_worker.jobs_id_seq1
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE graphile_worker.migrations (
    id integer NOT NULL,
    ts timestamp with time zone DEFAULT now() NOT NULL,
    breaking boolean DEFAULT false NOT NULL
);
ALTER TABLE graphile_worker._private_tasks ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME graphile_worker.tasks_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.access_rule (
    id uuid NOT NULL,
    user_id uuid NOT NULL,
    service text NOT NULL,
    method text NOT NULL,
    path text NOT NULL
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
    CONSTRAINT change_action_check CHECK ((action = ANY (ARRAY['created'::text, 'updated'::text, 'deleted'::text])))
);
ALTER TABLE public.change ALTER COLUMN sequence ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.change_sequence_seq
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
    CONSTRAINT cloud_only_row_check CHECK (only_row)
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
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);
CREATE TABLE public.image (
    id uuid NOT NULL,
    project_id uuid NOT NULL,
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
    CONSTRAINT image_desired_presence_check CHECK ((desired_presence = ANY (ARRAY['present'::text, 'absent'::text]))),
    CONSTRAINT image_status_check CHECK ((status = ANY (ARRAY['queued'::text, 'saving'::text, 'active'::text, 'killed'::text, 'deactivated'::text, 'pending_delete'::text]))),
    CONSTRAINT image_visibility_check CHECK ((visibility = ANY (ARRAY['public'::text, 'private'::text, 'shared'::text, 'community'::text])))
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
CREATE TABLE public.migration (
    name text NOT NULL,
    sha256 text NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL
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
    CONSTRAINT network_provider_network_type_check CHECK ((provider_network_type = ANY (ARRAY['geneve'::text, 'flat'::text, 'vlan'::text, 'local'::text])))
);
CREATE SEQUENCE public.network_segment
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    MAXVALUE 16777215
    CACHE 1
    CYCLE;
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
    CONSTRAINT operation_check CHECK (((state = 'running'::text) = (finished_at IS NULL))),
    CONSTRAINT operation_state_check CHECK ((state = ANY (ARRAY['running'::text, 'succeeded'::text, 'failed'::text])))
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
    updated_at timestamp with time zone DEFAULT now() NOT NULL
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
CREATE TABLE public.quota (
    id uuid NOT NULL,
    project_id uuid,
    resource text NOT NULL,
    maximum bigint NOT NULL,
    CONSTRAINT quota_maximum_check CHECK ((maximum >= '-1'::integer))
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
    updated_at timestamp with time zone DEFAULT now() NOT NULL
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
    updated_at timestamp with time zone DEFAULT now() NOT NULL
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
    CONSTRAINT security_group_rule_direction_check CHECK ((direction = ANY (ARRAY['ingress'::text, 'egress'::text]))),
    CONSTRAINT security_group_rule_ethertype_check CHECK ((ethertype = ANY (ARRAY['IPv4'::text, 'IPv6'::text])))
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
    CONSTRAINT server_desired_power_check CHECK ((desired_power = ANY (ARRAY['on'::text, 'off'::text]))),
    CONSTRAINT server_desired_presence_check CHECK ((desired_presence = ANY (ARRAY['present'::text, 'absent'::text]))),
    CONSTRAINT server_desired_reboot_type_check CHECK ((desired_reboot_type = ANY (ARRAY['soft'::text, 'hard'::text]))),
    CONSTRAINT server_locked_by_check CHECK ((locked_by = ANY (ARRAY['owner'::text, 'admin'::text]))),
    CONSTRAINT server_observed_power_check CHECK ((observed_power = ANY (ARRAY['on'::text, 'off'::text]))),
    CONSTRAINT server_observed_state_check CHECK ((observed_state = ANY (ARRAY['none'::text, 'building'::text, 'running'::text, 'stopped'::text, 'absent'::text, 'failed'::text])))
);
CREATE TABLE public.server_port (
    server_id uuid NOT NULL,
    port_id uuid NOT NULL,
    "position" integer NOT NULL,
    tag text
);
CREATE TABLE public.server_user_data (
    server_id uuid NOT NULL,
    user_data text NOT NULL
);
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
    CONSTRAINT subnet_ip_version_check CHECK ((ip_version = ANY (ARRAY[4, 6]))),
    CONSTRAINT subnet_ipv6_address_mode_check CHECK ((ipv6_address_mode = ANY (ARRAY['slaac'::text, 'dhcpv6-stateful'::text, 'dhcpv6-stateless'::text]))),
    CONSTRAINT subnet_ipv6_ra_mode_check CHECK ((ipv6_ra_mode = ANY (ARRAY['slaac'::text, 'dhcpv6-stateful'::text, 'dhcpv6-stateless'::text])))
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
    user_id uuid NOT NULL
);
CREATE TABLE public.user_password (
    user_id uuid NOT NULL,
    hash text NOT NULL,
    expires_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);
CREATE TABLE public.volume_ownership (
    volume_id uuid NOT NULL,
    host_id uuid,
    epoch bigint DEFAULT 0 NOT NULL
);
COPY graphile_worker._private_job_queues (id, queue_name, locked_at, locked_by) FROM stdin;
\.
COPY graphile_worker._private_jobs (id, job_queue_id, task_id, payload, priority, run_at, attempts, max_attempts, last_error, created_at, updated_at, key, locked_at, locked_by, revision, flags) FROM stdin;
1	\N	1	{"id" : "01a220d0-0ea3-7000-8586-6a95720966d7"}	0	2026-11-28 06:21:05.898+00	0	25	\N	2026-11-28 06:20:35.891545+00	2026-11-28 06:20:35.891545+00	image:01a220d0-0ea3-7000-8586-6a95720966d7	\N	\N	0	\N
4	\N	2	{"id" : "01a220d0-0f1b-7000-8b3b-4481bc95cabf"}	0	2026-11-28 06:21:06.038+00	0	25	\N	2026-11-28 06:20:36.043434+00	2026-11-28 06:20:36.043434+00	server:01a220d0-0f1b-7000-8b3b-4481bc95cabf	\N	\N	0	\N
\.
COPY graphile_worker._private_known_crontabs (identifier, known_since, last_execution) FROM stdin;
\.
COPY graphile_worker._private_tasks (id, identifier) FROM stdin;
1	image
2	server
\.
COPY graphile_worker.migrations (id, ts, breaking) FROM stdin;
1	2026-11-28 06:20:34.674046+00	t
2	2026-11-28 06:20:34.680226+00	f
3	2026-11-28 06:20:34.682813+00	t
4	2026-11-28 06:20:34.684424+00	f
5	2026-11-28 06:20:34.685664+00	f
6	2026-11-28 06:20:34.687011+00	f
7	2026-11-28 06:20:34.689339+00	f
8	2026-11-28 06:20:34.690847+00	f
9	2026-11-28 06:20:34.692241+00	f
10	2026-11-28 06:20:34.694312+00	f
11	2026-11-28 06:20:34.694992+00	t
12	2026-11-28 06:20:34.707463+00	f
13	2026-11-28 06:20:34.708695+00	t
14	2026-11-28 06:20:34.710153+00	t
15	2026-11-28 06:20:34.711168+00	f
16	2026-11-28 06:20:34.712631+00	t
17	2026-11-28 06:20:34.714843+00	f
18	2026-11-28 06:20:34.716329+00	f
19	2026-11-28 06:20:34.717613+00	t
20	2026-11-28 06:20:34.718164+00	f
\.
COPY public.access_rule (id, user_id, service, method, path) FROM stdin;
\.
COPY public.application_credential (id, user_id, project_id, name, description, role_ids, access_rule_ids, unrestricted, expires_at, created_at) FROM stdin;
\.
COPY public.application_credential_secret (application_credential_id, hash) FROM stdin;
\.
COPY public.change (sequence, transaction_id, at, resource_type, resource_id, action, project_id, generation, actor_id, request_id, body) FROM stdin;
66	772	2026-11-28 06:20:36.12688+00	port	01a220d0-0f54-7001-8b84-4f54e6184c10	updated	01a220d0-0bd8-7001-bcf4-993a408a1db0	2	\N	\N	{"id": "01a220d0-0f54-7001-8b84-4f54e6184c10", "mac": "fa:16:3e:62:b4:0e", "name": "", "tags": [], "host_id": "01a220d0-0a94-7000-bc3e-9eef9c8826a0", "dns_name": "", "device_id": "01a220d0-0f48-7000-b9b0-164c12cc56ec", "created_at": "2026-11-28T06:20:36.036858+00:00", "generation": 2, "network_id": "01a220d0-0edf-7000-a6b9-033eef86306a", "project_id": "01a220d0-0bd8-7001-bcf4-993a408a1db0", "updated_at": "2026-11-28T06:20:36.116145+00:00", "description": "", "observed_up": false, "binding_host": "", "device_owner": "compute:nova", "admin_state_up": true, "extra_dhcp_opts": [], "binding_vnic_type": "normal", "delete_with_device": true, "allowed_address_pairs": [], "port_security_enabled": true}
67	774	2026-11-28 06:20:36.170839+00	port	01a220d0-0f2b-7000-942c-f83f04e2e7a7	updated	01a220d0-0bd8-7001-bcf4-993a408a1db0	2	\N	\N	{"id": "01a220d0-0f2b-7000-942c-f83f04e2e7a7", "mac": "fa:16:3e:47:2c:6a", "name": "", "tags": [], "host_id": "01a220d0-0a94-7000-bc3e-9eef9c8826a0", "dns_name": "", "device_id": "01a220d0-0f1b-7000-8b3b-4481bc95cabf", "created_at": "2026-11-28T06:20:35.992174+00:00", "generation": 2, "network_id": "01a220d0-0edf-7000-a6b9-033eef86306a", "project_id": "01a220d0-0bd8-7001-bcf4-993a408a1db0", "updated_at": "2026-11-28T06:20:36.168157+00:00", "description": "", "observed_up": true, "binding_host": "", "device_owner": "compute:nova", "admin_state_up": true, "extra_dhcp_opts": [], "binding_vnic_type": "normal", "delete_with_device": true, "allowed_address_pairs": [], "port_security_enabled": true}
77	779	2026-11-28 06:20:36.378945+00	port	01a220d0-0f54-7001-8b84-4f54e6184c10	updated	01a220d0-0bd8-7001-bcf4-993a408a1db0	2	\N	\N	{"id": "01a220d0-0f54-7001-8b84-4f54e6184c10", "mac": "fa:16:3e:62:b4:0e", "name": "", "tags": [], "host_id": "01a220d0-0a94-7000-bc3e-9eef9c8826a0", "dns_name": "", "device_id": "01a220d0-0f48-7000-b9b0-164c12cc56ec", "created_at": "2026-11-28T06:20:36.036858+00:00", "generation": 2, "network_id": "01a220d0-0edf-7000-a6b9-033eef86306a", "project_id": "01a220d0-0bd8-7001-bcf4-993a408a1db0", "updated_at": "2026-11-28T06:20:36.378344+00:00", "description": "", "observed_up": true, "binding_host": "", "device_owner": "compute:nova", "admin_state_up": true, "extra_dhcp_opts": [], "binding_vnic_type": "normal", "delete_with_device": true, "allowed_address_pairs": [], "port_security_enabled": true}
78	780	2026-11-28 06:20:36.422553+00	server	01a220d0-0f48-7000-b9b0-164c12cc56ec	updated	01a220d0-0bd8-7001-bcf4-993a408a1db0	1	\N	\N	{"id": "01a220d0-0f48-7000-b9b0-164c12cc56ec", "keys": [], "name": "is deleted", "tags": [], "epoch": 1, "fault": null, "image": {"format": "raw", "sha256": "b01f050250db243fd877c305e47c04df2f5e1cd57661b5ff45538f76b98b91da", "size_bytes": 1048576}, "vcpus": 1, "flavor": {"id": "1", "name": "m1.tiny", "vcpus": 1, "disk_gib": 1, "swap_mib": 0, "memory_mib": 192, "extra_specs": {}, "ephemeral_gib": 0}, "locked": false, "host_id": "01a220d0-0a94-7000-bc3e-9eef9c8826a0", "user_id": "01a220d0-0bd8-7002-9c61-45bcb89a5171", "disk_gib": 1, "hostname": "is-deleted", "image_id": "01a220d0-0ea3-7000-8586-6a95720966d7", "key_name": null, "metadata": {}, "flavor_id": "01a220d0-0be8-7000-b67a-2d67254fecfb", "locked_by": null, "created_at": "2026-11-28T06:20:36.036858+00:00", "generation": 1, "memory_mib": 192, "project_id": "01a220d0-0bd8-7001-bcf4-993a408a1db0", "updated_at": "2026-11-28T06:20:36.418666+00:00", "access_ipv4": null, "access_ipv6": null, "description": "is deleted", "disk_config": "MANUAL", "launched_at": "2026-11-28T06:20:36.42+00:00", "observed_at": "2026-11-28T06:20:36.418666+00:00", "config_drive": false, "launch_index": 0, "desired_power": "on", "locked_reason": null, "observed_step": null, "observed_error": null, "observed_power": "on", "observed_state": "running", "reservation_id": "r-00feb186", "desired_presence": "present", "availability_zone": null, "requested_host_id": null, "desired_reboot_type": "soft", "observed_generation": 1, "observed_started_at": "2026-11-28T06:20:36.394+00:00", "desired_reboot_count": 0, "observed_reboot_count": 0}
79	780	2026-11-28 06:20:36.422688+00	operation	01a220d0-0f48-7001-99d5-bb856bbc822d	updated	01a220d0-0bd8-7001-bcf4-993a408a1db0	1	\N	\N	{"id": "01a220d0-0f48-7001-99d5-bb856bbc822d", "verb": "create", "owner": "host 01a220d0-0a94-7000-bc3e-9eef9c8826a0", "state": "succeeded", "attempt": 0, "actor_id": "01a220d0-0bd8-7002-9c61-45bcb89a5171", "deadline": "2026-11-28T06:30:36.036858+00:00", "created_at": "2026-11-28T06:20:36.036858+00:00", "error_code": null, "generation": 1, "project_id": "01a220d0-0bd8-7001-bcf4-993a408a1db0", "request_id": "req-01a220d0-0f3b-7000-8c5c-7ddea175252c", "updated_at": "2026-11-28T06:20:36.418666+00:00", "finished_at": "2026-11-28T06:20:36.418666+00:00", "resource_id": "01a220d0-0f48-7000-b9b0-164c12cc56ec", "waiting_for": null, "error_message": null, "resource_type": "server"}
84	787	2026-11-28 06:20:36.507189+00	server	01a220d0-0f48-7000-b9b0-164c12cc56ec	updated	01a220d0-0bd8-7001-bcf4-993a408a1db0	2	\N	\N	{"id": "01a220d0-0f48-7000-b9b0-164c12cc56ec", "keys": [], "name": "is deleted", "tags": [], "epoch": 1, "fault": null, "image": {"format": "raw", "sha256": "b01f050250db243fd877c305e47c04df2f5e1cd57661b5ff45538f76b98b91da", "size_bytes": 1048576}, "vcpus": 1, "flavor": {"id": "1", "name": "m1.tiny", "vcpus": 1, "disk_gib": 1, "swap_mib": 0, "memory_mib": 192, "extra_specs": {}, "ephemeral_gib": 0}, "locked": false, "host_id": "01a220d0-0a94-7000-bc3e-9eef9c8826a0", "user_id": "01a220d0-0bd8-7002-9c61-45bcb89a5171", "disk_gib": 1, "hostname": "is-deleted", "image_id": "01a220d0-0ea3-7000-8586-6a95720966d7", "key_name": null, "metadata": {}, "flavor_id": "01a220d0-0be8-7000-b67a-2d67254fecfb", "locked_by": null, "created_at": "2026-11-28T06:20:36.036858+00:00", "generation": 2, "memory_mib": 192, "project_id": "01a220d0-0bd8-7001-bcf4-993a408a1db0", "updated_at": "2026-11-28T06:20:36.502587+00:00", "access_ipv4": null, "access_ipv6": null, "description": "is deleted", "disk_config": "MANUAL", "launched_at": "2026-11-28T06:20:36.42+00:00", "observed_at": "2026-11-28T06:20:36.502587+00:00", "config_drive": false, "launch_index": 0, "desired_power": "on", "locked_reason": null, "observed_step": null, "observed_error": null, "observed_power": "on", "observed_state": "absent", "reservation_id": "r-00feb186", "desired_presence": "absent", "availability_zone": null, "requested_host_id": null, "desired_reboot_type": "soft", "observed_generation": 2, "observed_started_at": null, "desired_reboot_count": 0, "observed_reboot_count": 0}
68	775	2026-11-28 06:20:36.232656+00	server	01a220d0-0f1b-7000-8b3b-4481bc95cabf	updated	01a220d0-0bd8-7001-bcf4-993a408a1db0	1	\N	\N	{"id": "01a220d0-0f1b-7000-8b3b-4481bc95cabf", "keys": [], "name": "stays 小屋 🏔", "tags": [], "epoch": 1, "fault": null, "image": {"format": "raw", "sha256": "b01f050250db243fd877c305e47c04df2f5e1cd57661b5ff45538f76b98b91da", "size_bytes": 1048576}, "vcpus": 1, "flavor": {"id": "1", "name": "m1.tiny", "vcpus": 1, "disk_gib": 1, "swap_mib": 0, "memory_mib": 192, "extra_specs": {}, "ephemeral_gib": 0}, "locked": false, "host_id": "01a220d0-0a94-7000-bc3e-9eef9c8826a0", "user_id": "01a220d0-0bd8-7002-9c61-45bcb89a5171", "disk_gib": 1, "hostname": "stays", "image_id": "01a220d0-0ea3-7000-8586-6a95720966d7", "key_name": null, "metadata": {}, "flavor_id": "01a220d0-0be8-7000-b67a-2d67254fecfb", "locked_by": null, "created_at": "2026-11-28T06:20:35.992174+00:00", "generation": 1, "memory_mib": 192, "project_id": "01a220d0-0bd8-7001-bcf4-993a408a1db0", "updated_at": "2026-11-28T06:20:36.211633+00:00", "access_ipv4": null, "access_ipv6": null, "description": "stays 小屋 🏔", "disk_config": "MANUAL", "launched_at": null, "observed_at": "2026-11-28T06:20:36.211633+00:00", "config_drive": false, "launch_index": 0, "desired_power": "on", "locked_reason": null, "observed_step": "making the disk", "observed_error": null, "observed_power": null, "observed_state": "building", "reservation_id": "r-d4e88a4d", "desired_presence": "present", "availability_zone": null, "requested_host_id": null, "desired_reboot_type": "soft", "observed_generation": 1, "observed_started_at": null, "desired_reboot_count": 0, "observed_reboot_count": 0}
69	775	2026-11-28 06:20:36.23285+00	operation	01a220d0-0f1f-7000-9612-939f62ddd4ef	updated	01a220d0-0bd8-7001-bcf4-993a408a1db0	1	\N	\N	{"id": "01a220d0-0f1f-7000-9612-939f62ddd4ef", "verb": "create", "owner": "host 01a220d0-0a94-7000-bc3e-9eef9c8826a0", "state": "running", "attempt": 0, "actor_id": "01a220d0-0bd8-7002-9c61-45bcb89a5171", "deadline": "2026-11-28T06:30:35.992174+00:00", "created_at": "2026-11-28T06:20:35.992174+00:00", "error_code": null, "generation": 1, "project_id": "01a220d0-0bd8-7001-bcf4-993a408a1db0", "request_id": "req-01a220d0-0f0a-7000-a017-8e1069141e71", "updated_at": "2026-11-28T06:20:36.211633+00:00", "finished_at": null, "resource_id": "01a220d0-0f1b-7000-8b3b-4481bc95cabf", "waiting_for": "making the disk", "error_message": null, "resource_type": "server"}
71	777	2026-11-28 06:20:36.292341+00	server	01a220d0-0f1b-7000-8b3b-4481bc95cabf	updated	01a220d0-0bd8-7001-bcf4-993a408a1db0	1	\N	\N	{"id": "01a220d0-0f1b-7000-8b3b-4481bc95cabf", "keys": [], "name": "stays 小屋 🏔", "tags": [], "epoch": 1, "fault": null, "image": {"format": "raw", "sha256": "b01f050250db243fd877c305e47c04df2f5e1cd57661b5ff45538f76b98b91da", "size_bytes": 1048576}, "vcpus": 1, "flavor": {"id": "1", "name": "m1.tiny", "vcpus": 1, "disk_gib": 1, "swap_mib": 0, "memory_mib": 192, "extra_specs": {}, "ephemeral_gib": 0}, "locked": false, "host_id": "01a220d0-0a94-7000-bc3e-9eef9c8826a0", "user_id": "01a220d0-0bd8-7002-9c61-45bcb89a5171", "disk_gib": 1, "hostname": "stays", "image_id": "01a220d0-0ea3-7000-8586-6a95720966d7", "key_name": null, "metadata": {}, "flavor_id": "01a220d0-0be8-7000-b67a-2d67254fecfb", "locked_by": null, "created_at": "2026-11-28T06:20:35.992174+00:00", "generation": 1, "memory_mib": 192, "project_id": "01a220d0-0bd8-7001-bcf4-993a408a1db0", "updated_at": "2026-11-28T06:20:36.273611+00:00", "access_ipv4": null, "access_ipv6": null, "description": "stays 小屋 🏔", "disk_config": "MANUAL", "launched_at": null, "observed_at": "2026-11-28T06:20:36.273611+00:00", "config_drive": false, "launch_index": 0, "desired_power": "on", "locked_reason": null, "observed_step": "starting the guest", "observed_error": null, "observed_power": null, "observed_state": "building", "reservation_id": "r-d4e88a4d", "desired_presence": "present", "availability_zone": null, "requested_host_id": null, "desired_reboot_type": "soft", "observed_generation": 1, "observed_started_at": null, "desired_reboot_count": 0, "observed_reboot_count": 0}
72	777	2026-11-28 06:20:36.292462+00	operation	01a220d0-0f1f-7000-9612-939f62ddd4ef	updated	01a220d0-0bd8-7001-bcf4-993a408a1db0	1	\N	\N	{"id": "01a220d0-0f1f-7000-9612-939f62ddd4ef", "verb": "create", "owner": "host 01a220d0-0a94-7000-bc3e-9eef9c8826a0", "state": "running", "attempt": 0, "actor_id": "01a220d0-0bd8-7002-9c61-45bcb89a5171", "deadline": "2026-11-28T06:30:35.992174+00:00", "created_at": "2026-11-28T06:20:35.992174+00:00", "error_code": null, "generation": 1, "project_id": "01a220d0-0bd8-7001-bcf4-993a408a1db0", "request_id": "req-01a220d0-0f0a-7000-a017-8e1069141e71", "updated_at": "2026-11-28T06:20:36.273611+00:00", "finished_at": null, "resource_id": "01a220d0-0f1b-7000-8b3b-4481bc95cabf", "waiting_for": "starting the guest", "error_message": null, "resource_type": "server"}
73	778	2026-11-28 06:20:36.373766+00	server	01a220d0-0f48-7000-b9b0-164c12cc56ec	updated	01a220d0-0bd8-7001-bcf4-993a408a1db0	1	\N	\N	{"id": "01a220d0-0f48-7000-b9b0-164c12cc56ec", "keys": [], "name": "is deleted", "tags": [], "epoch": 1, "fault": null, "image": {"format": "raw", "sha256": "b01f050250db243fd877c305e47c04df2f5e1cd57661b5ff45538f76b98b91da", "size_bytes": 1048576}, "vcpus": 1, "flavor": {"id": "1", "name": "m1.tiny", "vcpus": 1, "disk_gib": 1, "swap_mib": 0, "memory_mib": 192, "extra_specs": {}, "ephemeral_gib": 0}, "locked": false, "host_id": "01a220d0-0a94-7000-bc3e-9eef9c8826a0", "user_id": "01a220d0-0bd8-7002-9c61-45bcb89a5171", "disk_gib": 1, "hostname": "is-deleted", "image_id": "01a220d0-0ea3-7000-8586-6a95720966d7", "key_name": null, "metadata": {}, "flavor_id": "01a220d0-0be8-7000-b67a-2d67254fecfb", "locked_by": null, "created_at": "2026-11-28T06:20:36.036858+00:00", "generation": 1, "memory_mib": 192, "project_id": "01a220d0-0bd8-7001-bcf4-993a408a1db0", "updated_at": "2026-11-28T06:20:36.368159+00:00", "access_ipv4": null, "access_ipv6": null, "description": "is deleted", "disk_config": "MANUAL", "launched_at": null, "observed_at": "2026-11-28T06:20:36.368159+00:00", "config_drive": false, "launch_index": 0, "desired_power": "on", "locked_reason": null, "observed_step": "making the disk", "observed_error": null, "observed_power": null, "observed_state": "building", "reservation_id": "r-00feb186", "desired_presence": "present", "availability_zone": null, "requested_host_id": null, "desired_reboot_type": "soft", "observed_generation": 1, "observed_started_at": null, "desired_reboot_count": 0, "observed_reboot_count": 0}
85	787	2026-11-28 06:20:36.507552+00	operation	01a220d0-10d9-7000-ad22-4adebaa277c7	updated	01a220d0-0bd8-7001-bcf4-993a408a1db0	2	\N	\N	{"id": "01a220d0-10d9-7000-ad22-4adebaa277c7", "verb": "delete", "owner": "host 01a220d0-0a94-7000-bc3e-9eef9c8826a0", "state": "running", "attempt": 0, "actor_id": "01a220d0-0bd8-7002-9c61-45bcb89a5171", "deadline": "2026-11-28T06:21:36.440167+00:00", "created_at": "2026-11-28T06:20:36.440167+00:00", "error_code": null, "generation": 2, "project_id": "01a220d0-0bd8-7001-bcf4-993a408a1db0", "request_id": "req-01a220d0-10d3-7000-b1cd-2c66b3658cf9", "updated_at": "2026-11-28T06:20:36.502587+00:00", "finished_at": null, "resource_id": "01a220d0-0f48-7000-b9b0-164c12cc56ec", "waiting_for": "the host: absent", "error_message": null, "resource_type": "server"}
74	778	2026-11-28 06:20:36.373962+00	server	01a220d0-0f1b-7000-8b3b-4481bc95cabf	updated	01a220d0-0bd8-7001-bcf4-993a408a1db0	1	\N	\N	{"id": "01a220d0-0f1b-7000-8b3b-4481bc95cabf", "keys": [], "name": "stays 小屋 🏔", "tags": [], "epoch": 1, "fault": null, "image": {"format": "raw", "sha256": "b01f050250db243fd877c305e47c04df2f5e1cd57661b5ff45538f76b98b91da", "size_bytes": 1048576}, "vcpus": 1, "flavor": {"id": "1", "name": "m1.tiny", "vcpus": 1, "disk_gib": 1, "swap_mib": 0, "memory_mib": 192, "extra_specs": {}, "ephemeral_gib": 0}, "locked": false, "host_id": "01a220d0-0a94-7000-bc3e-9eef9c8826a0", "user_id": "01a220d0-0bd8-7002-9c61-45bcb89a5171", "disk_gib": 1, "hostname": "stays", "image_id": "01a220d0-0ea3-7000-8586-6a95720966d7", "key_name": null, "metadata": {}, "flavor_id": "01a220d0-0be8-7000-b67a-2d67254fecfb", "locked_by": null, "created_at": "2026-11-28T06:20:35.992174+00:00", "generation": 1, "memory_mib": 192, "project_id": "01a220d0-0bd8-7001-bcf4-993a408a1db0", "updated_at": "2026-11-28T06:20:36.368159+00:00", "access_ipv4": null, "access_ipv6": null, "description": "stays 小屋 🏔", "disk_config": "MANUAL", "launched_at": "2026-11-28T06:20:36.37+00:00", "observed_at": "2026-11-28T06:20:36.368159+00:00", "config_drive": false, "launch_index": 0, "desired_power": "on", "locked_reason": null, "observed_step": null, "observed_error": null, "observed_power": "on", "observed_state": "running", "reservation_id": "r-d4e88a4d", "desired_presence": "present", "availability_zone": null, "requested_host_id": null, "desired_reboot_type": "soft", "observed_generation": 1, "observed_started_at": "2026-11-28T06:20:36.29+00:00", "desired_reboot_count": 0, "observed_reboot_count": 0}
75	778	2026-11-28 06:20:36.374262+00	operation	01a220d0-0f48-7001-99d5-bb856bbc822d	updated	01a220d0-0bd8-7001-bcf4-993a408a1db0	1	\N	\N	{"id": "01a220d0-0f48-7001-99d5-bb856bbc822d", "verb": "create", "owner": "host 01a220d0-0a94-7000-bc3e-9eef9c8826a0", "state": "running", "attempt": 0, "actor_id": "01a220d0-0bd8-7002-9c61-45bcb89a5171", "deadline": "2026-11-28T06:30:36.036858+00:00", "created_at": "2026-11-28T06:20:36.036858+00:00", "error_code": null, "generation": 1, "project_id": "01a220d0-0bd8-7001-bcf4-993a408a1db0", "request_id": "req-01a220d0-0f3b-7000-8c5c-7ddea175252c", "updated_at": "2026-11-28T06:20:36.368159+00:00", "finished_at": null, "resource_id": "01a220d0-0f48-7000-b9b0-164c12cc56ec", "waiting_for": "making the disk", "error_message": null, "resource_type": "server"}
76	778	2026-11-28 06:20:36.374355+00	operation	01a220d0-0f1f-7000-9612-939f62ddd4ef	updated	01a220d0-0bd8-7001-bcf4-993a408a1db0	1	\N	\N	{"id": "01a220d0-0f1f-7000-9612-939f62ddd4ef", "verb": "create", "owner": "host 01a220d0-0a94-7000-bc3e-9eef9c8826a0", "state": "succeeded", "attempt": 0, "actor_id": "01a220d0-0bd8-7002-9c61-45bcb89a5171", "deadline": "2026-11-28T06:30:35.992174+00:00", "created_at": "2026-11-28T06:20:35.992174+00:00", "error_code": null, "generation": 1, "project_id": "01a220d0-0bd8-7001-bcf4-993a408a1db0", "request_id": "req-01a220d0-0f0a-7000-a017-8e1069141e71", "updated_at": "2026-11-28T06:20:36.368159+00:00", "finished_at": "2026-11-28T06:20:36.368159+00:00", "resource_id": "01a220d0-0f1b-7000-8b3b-4481bc95cabf", "waiting_for": null, "error_message": null, "resource_type": "server"}
80	781	2026-11-28 06:20:36.441688+00	server	01a220d0-0f48-7000-b9b0-164c12cc56ec	updated	01a220d0-0bd8-7001-bcf4-993a408a1db0	2	01a220d0-0bd8-7002-9c61-45bcb89a5171	req-01a220d0-10d3-7000-b1cd-2c66b3658cf9	{"id": "01a220d0-0f48-7000-b9b0-164c12cc56ec", "keys": [], "name": "is deleted", "tags": [], "epoch": 1, "fault": null, "image": {"format": "raw", "sha256": "b01f050250db243fd877c305e47c04df2f5e1cd57661b5ff45538f76b98b91da", "size_bytes": 1048576}, "vcpus": 1, "flavor": {"id": "1", "name": "m1.tiny", "vcpus": 1, "disk_gib": 1, "swap_mib": 0, "memory_mib": 192, "extra_specs": {}, "ephemeral_gib": 0}, "locked": false, "host_id": "01a220d0-0a94-7000-bc3e-9eef9c8826a0", "user_id": "01a220d0-0bd8-7002-9c61-45bcb89a5171", "disk_gib": 1, "hostname": "is-deleted", "image_id": "01a220d0-0ea3-7000-8586-6a95720966d7", "key_name": null, "metadata": {}, "flavor_id": "01a220d0-0be8-7000-b67a-2d67254fecfb", "locked_by": null, "created_at": "2026-11-28T06:20:36.036858+00:00", "generation": 2, "memory_mib": 192, "project_id": "01a220d0-0bd8-7001-bcf4-993a408a1db0", "updated_at": "2026-11-28T06:20:36.440167+00:00", "access_ipv4": null, "access_ipv6": null, "description": "is deleted", "disk_config": "MANUAL", "launched_at": "2026-11-28T06:20:36.42+00:00", "observed_at": "2026-11-28T06:20:36.418666+00:00", "config_drive": false, "launch_index": 0, "desired_power": "on", "locked_reason": null, "observed_step": null, "observed_error": null, "observed_power": "on", "observed_state": "running", "reservation_id": "r-00feb186", "desired_presence": "absent", "availability_zone": null, "requested_host_id": null, "desired_reboot_type": "soft", "observed_generation": 1, "observed_started_at": "2026-11-28T06:20:36.394+00:00", "desired_reboot_count": 0, "observed_reboot_count": 0}
81	781	2026-11-28 06:20:36.442478+00	operation	01a220d0-10d9-7000-ad22-4adebaa277c7	created	01a220d0-0bd8-7001-bcf4-993a408a1db0	2	01a220d0-0bd8-7002-9c61-45bcb89a5171	req-01a220d0-10d3-7000-b1cd-2c66b3658cf9	{"id": "01a220d0-10d9-7000-ad22-4adebaa277c7", "verb": "delete", "owner": "host 01a220d0-0a94-7000-bc3e-9eef9c8826a0", "state": "running", "attempt": 0, "actor_id": "01a220d0-0bd8-7002-9c61-45bcb89a5171", "deadline": "2026-11-28T06:21:36.440167+00:00", "created_at": "2026-11-28T06:20:36.440167+00:00", "error_code": null, "generation": 2, "project_id": "01a220d0-0bd8-7001-bcf4-993a408a1db0", "request_id": "req-01a220d0-10d3-7000-b1cd-2c66b3658cf9", "updated_at": "2026-11-28T06:20:36.440167+00:00", "finished_at": null, "resource_id": "01a220d0-0f48-7000-b9b0-164c12cc56ec", "waiting_for": "the host to hear of it", "error_message": null, "resource_type": "server"}
82	783	2026-11-28 06:20:36.468+00	operation	01a220d0-10d9-7000-ad22-4adebaa277c7	updated	01a220d0-0bd8-7001-bcf4-993a408a1db0	2	\N	\N	{"id": "01a220d0-10d9-7000-ad22-4adebaa277c7", "verb": "delete", "owner": "host 01a220d0-0a94-7000-bc3e-9eef9c8826a0", "state": "running", "attempt": 0, "actor_id": "01a220d0-0bd8-7002-9c61-45bcb89a5171", "deadline": "2026-11-28T06:21:36.440167+00:00", "created_at": "2026-11-28T06:20:36.440167+00:00", "error_code": null, "generation": 2, "project_id": "01a220d0-0bd8-7001-bcf4-993a408a1db0", "request_id": "req-01a220d0-10d3-7000-b1cd-2c66b3658cf9", "updated_at": "2026-11-28T06:20:36.467598+00:00", "finished_at": null, "resource_id": "01a220d0-0f48-7000-b9b0-164c12cc56ec", "waiting_for": "the host to remove the server", "error_message": null, "resource_type": "server"}
83	786	2026-11-28 06:20:36.489235+00	port	01a220d0-0f54-7001-8b84-4f54e6184c10	updated	01a220d0-0bd8-7001-bcf4-993a408a1db0	2	\N	\N	{"id": "01a220d0-0f54-7001-8b84-4f54e6184c10", "mac": "fa:16:3e:62:b4:0e", "name": "", "tags": [], "host_id": "01a220d0-0a94-7000-bc3e-9eef9c8826a0", "dns_name": "", "device_id": "01a220d0-0f48-7000-b9b0-164c12cc56ec", "created_at": "2026-11-28T06:20:36.036858+00:00", "generation": 2, "network_id": "01a220d0-0edf-7000-a6b9-033eef86306a", "project_id": "01a220d0-0bd8-7001-bcf4-993a408a1db0", "updated_at": "2026-11-28T06:20:36.488319+00:00", "description": "", "observed_up": false, "binding_host": "", "device_owner": "compute:nova", "admin_state_up": true, "extra_dhcp_opts": [], "binding_vnic_type": "normal", "delete_with_device": true, "allowed_address_pairs": [], "port_security_enabled": true}
86	789	2026-11-28 06:20:36.535767+00	port	01a220d0-0f54-7001-8b84-4f54e6184c10	deleted	01a220d0-0bd8-7001-bcf4-993a408a1db0	2	\N	\N	{"id": "01a220d0-0f54-7001-8b84-4f54e6184c10", "mac": "fa:16:3e:62:b4:0e", "name": "", "tags": [], "host_id": "01a220d0-0a94-7000-bc3e-9eef9c8826a0", "dns_name": "", "device_id": "01a220d0-0f48-7000-b9b0-164c12cc56ec", "created_at": "2026-11-28T06:20:36.036858+00:00", "generation": 2, "network_id": "01a220d0-0edf-7000-a6b9-033eef86306a", "project_id": "01a220d0-0bd8-7001-bcf4-993a408a1db0", "updated_at": "2026-11-28T06:20:36.488319+00:00", "description": "", "observed_up": false, "binding_host": "", "device_owner": "compute:nova", "admin_state_up": true, "extra_dhcp_opts": [], "binding_vnic_type": "normal", "delete_with_device": true, "allowed_address_pairs": [], "port_security_enabled": true}
87	789	2026-11-28 06:20:36.536131+00	port_ip	01a220d0-0f54-7001-8b84-4f54e6184c10	deleted	\N	\N	\N	\N	{"ip": "10.7.0.13", "port_id": "01a220d0-0f54-7001-8b84-4f54e6184c10", "position": 0, "subnet_id": "01a220d0-0eec-7000-b3c9-90b657f22ea4", "network_id": "01a220d0-0edf-7000-a6b9-033eef86306a"}
88	789	2026-11-28 06:20:36.536405+00	port_security_group	01a220d0-0f54-7001-8b84-4f54e6184c10	deleted	\N	\N	\N	\N	{"port_id": "01a220d0-0f54-7001-8b84-4f54e6184c10", "security_group_id": "01a220d0-0f27-7000-ab04-d2c91de74337"}
89	789	2026-11-28 06:20:36.540385+00	server	01a220d0-0f48-7000-b9b0-164c12cc56ec	deleted	01a220d0-0bd8-7001-bcf4-993a408a1db0	2	\N	\N	{"id": "01a220d0-0f48-7000-b9b0-164c12cc56ec", "keys": [], "name": "is deleted", "tags": [], "epoch": 1, "fault": null, "image": {"format": "raw", "sha256": "b01f050250db243fd877c305e47c04df2f5e1cd57661b5ff45538f76b98b91da", "size_bytes": 1048576}, "vcpus": 1, "flavor": {"id": "1", "name": "m1.tiny", "vcpus": 1, "disk_gib": 1, "swap_mib": 0, "memory_mib": 192, "extra_specs": {}, "ephemeral_gib": 0}, "locked": false, "host_id": "01a220d0-0a94-7000-bc3e-9eef9c8826a0", "user_id": "01a220d0-0bd8-7002-9c61-45bcb89a5171", "disk_gib": 1, "hostname": "is-deleted", "image_id": "01a220d0-0ea3-7000-8586-6a95720966d7", "key_name": null, "metadata": {}, "flavor_id": "01a220d0-0be8-7000-b67a-2d67254fecfb", "locked_by": null, "created_at": "2026-11-28T06:20:36.036858+00:00", "generation": 2, "memory_mib": 192, "project_id": "01a220d0-0bd8-7001-bcf4-993a408a1db0", "updated_at": "2026-11-28T06:20:36.502587+00:00", "access_ipv4": null, "access_ipv6": null, "description": "is deleted", "disk_config": "MANUAL", "launched_at": "2026-11-28T06:20:36.42+00:00", "observed_at": "2026-11-28T06:20:36.502587+00:00", "config_drive": false, "launch_index": 0, "desired_power": "on", "locked_reason": null, "observed_step": null, "observed_error": null, "observed_power": "on", "observed_state": "absent", "reservation_id": "r-00feb186", "desired_presence": "absent", "availability_zone": null, "requested_host_id": null, "desired_reboot_type": "soft", "observed_generation": 2, "observed_started_at": null, "desired_reboot_count": 0, "observed_reboot_count": 0}
90	789	2026-11-28 06:20:36.546971+00	operation	01a220d0-10d9-7000-ad22-4adebaa277c7	updated	01a220d0-0bd8-7001-bcf4-993a408a1db0	2	\N	\N	{"id": "01a220d0-10d9-7000-ad22-4adebaa277c7", "verb": "delete", "owner": "host 01a220d0-0a94-7000-bc3e-9eef9c8826a0", "state": "succeeded", "attempt": 0, "actor_id": "01a220d0-0bd8-7002-9c61-45bcb89a5171", "deadline": "2026-11-28T06:21:36.440167+00:00", "created_at": "2026-11-28T06:20:36.440167+00:00", "error_code": null, "generation": 2, "project_id": "01a220d0-0bd8-7001-bcf4-993a408a1db0", "request_id": "req-01a220d0-10d3-7000-b1cd-2c66b3658cf9", "updated_at": "2026-11-28T06:20:36.531207+00:00", "finished_at": "2026-11-28T06:20:36.531207+00:00", "resource_id": "01a220d0-0f48-7000-b9b0-164c12cc56ec", "waiting_for": null, "error_message": null, "resource_type": "server"}
\.
COPY public.cloud (only_row, id, region, created_at) FROM stdin;
t	01a220d0-0a59-7000-839f-db23c3795d88	RegionOne	2026-11-28 06:20:35.176143+00
\.
COPY public.decision (id, project_id, resource_type, resource_id, kind, outcome, inputs, explanation, created_at) FROM stdin;
01a220d0-0f54-7000-aeb2-8c88cbcfd504	01a220d0-0bd8-7001-bcf4-993a408a1db0	server	01a220d0-0f1b-7000-8b3b-4481bc95cabf	placement	placed	{"hosts": 1, "chosen": "01a220d0-0a94-7000-bc3e-9eef9c8826a0", "request": {"vcpus": 1, "disk_gib": 1, "memory_mib": 192, "availability_zone": null, "requested_host_id": null}, "verdicts": [{"free": {"vcpus": 64, "disk_gib": 1000, "memory_mib": 15360}, "left": 0.984375, "name": "host-1", "score": 0.984375, "host_id": "01a220d0-0a94-7000-bc3e-9eef9c8826a0", "refusals": [], "holds_image": true}]}	{"fix": "", "message": "placed", "refusals": {}}	2026-11-28 06:20:36.043434+00
01a220d0-0f99-7000-a9bc-181e37e530bb	01a220d0-0bd8-7001-bcf4-993a408a1db0	server	01a220d0-0f48-7000-b9b0-164c12cc56ec	placement	placed	{"hosts": 1, "chosen": "01a220d0-0a94-7000-bc3e-9eef9c8826a0", "request": {"vcpus": 1, "disk_gib": 1, "memory_mib": 192, "availability_zone": null, "requested_host_id": null}, "verdicts": [{"free": {"vcpus": 63, "disk_gib": 999, "memory_mib": 15168}, "left": 0.96875, "name": "host-1", "score": 0.96875, "host_id": "01a220d0-0a94-7000-bc3e-9eef9c8826a0", "refusals": [], "holds_image": true}]}	{"fix": "", "message": "placed", "refusals": {}}	2026-11-28 06:20:36.116145+00
\.
COPY public.domain (id, name, description, enabled, is_default, tags, options, extra, created_at, updated_at) FROM stdin;
01a220d0-0bd8-7000-94c0-57971d5f702b	Default	The default domain	t	t	{}	{}	{}	2026-11-28 06:20:35.121446+00	2026-11-28 06:20:35.121446+00
\.
COPY public.flavor (id, flavor_id, name, description, vcpus, memory_mib, disk_gib, ephemeral_gib, swap_mib, rxtx_factor, public, disabled, extra_specs, created_at, updated_at) FROM stdin;
01a220d0-0be8-7000-b67a-2d67254fecfb	1	m1.tiny	\N	1	192	1	0	0	1	t	f	{}	2026-11-28 06:20:35.176143+00	2026-11-28 06:20:35.176143+00
01a220d0-0be8-7001-be34-f626d5876eb7	2	m1.small	\N	1	2048	20	0	0	1	t	f	{}	2026-11-28 06:20:35.176143+00	2026-11-28 06:20:35.176143+00
01a220d0-0be8-7002-bb2a-60f1c453b155	3	m1.medium	\N	2	4096	40	0	0	1	t	f	{}	2026-11-28 06:20:35.176143+00	2026-11-28 06:20:35.176143+00
01a220d0-0be8-7003-849b-93e818dfe660	4	m1.large	\N	4	8192	80	0	0	1	t	f	{}	2026-11-28 06:20:35.176143+00	2026-11-28 06:20:35.176143+00
\.
COPY public.flavor_access (flavor_id, project_id) FROM stdin;
\.
COPY public.floating_ip (id, project_id, floating_network_id, floating_port_id, floating_ip, port_id, fixed_ip, router_id, description, dns_name, dns_domain, tags, generation, created_at, updated_at) FROM stdin;
\.
COPY public.host (id, name, availability_zone, enabled, disabled_reason, facts, physical_networks, vcpus, memory_mib, disk_gib, connected, connection_id, last_seen_at, created_at, updated_at) FROM stdin;
01a220d0-0a94-7000-bc3e-9eef9c8826a0	host-1	nova	t	\N	{"url": "https://127.0.0.1:40119", "cpus": 4, "name": "host-1", "socket": null, "diskGiB": 1000, "datapath": "netdev", "memoryMiB": 16384, "accelerator": "tcg", "qemuVersion": "7.2.22", "architecture": "x86_64", "bothyVersion": "simulated", "acceleratorReason": "simulated"}	{physnet1}	64	15360	1000	t	01a220d0-0e37-7000-8323-abfa1f9e720b	2026-11-28 06:20:35.775681+00	2026-11-28 06:20:35.012521+00	2026-11-28 06:20:35.775681+00
\.
COPY public.image (id, project_id, name, visibility, status, disk_format, container_format, size_bytes, virtual_size_bytes, md5, sha256, min_disk_gib, min_memory_mib, protected, hidden, owner_properties, tags, desired_presence, upload_id, generation, created_at, updated_at) FROM stdin;
01a220d0-0ea3-7000-8586-6a95720966d7	01a220d0-0bd8-7001-bcf4-993a408a1db0	tiny	public	active	raw	bare	1048576	1048576	b22ede0da82e587d9c6544cd67e6577f	b01f050250db243fd877c305e47c04df2f5e1cd57661b5ff45538f76b98b91da	0	0	f	f	{}	{}	present	\N	2	2026-11-28 06:20:35.877544+00	2026-11-28 06:20:35.927098+00
\.
COPY public.image_location (image_id, host_id, created_at) FROM stdin;
01a220d0-0ea3-7000-8586-6a95720966d7	01a220d0-0a94-7000-bc3e-9eef9c8826a0	2026-11-28 06:20:35.891545+00
\.
COPY public.image_member (image_id, project_id, status, created_at, updated_at) FROM stdin;
\.
COPY public.image_upload (upload_id, image_id, deadline) FROM stdin;
\.
COPY public.key_pair (id, user_id, name, type, public_key, fingerprint, created_at, updated_at) FROM stdin;
\.
COPY public.migration (name, sha256, at) FROM stdin;
0001-foundation	126fa5d6e4f404f05369b589ab3a23a7bb0722cfe40d9e466f0f3cc47cb2fb31	2026-11-28 06:20:34.57155+00
0002-identity	7db13fbdb14757cb55776e6f0052d682934ba17a4d592924773ac26547c6a224	2026-11-28 06:20:34.590366+00
0003-image	c8ae5d9218edf5e17fe49df37750401bd283585303dbd80d0da6f86860e5356b	2026-11-28 06:20:34.61664+00
0004-network	da2e5e19aa09265edf0b51a85e8c1d0801b483aafaae734e9615856467cb05cf	2026-11-28 06:20:34.626389+00
0005-server	5bb3214d2d26e5de716e328ef13d92c0fe6092bd55c8e64e8f702eb3feb7b6c3	2026-11-28 06:20:34.649866+00
\.
COPY public.network (id, project_id, name, description, admin_state_up, shared, external, is_default, port_security_enabled, mtu, provider_network_type, provider_physical_network, provider_segmentation_id, dns_domain, tags, generation, created_at, updated_at) FROM stdin;
01a220d0-0bed-7000-afd5-592623e8a13f	01a220d0-0bd8-7001-bcf4-993a408a1db0	external		t	f	t	t	t	1500	flat	physnet1	\N		{}	1	2026-11-28 06:20:35.176143+00	2026-11-28 06:20:35.176143+00
01a220d0-0edf-7000-a6b9-033eef86306a	01a220d0-0bd8-7001-bcf4-993a408a1db0	net		t	f	f	f	t	1442	geneve	\N	1		{}	1	2026-11-28 06:20:35.936544+00	2026-11-28 06:20:35.936544+00
\.
COPY public.operation (id, project_id, resource_type, resource_id, verb, generation, state, owner, waiting_for, deadline, attempt, error_code, error_message, actor_id, request_id, created_at, updated_at, finished_at) FROM stdin;
01a220d0-0eb8-7000-88fe-96050b169474	01a220d0-0bd8-7001-bcf4-993a408a1db0	image	01a220d0-0ea3-7000-8586-6a95720966d7	upload	2	succeeded	host 01a220d0-0a94-7000-bc3e-9eef9c8826a0	\N	2026-11-29 06:20:35.891545+00	0	\N	\N	01a220d0-0bd8-7002-9c61-45bcb89a5171	req-01a220d0-0eb0-7000-bed1-b931dd4b502d	2026-11-28 06:20:35.891545+00	2026-11-28 06:20:35.927098+00	2026-11-28 06:20:35.927098+00
01a220d0-0f1f-7000-9612-939f62ddd4ef	01a220d0-0bd8-7001-bcf4-993a408a1db0	server	01a220d0-0f1b-7000-8b3b-4481bc95cabf	create	1	succeeded	host 01a220d0-0a94-7000-bc3e-9eef9c8826a0	\N	2026-11-28 06:30:35.992174+00	0	\N	\N	01a220d0-0bd8-7002-9c61-45bcb89a5171	req-01a220d0-0f0a-7000-a017-8e1069141e71	2026-11-28 06:20:35.992174+00	2026-11-28 06:20:36.368159+00	2026-11-28 06:20:36.368159+00
01a220d0-0f48-7001-99d5-bb856bbc822d	01a220d0-0bd8-7001-bcf4-993a408a1db0	server	01a220d0-0f48-7000-b9b0-164c12cc56ec	create	1	succeeded	host 01a220d0-0a94-7000-bc3e-9eef9c8826a0	\N	2026-11-28 06:30:36.036858+00	0	\N	\N	01a220d0-0bd8-7002-9c61-45bcb89a5171	req-01a220d0-0f3b-7000-8c5c-7ddea175252c	2026-11-28 06:20:36.036858+00	2026-11-28 06:20:36.418666+00	2026-11-28 06:20:36.418666+00
01a220d0-10d9-7000-ad22-4adebaa277c7	01a220d0-0bd8-7001-bcf4-993a408a1db0	server	01a220d0-0f48-7000-b9b0-164c12cc56ec	delete	2	succeeded	host 01a220d0-0a94-7000-bc3e-9eef9c8826a0	\N	2026-11-28 06:21:36.440167+00	0	\N	\N	01a220d0-0bd8-7002-9c61-45bcb89a5171	req-01a220d0-10d3-7000-b1cd-2c66b3658cf9	2026-11-28 06:20:36.440167+00	2026-11-28 06:20:36.531207+00	2026-11-28 06:20:36.531207+00
\.
COPY public.port (id, project_id, network_id, name, description, mac, admin_state_up, device_id, device_owner, port_security_enabled, allowed_address_pairs, extra_dhcp_opts, dns_name, binding_vnic_type, host_id, binding_host, delete_with_device, observed_up, tags, generation, created_at, updated_at) FROM stdin;
01a220d0-0f2b-7000-942c-f83f04e2e7a7	01a220d0-0bd8-7001-bcf4-993a408a1db0	01a220d0-0edf-7000-a6b9-033eef86306a			fa:16:3e:47:2c:6a	t	01a220d0-0f1b-7000-8b3b-4481bc95cabf	compute:nova	t	[]	[]		normal	01a220d0-0a94-7000-bc3e-9eef9c8826a0		t	t	{}	2	2026-11-28 06:20:35.992174+00	2026-11-28 06:20:36.168157+00
01a220d0-0ee3-7000-8494-66c9dedee6ab	01a220d0-0bd8-7001-bcf4-993a408a1db0	01a220d0-0edf-7000-a6b9-033eef86306a			fa:16:3e:b2:4d:c0	t	ovnmeta-01a220d0-0edf-7000-a6b9-033eef86306a	network:distributed	f	[]	[]		normal	\N		f	t	{}	1	2026-11-28 06:20:35.936544+00	2026-11-28 06:20:36.238326+00
\.
COPY public.port_ip (port_id, subnet_id, network_id, ip, "position") FROM stdin;
01a220d0-0ee3-7000-8494-66c9dedee6ab	01a220d0-0eec-7000-b3c9-90b657f22ea4	01a220d0-0edf-7000-a6b9-033eef86306a	10.7.0.2	0
01a220d0-0f2b-7000-942c-f83f04e2e7a7	01a220d0-0eec-7000-b3c9-90b657f22ea4	01a220d0-0edf-7000-a6b9-033eef86306a	10.7.0.229	0
\.
COPY public.port_security_group (port_id, security_group_id) FROM stdin;
01a220d0-0f2b-7000-942c-f83f04e2e7a7	01a220d0-0f27-7000-ab04-d2c91de74337
\.
COPY public.project (id, domain_id, parent_id, name, description, enabled, tags, options, extra, created_at, updated_at) FROM stdin;
01a220d0-0bd8-7001-bcf4-993a408a1db0	01a220d0-0bd8-7000-94c0-57971d5f702b	\N	admin	Project of the first administrator	t	{}	{}	{}	2026-11-28 06:20:35.121446+00	2026-11-28 06:20:35.121446+00
\.
COPY public.quota (id, project_id, resource, maximum) FROM stdin;
b0acf4d8-ca76-4f78-9c5a-1a088d5e2413	\N	servers	100
ecad9877-1634-402c-ab97-cb9558e1062f	\N	vcpus	200
d0a033d4-d964-42ae-b607-adcb9919eb75	\N	memory_mib	512000
ba9e13db-1b06-47ce-a7b3-f0ca4bb962c1	\N	key_pairs	100
59f9504e-d3d1-433f-a9cf-fa0c1ad0d8be	\N	server_metadata_items	128
9eb085a0-f27d-4723-bfc5-5a46c9f6acec	\N	networks	100
c22818f1-cde8-4cc2-8833-85e68ff0d5af	\N	subnets	100
b3ecc4dc-1567-4865-8b61-54b9d06e1805	\N	ports	2000
e09583ba-3f49-449d-a02e-ac2585d7aef3	\N	routers	50
79ca38ce-14cc-4060-90d1-2d2728e47265	\N	floating_ips	50
d9e86a79-9f14-4203-83c3-31196f5b6d40	\N	security_groups	100
2da74c0b-068e-433c-89cf-c87bba7be0f8	\N	security_group_rules	500
6c545c9f-b06a-4e54-8d06-bbdaa0c9ee1b	\N	images	100
b6b714e2-5f3a-427d-a3f8-d01f4e33c911	\N	image_bytes	1099511627776
\.
COPY public.role (id, name, domain_id, description, options, extra, created_at, updated_at) FROM stdin;
01a220d0-0bb5-7000-8b9e-4f881d05ef7f	admin	\N		{"immutable": true}	{}	2026-11-28 06:20:35.121446+00	2026-11-28 06:20:35.121446+00
01a220d0-0bbb-7000-8755-be2d9bfd82fb	manager	\N		{"immutable": true}	{}	2026-11-28 06:20:35.121446+00	2026-11-28 06:20:35.121446+00
01a220d0-0bbe-7000-8a02-e25a645a6fcd	member	\N		{"immutable": true}	{}	2026-11-28 06:20:35.121446+00	2026-11-28 06:20:35.121446+00
01a220d0-0bc0-7000-aef2-d94a6e915909	reader	\N		{"immutable": true}	{}	2026-11-28 06:20:35.121446+00	2026-11-28 06:20:35.121446+00
01a220d0-0bc4-7000-b57d-67757d0b773c	service	\N		{"immutable": true}	{}	2026-11-28 06:20:35.121446+00	2026-11-28 06:20:35.121446+00
\.
COPY public.role_assignment (id, role_id, user_id, group_id, project_id, domain_id, system, inherited) FROM stdin;
01a220d0-0be1-7000-bcc0-ac493d090505	01a220d0-0bb5-7000-8b9e-4f881d05ef7f	01a220d0-0bd8-7002-9c61-45bcb89a5171	\N	01a220d0-0bd8-7001-bcf4-993a408a1db0	\N	f	f
01a220d0-0be1-7001-b2a9-dcec7e76fb54	01a220d0-0bb5-7000-8b9e-4f881d05ef7f	01a220d0-0bd8-7002-9c61-45bcb89a5171	\N	\N	\N	t	f
\.
COPY public.role_implication (prior_role_id, implied_role_id) FROM stdin;
01a220d0-0bb5-7000-8b9e-4f881d05ef7f	01a220d0-0bbb-7000-8755-be2d9bfd82fb
01a220d0-0bbb-7000-8755-be2d9bfd82fb	01a220d0-0bbe-7000-8a02-e25a645a6fcd
01a220d0-0bbe-7000-8a02-e25a645a6fcd	01a220d0-0bc0-7000-aef2-d94a6e915909
\.
COPY public.router (id, project_id, name, description, admin_state_up, gateway_network_id, enable_snat, routes, tags, generation, created_at, updated_at) FROM stdin;
\.
COPY public.security_group (id, project_id, name, description, stateful, is_default, tags, generation, created_at, updated_at) FROM stdin;
01a220d0-0f27-7000-ab04-d2c91de74337	01a220d0-0bd8-7001-bcf4-993a408a1db0	default	Default security group	t	t	{}	1	2026-11-28 06:20:35.992174+00	2026-11-28 06:20:35.992174+00
\.
COPY public.security_group_rule (id, project_id, security_group_id, direction, ethertype, protocol, port_range_min, port_range_max, remote_group_id, remote_ip_prefix, description, generation, created_at, updated_at) FROM stdin;
01a220d0-0f27-7001-8d74-7d2f6c4a1db9	01a220d0-0bd8-7001-bcf4-993a408a1db0	01a220d0-0f27-7000-ab04-d2c91de74337	egress	IPv4	\N	\N	\N	\N	\N		1	2026-11-28 06:20:35.992174+00	2026-11-28 06:20:35.992174+00
01a220d0-0f27-7002-b6dc-28a76933c838	01a220d0-0bd8-7001-bcf4-993a408a1db0	01a220d0-0f27-7000-ab04-d2c91de74337	egress	IPv6	\N	\N	\N	\N	\N		1	2026-11-28 06:20:35.992174+00	2026-11-28 06:20:35.992174+00
01a220d0-0f27-7003-9ada-b368a760d38a	01a220d0-0bd8-7001-bcf4-993a408a1db0	01a220d0-0f27-7000-ab04-d2c91de74337	ingress	IPv4	\N	\N	\N	01a220d0-0f27-7000-ab04-d2c91de74337	\N		1	2026-11-28 06:20:35.992174+00	2026-11-28 06:20:35.992174+00
01a220d0-0f27-7004-8e43-4992c03b0b3e	01a220d0-0bd8-7001-bcf4-993a408a1db0	01a220d0-0f27-7000-ab04-d2c91de74337	ingress	IPv6	\N	\N	\N	01a220d0-0f27-7000-ab04-d2c91de74337	\N		1	2026-11-28 06:20:35.992174+00	2026-11-28 06:20:35.992174+00
\.
COPY public.server (id, project_id, user_id, name, description, hostname, image_id, image, flavor_id, flavor, vcpus, memory_mib, disk_gib, key_name, keys, config_drive, metadata, tags, availability_zone, requested_host_id, access_ipv4, access_ipv6, locked, locked_by, locked_reason, disk_config, reservation_id, launch_index, host_id, epoch, generation, desired_presence, desired_power, desired_reboot_count, desired_reboot_type, observed_generation, observed_state, observed_power, observed_reboot_count, observed_started_at, observed_step, observed_error, observed_at, fault, launched_at, created_at, updated_at) FROM stdin;
01a220d0-0f1b-7000-8b3b-4481bc95cabf	01a220d0-0bd8-7001-bcf4-993a408a1db0	01a220d0-0bd8-7002-9c61-45bcb89a5171	stays 小屋 🏔	stays 小屋 🏔	stays	01a220d0-0ea3-7000-8586-6a95720966d7	{"format": "raw", "sha256": "b01f050250db243fd877c305e47c04df2f5e1cd57661b5ff45538f76b98b91da", "size_bytes": 1048576}	01a220d0-0be8-7000-b67a-2d67254fecfb	{"id": "1", "name": "m1.tiny", "vcpus": 1, "disk_gib": 1, "swap_mib": 0, "memory_mib": 192, "extra_specs": {}, "ephemeral_gib": 0}	1	192	1	\N	[]	f	{}	{}	\N	\N	\N	\N	f	\N	\N	MANUAL	r-d4e88a4d	0	01a220d0-0a94-7000-bc3e-9eef9c8826a0	1	1	present	on	0	soft	1	running	on	0	2026-11-28 06:20:36.29+00	\N	\N	2026-11-28 06:20:36.368159+00	\N	2026-11-28 06:20:36.37+00	2026-11-28 06:20:35.992174+00	2026-11-28 06:20:36.368159+00
\.
COPY public.server_port (server_id, port_id, "position", tag) FROM stdin;
01a220d0-0f1b-7000-8b3b-4481bc95cabf	01a220d0-0f2b-7000-942c-f83f04e2e7a7	0	\N
\.
COPY public.server_user_data (server_id, user_data) FROM stdin;
\.
COPY public.subnet (id, project_id, network_id, name, description, ip_version, cidr, gateway_ip, enable_dhcp, ipv6_address_mode, ipv6_ra_mode, allocation_pools, dns_nameservers, host_routes, service_types, tags, generation, created_at, updated_at) FROM stdin;
01a220d0-0bf0-7000-9b60-1eeb33c0d25a	01a220d0-0bd8-7001-bcf4-993a408a1db0	01a220d0-0bed-7000-afd5-592623e8a13f	external-v4		4	172.24.4.0/24	172.24.4.1	f	\N	\N	[{"end": "172.24.4.254", "start": "172.24.4.2"}]	{}	[]	{}	{}	1	2026-11-28 06:20:35.176143+00	2026-11-28 06:20:35.176143+00
01a220d0-0bf2-7000-b940-0b073d5c086d	01a220d0-0bd8-7001-bcf4-993a408a1db0	01a220d0-0bed-7000-afd5-592623e8a13f	external-v6		6	fd0b:724::/64	fd0b:724::1	f	\N	\N	[{"end": "fd0b:724::ffff:ffff:ffff:ffff", "start": "fd0b:724::2"}]	{}	[]	{}	{}	1	2026-11-28 06:20:35.176143+00	2026-11-28 06:20:35.176143+00
01a220d0-0eec-7000-b3c9-90b657f22ea4	01a220d0-0bd8-7001-bcf4-993a408a1db0	01a220d0-0edf-7000-a6b9-033eef86306a			4	10.7.0.0/24	10.7.0.1	t	\N	\N	[{"end": "10.7.0.254", "start": "10.7.0.2"}]	{}	[]	{}	{}	1	2026-11-28 06:20:35.950041+00	2026-11-28 06:20:35.950041+00
\.
COPY public.token_key (id, secret, created_at, expires_at) FROM stdin;
\.
COPY public.token_revocation (id, audit_id, expires_at, created_at) FROM stdin;
\.
COPY public."user" (id, domain_id, name, description, email, default_project_id, enabled, options, extra, token_version, created_at, updated_at) FROM stdin;
01a220d0-0bd8-7002-9c61-45bcb89a5171	01a220d0-0bd8-7000-94c0-57971d5f702b	admin		\N	\N	t	{}	{}	0	2026-11-28 06:20:35.121446+00	2026-11-28 06:20:35.121446+00
\.
COPY public.user_group (id, domain_id, name, description, extra, created_at, updated_at) FROM stdin;
\.
COPY public.user_group_member (group_id, user_id) FROM stdin;
\.
COPY public.user_password (user_id, hash, expires_at, created_at) FROM stdin;
01a220d0-0bd8-7002-9c61-45bcb89a5171	$argon2id$v=19$m=7168,t=5,p=1$FWyYRpvBDydSEZ6VD5MHhA$MMI4goQmvEfAVr4/lV9OvcDw7CWpXubqM3U+kxaGEXU	\N	2026-11-28 06:20:35.121446+00
\.
COPY public.volume_ownership (volume_id, host_id, epoch) FROM stdin;
\.
SELECT pg_catalog.setval('graphile_worker.job_queues_id_seq', 1, false);
SELECT pg_catalog.setval('graphile_worker.jobs_id_seq1', 8, true);
SELECT pg_catalog.setval('graphile_worker.tasks_id_seq', 2, true);
SELECT pg_catalog.setval('public.change_sequence_seq', 90, true);
SELECT pg_catalog.setval('public.network_segment', 1, true);
ALTER TABLE ONLY graphile_worker._private_job_queues
    ADD CONSTRAINT job_queues_pkey1 PRIMARY KEY (id);
ALTER TABLE ONLY graphile_worker._private_job_queues
    ADD CONSTRAINT job_queues_queue_name_key UNIQUE (queue_name);
ALTER TABLE ONLY graphile_worker._private_jobs
    ADD CONSTRAINT jobs_key_key1 UNIQUE (key);
ALTER TABLE ONLY graphile_worker._private_jobs
    ADD CONSTRAINT jobs_pkey1 PRIMARY KEY (id);
ALTER TABLE ONLY graphile_worker._private_known_crontabs
    ADD CONSTRAINT known_crontabs_pkey PRIMARY KEY (identifier);
ALTER TABLE ONLY graphile_worker.migrations
    ADD CONSTRAINT migrations_pkey PRIMARY KEY (id);
ALTER TABLE ONLY graphile_worker._private_tasks
    ADD CONSTRAINT tasks_identifier_key UNIQUE (identifier);
ALTER TABLE ONLY graphile_worker._private_tasks
    ADD CONSTRAINT tasks_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.access_rule
    ADD CONSTRAINT access_rule_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.access_rule
    ADD CONSTRAINT access_rule_user_id_service_method_path_key UNIQUE (user_id, service, method, path);
ALTER TABLE ONLY public.application_credential
    ADD CONSTRAINT application_credential_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.application_credential_secret
    ADD CONSTRAINT application_credential_secret_pkey PRIMARY KEY (application_credential_id);
ALTER TABLE ONLY public.application_credential
    ADD CONSTRAINT application_credential_user_id_name_key UNIQUE (user_id, name);
ALTER TABLE ONLY public.change
    ADD CONSTRAINT change_pkey PRIMARY KEY (transaction_id, sequence);
ALTER TABLE ONLY public.cloud
    ADD CONSTRAINT cloud_pkey PRIMARY KEY (only_row);
ALTER TABLE ONLY public.decision
    ADD CONSTRAINT decision_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.domain
    ADD CONSTRAINT domain_name_key UNIQUE (name);
ALTER TABLE ONLY public.domain
    ADD CONSTRAINT domain_pkey PRIMARY KEY (id);
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
ALTER TABLE ONLY public.host
    ADD CONSTRAINT host_name_key UNIQUE (name);
ALTER TABLE ONLY public.host
    ADD CONSTRAINT host_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.image_location
    ADD CONSTRAINT image_location_pkey PRIMARY KEY (image_id, host_id);
ALTER TABLE ONLY public.image_member
    ADD CONSTRAINT image_member_pkey PRIMARY KEY (image_id, project_id);
ALTER TABLE ONLY public.image
    ADD CONSTRAINT image_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.image_upload
    ADD CONSTRAINT image_upload_image_id_key UNIQUE (image_id);
ALTER TABLE ONLY public.image_upload
    ADD CONSTRAINT image_upload_pkey PRIMARY KEY (upload_id);
ALTER TABLE ONLY public.key_pair
    ADD CONSTRAINT key_pair_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.key_pair
    ADD CONSTRAINT key_pair_user_id_name_key UNIQUE (user_id, name);
ALTER TABLE ONLY public.migration
    ADD CONSTRAINT migration_pkey PRIMARY KEY (name);
ALTER TABLE ONLY public.network
    ADD CONSTRAINT network_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.operation
    ADD CONSTRAINT operation_pkey PRIMARY KEY (id);
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
ALTER TABLE ONLY public.project
    ADD CONSTRAINT project_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.quota
    ADD CONSTRAINT quota_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.quota
    ADD CONSTRAINT quota_project_id_resource_key UNIQUE NULLS NOT DISTINCT (project_id, resource);
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
ALTER TABLE ONLY public.server
    ADD CONSTRAINT server_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.server_port
    ADD CONSTRAINT server_port_pkey PRIMARY KEY (server_id, port_id);
ALTER TABLE ONLY public.server_user_data
    ADD CONSTRAINT server_user_data_pkey PRIMARY KEY (server_id);
ALTER TABLE ONLY public.subnet
    ADD CONSTRAINT subnet_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.token_key
    ADD CONSTRAINT token_key_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.token_revocation
    ADD CONSTRAINT token_revocation_audit_id_key UNIQUE (audit_id);
ALTER TABLE ONLY public.token_revocation
    ADD CONSTRAINT token_revocation_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public."user"
    ADD CONSTRAINT user_domain_id_name_key UNIQUE (domain_id, name);
ALTER TABLE ONLY public.user_group
    ADD CONSTRAINT user_group_domain_id_name_key UNIQUE (domain_id, name);
ALTER TABLE ONLY public.user_group_member
    ADD CONSTRAINT user_group_member_pkey PRIMARY KEY (group_id, user_id);
ALTER TABLE ONLY public.user_group
    ADD CONSTRAINT user_group_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.user_password
    ADD CONSTRAINT user_password_pkey PRIMARY KEY (user_id);
ALTER TABLE ONLY public."user"
    ADD CONSTRAINT user_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.volume_ownership
    ADD CONSTRAINT volume_ownership_pkey PRIMARY KEY (volume_id);
CREATE INDEX jobs_main_index ON graphile_worker._private_jobs USING btree (priority, run_at) INCLUDE (id, task_id, job_queue_id) WHERE (is_available = true);
CREATE INDEX jobs_no_queue_index ON graphile_worker._private_jobs USING btree (priority, run_at) INCLUDE (id, task_id) WHERE ((is_available = true) AND (job_queue_id IS NULL));
CREATE INDEX change_project ON public.change USING btree (project_id, transaction_id, sequence);
CREATE INDEX change_resource ON public.change USING btree (resource_type, resource_id, transaction_id, sequence);
CREATE INDEX change_server_deleted ON public.change USING btree (at) WHERE ((resource_type = 'server'::text) AND (action = 'deleted'::text));
CREATE INDEX decision_resource ON public.decision USING btree (resource_id, created_at DESC);
CREATE UNIQUE INDEX domain_default ON public.domain USING btree (is_default) WHERE is_default;
CREATE INDEX floating_ip_project ON public.floating_ip USING btree (project_id, id);
CREATE INDEX image_location_host ON public.image_location USING btree (host_id);
CREATE INDEX image_member_project ON public.image_member USING btree (project_id, image_id);
CREATE INDEX image_project ON public.image USING btree (project_id, id);
CREATE INDEX image_visible ON public.image USING btree (visibility, id);
CREATE INDEX network_project ON public.network USING btree (project_id, id);
CREATE INDEX operation_resource ON public.operation USING btree (resource_id, created_at DESC);
CREATE INDEX operation_running ON public.operation USING btree (deadline) WHERE (state = 'running'::text);
CREATE INDEX port_device ON public.port USING btree (device_id) WHERE (device_id <> ''::text);
CREATE INDEX port_ip_port ON public.port_ip USING btree (port_id);
CREATE INDEX port_network ON public.port USING btree (network_id, id);
CREATE INDEX port_project ON public.port USING btree (project_id, id);
CREATE INDEX port_security_group_group ON public.port_security_group USING btree (security_group_id);
CREATE INDEX project_parent ON public.project USING btree (parent_id);
CREATE INDEX role_assignment_group ON public.role_assignment USING btree (group_id);
CREATE INDEX role_assignment_project ON public.role_assignment USING btree (project_id);
CREATE INDEX role_assignment_user ON public.role_assignment USING btree (user_id);
CREATE INDEX router_project ON public.router USING btree (project_id, id);
CREATE UNIQUE INDEX security_group_default ON public.security_group USING btree (project_id) WHERE is_default;
CREATE INDEX security_group_project ON public.security_group USING btree (project_id, id);
CREATE INDEX security_group_rule_group ON public.security_group_rule USING btree (security_group_id);
CREATE INDEX security_group_rule_remote ON public.security_group_rule USING btree (remote_group_id);
CREATE INDEX server_host ON public.server USING btree (host_id) INCLUDE (vcpus, memory_mib, disk_gib);
CREATE INDEX server_image ON public.server USING btree (image_id);
CREATE INDEX server_port_port ON public.server_port USING btree (port_id);
CREATE INDEX server_project ON public.server USING btree (project_id, id DESC);
CREATE INDEX server_unserved ON public.server USING btree (id) WHERE ((observed_generation < generation) OR (host_id IS NULL));
CREATE INDEX subnet_network ON public.subnet USING btree (network_id);
CREATE INDEX subnet_project ON public.subnet USING btree (project_id, id);
CREATE INDEX token_revocation_expiry ON public.token_revocation USING btree (expires_at);
CREATE INDEX user_group_member_user ON public.user_group_member USING btree (user_id);
CREATE TRIGGER access_rule_change AFTER INSERT OR DELETE OR UPDATE ON public.access_rule FOR EACH ROW EXECUTE FUNCTION public.append_change('access_rule');
CREATE TRIGGER application_credential_change AFTER INSERT OR DELETE OR UPDATE ON public.application_credential FOR EACH ROW EXECUTE FUNCTION public.append_change('application_credential');
CREATE TRIGGER domain_change AFTER INSERT OR DELETE OR UPDATE ON public.domain FOR EACH ROW EXECUTE FUNCTION public.append_change('domain');
CREATE TRIGGER flavor_change AFTER INSERT OR DELETE OR UPDATE ON public.flavor FOR EACH ROW EXECUTE FUNCTION public.append_change('flavor');
CREATE TRIGGER floating_ip_change AFTER INSERT OR DELETE OR UPDATE ON public.floating_ip FOR EACH ROW EXECUTE FUNCTION public.append_change('floating_ip');
CREATE TRIGGER host_change AFTER INSERT OR DELETE ON public.host FOR EACH ROW EXECUTE FUNCTION public.append_change('host');
CREATE TRIGGER host_updated AFTER UPDATE ON public.host FOR EACH ROW WHEN ((((to_jsonb(old.*) - 'last_seen_at'::text) - 'updated_at'::text) IS DISTINCT FROM ((to_jsonb(new.*) - 'last_seen_at'::text) - 'updated_at'::text))) EXECUTE FUNCTION public.append_change('host');
CREATE TRIGGER image_change AFTER INSERT OR DELETE OR UPDATE ON public.image FOR EACH ROW EXECUTE FUNCTION public.append_change('image');
CREATE TRIGGER image_member_change AFTER INSERT OR DELETE OR UPDATE ON public.image_member FOR EACH ROW EXECUTE FUNCTION public.append_change('image_member', 'image_id');
CREATE TRIGGER key_pair_change AFTER INSERT OR DELETE OR UPDATE ON public.key_pair FOR EACH ROW EXECUTE FUNCTION public.append_change('key_pair');
CREATE TRIGGER network_change AFTER INSERT OR DELETE OR UPDATE ON public.network FOR EACH ROW EXECUTE FUNCTION public.append_change('network');
CREATE TRIGGER operation_change AFTER INSERT OR DELETE OR UPDATE ON public.operation FOR EACH ROW EXECUTE FUNCTION public.append_change('operation');
CREATE TRIGGER port_change AFTER INSERT OR DELETE OR UPDATE ON public.port FOR EACH ROW EXECUTE FUNCTION public.append_change('port');
CREATE TRIGGER port_ip_change AFTER INSERT OR DELETE OR UPDATE ON public.port_ip FOR EACH ROW EXECUTE FUNCTION public.append_change('port_ip', 'port_id');
CREATE TRIGGER port_security_group_change AFTER INSERT OR DELETE OR UPDATE ON public.port_security_group FOR EACH ROW EXECUTE FUNCTION public.append_change('port_security_group', 'port_id');
CREATE TRIGGER project_change AFTER INSERT OR DELETE OR UPDATE ON public.project FOR EACH ROW EXECUTE FUNCTION public.append_change('project');
CREATE TRIGGER quota_change AFTER INSERT OR DELETE OR UPDATE ON public.quota FOR EACH ROW EXECUTE FUNCTION public.append_change('quota');
CREATE TRIGGER role_assignment_change AFTER INSERT OR DELETE OR UPDATE ON public.role_assignment FOR EACH ROW EXECUTE FUNCTION public.append_change('role_assignment');
CREATE TRIGGER role_change AFTER INSERT OR DELETE OR UPDATE ON public.role FOR EACH ROW EXECUTE FUNCTION public.append_change('role');
CREATE TRIGGER role_implication_change AFTER INSERT OR DELETE OR UPDATE ON public.role_implication FOR EACH ROW EXECUTE FUNCTION public.append_change('role_implication', 'prior_role_id');
CREATE TRIGGER router_change AFTER INSERT OR DELETE OR UPDATE ON public.router FOR EACH ROW EXECUTE FUNCTION public.append_change('router');
CREATE TRIGGER security_group_change AFTER INSERT OR DELETE OR UPDATE ON public.security_group FOR EACH ROW EXECUTE FUNCTION public.append_change('security_group');
CREATE TRIGGER security_group_rule_change AFTER INSERT OR DELETE OR UPDATE ON public.security_group_rule FOR EACH ROW EXECUTE FUNCTION public.append_change('security_group_rule');
CREATE TRIGGER server_change AFTER INSERT OR DELETE OR UPDATE ON public.server FOR EACH ROW EXECUTE FUNCTION public.append_change('server');
CREATE TRIGGER subnet_change AFTER INSERT OR DELETE OR UPDATE ON public.subnet FOR EACH ROW EXECUTE FUNCTION public.append_change('subnet');
CREATE TRIGGER token_revocation_change AFTER INSERT OR DELETE ON public.token_revocation FOR EACH ROW EXECUTE FUNCTION public.append_change('token_revocation');
CREATE TRIGGER user_change AFTER INSERT OR DELETE OR UPDATE ON public."user" FOR EACH ROW EXECUTE FUNCTION public.append_change('user');
CREATE TRIGGER user_group_change AFTER INSERT OR DELETE OR UPDATE ON public.user_group FOR EACH ROW EXECUTE FUNCTION public.append_change('user_group');
CREATE TRIGGER user_group_member_change AFTER INSERT OR DELETE OR UPDATE ON public.user_group_member FOR EACH ROW EXECUTE FUNCTION public.append_change('user_group_member', 'group_id');
ALTER TABLE ONLY public.access_rule
    ADD CONSTRAINT access_rule_user_id_fkey FOREIGN KEY (user_id) REFERENCES public."user"(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.application_credential
    ADD CONSTRAINT application_credential_project_id_fkey FOREIGN KEY (project_id) REFERENCES public.project(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.application_credential_secret
    ADD CONSTRAINT application_credential_secret_application_credential_id_fkey FOREIGN KEY (application_credential_id) REFERENCES public.application_credential(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.application_credential
    ADD CONSTRAINT application_credential_user_id_fkey FOREIGN KEY (user_id) REFERENCES public."user"(id) ON DELETE CASCADE;
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
    ADD CONSTRAINT floating_ip_router_id_fkey FOREIGN KEY (router_id) REFERENCES public.router(id);
ALTER TABLE ONLY public.image_location
    ADD CONSTRAINT image_location_host_id_fkey FOREIGN KEY (host_id) REFERENCES public.host(id);
ALTER TABLE ONLY public.image_location
    ADD CONSTRAINT image_location_image_id_fkey FOREIGN KEY (image_id) REFERENCES public.image(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.image_member
    ADD CONSTRAINT image_member_image_id_fkey FOREIGN KEY (image_id) REFERENCES public.image(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.image
    ADD CONSTRAINT image_project_id_fkey FOREIGN KEY (project_id) REFERENCES public.project(id);
ALTER TABLE ONLY public.image_upload
    ADD CONSTRAINT image_upload_image_id_fkey FOREIGN KEY (image_id) REFERENCES public.image(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.network
    ADD CONSTRAINT network_project_id_fkey FOREIGN KEY (project_id) REFERENCES public.project(id);
ALTER TABLE ONLY public.port
    ADD CONSTRAINT port_host_id_fkey FOREIGN KEY (host_id) REFERENCES public.host(id);
ALTER TABLE ONLY public.port_ip
    ADD CONSTRAINT port_ip_port_id_fkey FOREIGN KEY (port_id) REFERENCES public.port(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.port_ip
    ADD CONSTRAINT port_ip_subnet_id_fkey FOREIGN KEY (subnet_id) REFERENCES public.subnet(id);
ALTER TABLE ONLY public.port
    ADD CONSTRAINT port_network_id_fkey FOREIGN KEY (network_id) REFERENCES public.network(id);
ALTER TABLE ONLY public.port
    ADD CONSTRAINT port_project_id_fkey FOREIGN KEY (project_id) REFERENCES public.project(id);
ALTER TABLE ONLY public.port_security_group
    ADD CONSTRAINT port_security_group_port_id_fkey FOREIGN KEY (port_id) REFERENCES public.port(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.port_security_group
    ADD CONSTRAINT port_security_group_security_group_id_fkey FOREIGN KEY (security_group_id) REFERENCES public.security_group(id);
ALTER TABLE ONLY public.project
    ADD CONSTRAINT project_domain_id_fkey FOREIGN KEY (domain_id) REFERENCES public.domain(id);
ALTER TABLE ONLY public.project
    ADD CONSTRAINT project_parent_id_fkey FOREIGN KEY (parent_id) REFERENCES public.project(id);
ALTER TABLE ONLY public.quota
    ADD CONSTRAINT quota_project_id_fkey FOREIGN KEY (project_id) REFERENCES public.project(id) ON DELETE CASCADE;
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
    ADD CONSTRAINT router_gateway_network_id_fkey FOREIGN KEY (gateway_network_id) REFERENCES public.network(id);
ALTER TABLE ONLY public.router
    ADD CONSTRAINT router_project_id_fkey FOREIGN KEY (project_id) REFERENCES public.project(id);
ALTER TABLE ONLY public.security_group
    ADD CONSTRAINT security_group_project_id_fkey FOREIGN KEY (project_id) REFERENCES public.project(id);
ALTER TABLE ONLY public.security_group_rule
    ADD CONSTRAINT security_group_rule_remote_group_id_fkey FOREIGN KEY (remote_group_id) REFERENCES public.security_group(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.security_group_rule
    ADD CONSTRAINT security_group_rule_security_group_id_fkey FOREIGN KEY (security_group_id) REFERENCES public.security_group(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.server
    ADD CONSTRAINT server_host_id_fkey FOREIGN KEY (host_id) REFERENCES public.host(id);
ALTER TABLE ONLY public.server_port
    ADD CONSTRAINT server_port_port_id_fkey FOREIGN KEY (port_id) REFERENCES public.port(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.server_port
    ADD CONSTRAINT server_port_server_id_fkey FOREIGN KEY (server_id) REFERENCES public.server(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.server
    ADD CONSTRAINT server_project_id_fkey FOREIGN KEY (project_id) REFERENCES public.project(id);
ALTER TABLE ONLY public.server_user_data
    ADD CONSTRAINT server_user_data_server_id_fkey FOREIGN KEY (server_id) REFERENCES public.server(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.subnet
    ADD CONSTRAINT subnet_network_id_fkey FOREIGN KEY (network_id) REFERENCES public.network(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.subnet
    ADD CONSTRAINT subnet_project_id_fkey FOREIGN KEY (project_id) REFERENCES public.project(id);
ALTER TABLE ONLY public."user"
    ADD CONSTRAINT user_domain_id_fkey FOREIGN KEY (domain_id) REFERENCES public.domain(id);
ALTER TABLE ONLY public.user_group
    ADD CONSTRAINT user_group_domain_id_fkey FOREIGN KEY (domain_id) REFERENCES public.domain(id);
ALTER TABLE ONLY public.user_group_member
    ADD CONSTRAINT user_group_member_group_id_fkey FOREIGN KEY (group_id) REFERENCES public.user_group(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.user_group_member
    ADD CONSTRAINT user_group_member_user_id_fkey FOREIGN KEY (user_id) REFERENCES public."user"(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.user_password
    ADD CONSTRAINT user_password_user_id_fkey FOREIGN KEY (user_id) REFERENCES public."user"(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.volume_ownership
    ADD CONSTRAINT volume_ownership_host_id_fkey FOREIGN KEY (host_id) REFERENCES public.host(id);
ALTER TABLE graphile_worker._private_job_queues ENABLE ROW LEVEL SECURITY;
ALTER TABLE graphile_worker._private_jobs ENABLE ROW LEVEL SECURITY;
ALTER TABLE graphile_worker._private_known_crontabs ENABLE ROW LEVEL SECURITY;
ALTER TABLE graphile_worker._private_tasks ENABLE ROW LEVEL SECURITY;

-- The machinery that every resource rests on: change log, operations, decisions, hosts, quota.

-- The change log: the only event source. A row is written by trigger in the transaction that makes the change, so no
-- change can miss it. Readers order by (transaction_id, sequence) and stop below pg_snapshot_xmin(pg_current_snapshot()):
-- `sequence` alone is not in commit order.
create table change (
  sequence bigint generated always as identity,
  transaction_id xid8 not null default pg_current_xact_id(),
  at timestamptz not null default clock_timestamp(),
  resource_type text not null,
  resource_id uuid not null,
  action text not null check (action in ('created', 'updated', 'deleted')),
  project_id uuid,          -- whose watchers may see it; null: administrators only
  generation bigint,
  actor_id uuid,            -- user, or null for the cloud itself
  request_id text,
  body jsonb not null,      -- the row after the change (before it, for 'deleted')
  primary key (transaction_id, sequence)
);
create index change_resource on change (resource_type, resource_id, transaction_id, sequence);
create index change_project on change (project_id, transaction_id, sequence);

-- Arguments: resource type; then optionally the column that names the resource and columns left out of the body.
create function append_change() returns trigger language plpgsql as $$
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

-- One row for what someone asked for and the cloud is doing about it.
create table operation (
  id uuid primary key,
  project_id uuid,
  resource_type text not null,
  resource_id uuid not null,
  verb text not null,                       -- 'create', 'delete', 'start' …
  generation bigint not null,               -- done when the resource's observed generation reaches it
  state text not null default 'running' check (state in ('running', 'succeeded', 'failed')),
  owner text not null,                      -- who must take the next step: 'control', 'host <id>'
  waiting_for text,
  deadline timestamptz not null,
  attempt integer not null default 0,
  error_code text,
  error_message text,
  actor_id uuid,
  request_id text,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  finished_at timestamptz,
  check ((state = 'running') = (finished_at is null))
);
create index operation_resource on operation (resource_id, created_at desc);
create index operation_running on operation (deadline) where state = 'running';
create trigger operation_change after insert or update or delete on operation
  for each row execute function append_change('operation');

-- Why-records: what a decision (placement, refusal …) saw, and what would have changed it.
create table decision (
  id uuid primary key,
  project_id uuid,
  resource_type text not null,
  resource_id uuid not null,
  kind text not null,                       -- 'placement' …
  outcome text not null,
  inputs jsonb not null,                    -- administrators only
  explanation jsonb not null,               -- redacted: what the tenant may read, with the nearest fix
  created_at timestamptz not null default now()
);
create index decision_resource on decision (resource_id, created_at desc);

create table cloud (
  only_row boolean primary key default true check (only_row),
  id uuid not null,                         -- hosts refuse a control of another cloud
  region text not null,
  created_at timestamptz not null default now()
);

create table host (
  id uuid primary key,
  name text not null unique,
  availability_zone text not null default 'nova',
  enabled boolean not null default true,    -- administrator: may new servers be placed here?
  disabled_reason text,
  facts jsonb not null default '{}',        -- contract/host.ts HostFacts, as last reported
  physical_networks text[] not null default '{physnet1}',
  vcpus integer not null default 0,         -- for placement: already with overcommit
  memory_mib bigint not null default 0,
  disk_gib bigint not null default 0,
  connected boolean not null default false,
  connection_id uuid,                       -- the stream that speaks for it; an older stream's end changes nothing
  last_seen_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create trigger host_change after insert or delete on host
  for each row execute function append_change('host');
-- A heartbeat (last_seen_at) is no event: it would write a row every few seconds for ever.
create trigger host_updated after update on host for each row
  when (to_jsonb(old) - 'last_seen_at' - 'updated_at' is distinct from to_jsonb(new) - 'last_seen_at' - 'updated_at')
  execute function append_change('host');

-- project_id null: the default for every project.
create table quota (
  id uuid primary key,
  project_id uuid,
  resource text not null,                   -- 'servers', 'vcpus', 'memory_mib', 'networks', 'ports' …
  maximum bigint not null check (maximum >= -1),  -- -1: no limit
  unique nulls not distinct (project_id, resource)
);
create trigger quota_change after insert or update or delete on quota
  for each row execute function append_change('quota');
insert into quota (id, resource, maximum)
select gen_random_uuid(), resource, maximum from (values
  ('servers', 100), ('vcpus', 200), ('memory_mib', 512000), ('key_pairs', 100), ('server_metadata_items', 128),
  ('networks', 100), ('subnets', 100), ('ports', 2000), ('routers', 50), ('floating_ips', 50),
  ('security_groups', 100), ('security_group_rules', 500), ('images', 100), ('image_bytes', 1099511627776)
) as defaults (resource, maximum);

-- The durable queue's one way in: task `task` shall look at `resource`, not before `due`. Wishes for one resource are one job,
-- due at the earliest time that any of them named. A job that runs has perhaps read too early: it goes on without the key (and
-- is tried again by itself if it fails), and the wish becomes a job of its own.
--
-- graphile_worker.add_job is not used: it takes the latest time instead, gives up the retries of the job that runs, and
-- loses the wish when a worker takes the job between its two statements. Here such a race goes round the loop.
create function enqueue(task text, resource text, due timestamptz) returns void language plpgsql as $$
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

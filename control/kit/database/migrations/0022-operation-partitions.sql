-- Operations in parts by the time in their ids (UUIDv7), see control/kit/history. That an operation goes is no event.
alter table operation rename to operation_whole;
alter table operation_whole rename constraint operation_check to operation_whole_check;
alter table operation_whole rename constraint operation_state_check to operation_whole_state_check;
drop index operation_resource, operation_running;
create table operation (
  id uuid not null,
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
) partition by range (id);
create table operation_default partition of operation default;
-- Not a primary key: pg_dump --clean of PostgreSQL 15 fails to drop those of parts.
create unique index operation_id on operation (id);
create index operation_resource on operation (resource_id, id desc);
-- The few that run are found without a look at what is over, however many parts there are.
create index operation_running on operation (resource_id) where state = 'running';
create index operation_deadline on operation (deadline) where state = 'running';
create index operation_project on operation (project_id, id);
insert into operation select * from operation_whole;
drop table operation_whole;
create trigger operation_change after insert or update on operation
  for each row execute function append_change('operation');

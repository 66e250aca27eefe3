-- The change log in parts by time: what is older than the setting goes with its part, see control/kit/history. The default part takes what no
-- part is for (control was away for days), so that a write never fails for it.
alter table change rename to change_whole;
drop index change_resource, change_project, change_server_deleted;
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
  body jsonb not null       -- the row after the change (before it, for 'deleted')
) partition by range (at);
create table change_default partition of change default;
-- Not a primary key: pg_dump --clean of PostgreSQL 15 fails to drop those of parts.
create unique index change_position on change (transaction_id, sequence, at);
create index change_resource on change (resource_type, resource_id, transaction_id, sequence);
create index change_project on change (project_id, transaction_id, sequence);
-- Deleted servers are rows of the change log (changes-since, deleted=true).
create index change_server_deleted on change (at) where resource_type = 'server' and action = 'deleted';
insert into change overriding system value select * from change_whole;
select setval(pg_get_serial_sequence('change', 'sequence'), coalesce((select max(sequence) + 1 from change_whole), 1), false);
drop table change_whole;

-- The last that is gone from the log: who has not read that far has missed something.
create table change_floor (
  only_row boolean primary key default true check (only_row),
  transaction_id xid8 not null,
  sequence bigint not null
);
insert into change_floor (transaction_id, sequence) values ('0', 0);

-- Decisions in parts by the time in their ids (UUIDv7), see control/kit/history.
alter table decision rename to decision_whole;
drop index decision_resource;
create table decision (
  id uuid not null,
  project_id uuid,
  resource_type text not null,
  resource_id uuid not null,
  kind text not null,                       -- 'placement' …
  outcome text not null,
  inputs jsonb not null,                    -- administrators only
  explanation jsonb not null,               -- redacted: what the tenant may read, with the nearest fix
  created_at timestamptz not null default now()
) partition by range (id);
create table decision_default partition of decision default;
-- Not a primary key: pg_dump --clean of PostgreSQL 15 fails to drop those of parts.
create unique index decision_id on decision (id);
create index decision_resource on decision (resource_id, id desc);
create index decision_project on decision (project_id, id);
insert into decision select * from decision_whole;
drop table decision_whole;

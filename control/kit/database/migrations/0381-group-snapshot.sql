-- What all volumes of a group were at one moment.
create table group_snapshot (
  id uuid primary key,
  project_id uuid not null references project,
  user_id uuid not null,
  group_id uuid not null references volume_group,
  group_type_id uuid not null references group_type,
  name text not null default '',
  description text,
  fault jsonb,
  generation bigint not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index group_snapshot_project on group_snapshot (project_id, created_at, id);
create index group_snapshot_of_group on group_snapshot (group_id);
create trigger group_snapshot_change after insert or update or delete on group_snapshot
  for each row execute function append_change('group_snapshot');
alter table volume_snapshot add column group_snapshot_id uuid references group_snapshot;
create index volume_snapshot_of_group_snapshot on volume_snapshot (group_snapshot_id) where group_snapshot_id is not null;

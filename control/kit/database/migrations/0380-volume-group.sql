-- Volumes that are one thing to their owner: they are snapshotted, cloned and deleted together. Its status is derived from its volumes';
-- `fault` is an administrator's word.
create table volume_group (
  id uuid primary key,
  project_id uuid not null references project,
  user_id uuid not null,
  name text not null default '',
  description text,
  group_type_id uuid not null references group_type,
  volume_type_ids uuid[] not null,            -- of which its volumes may be
  availability_zone text,
  source_group_id uuid,                       -- no references: what it was made from may be gone
  source_group_snapshot_id uuid,
  fault jsonb,
  generation bigint not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index volume_group_project on volume_group (project_id, created_at, id);
create trigger volume_group_change after insert or update or delete on volume_group
  for each row execute function append_change('volume_group');
alter table volume add column group_id uuid references volume_group;
create index volume_of_group on volume (group_id) where group_id is not null;

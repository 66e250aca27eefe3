-- What a volume was at a moment: a layer that nobody writes to any more.
create table volume_snapshot (
  id uuid primary key,
  project_id uuid not null references project,
  user_id uuid not null,
  volume_id uuid not null references volume,
  layer_id uuid references volume_layer,
  name text not null default '',
  description text,
  size_gib integer not null,
  consumes_quota boolean not null default true,
  metadata jsonb not null default '{}',
  desired_presence text not null default 'present' check (desired_presence in ('present', 'absent')),
  generation bigint not null default 1,
  fault jsonb,
  ready_at timestamptz,                       -- since when its content is final
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index volume_snapshot_project on volume_snapshot (project_id, created_at, id);
create index volume_snapshot_volume on volume_snapshot (volume_id);
create index volume_snapshot_layer on volume_snapshot (layer_id);
create trigger volume_snapshot_change after insert or update or delete on volume_snapshot
  for each row execute function append_change('volume_snapshot', 'id', '=ready_at');

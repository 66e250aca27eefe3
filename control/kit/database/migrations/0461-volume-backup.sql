-- A file in a host's directory for backups, with what its volume was. It outlives the volume, so what it needs of that is kept here.
create table backup (
  id uuid primary key,
  project_id uuid not null references project,
  user_id uuid not null,
  name text not null default '',
  description text,
  volume_id uuid not null,                    -- of which it was made; no reference: it outlives it
  snapshot_id uuid,                           -- of this snapshot of it; no reference either
  parent_id uuid references backup,           -- it holds what differs from that one; null: all
  size_gib integer not null,
  volume jsonb not null,                      -- {"name", "description", "bootable", "metadata", "image_metadata"} as they were
  metadata jsonb not null default '{}',
  container text,                             -- kept for whoever named it
  availability_zone text,
  host_id uuid references host on delete set null, -- in whose directory it is
  file_name text not null,
  file_bytes bigint,                          -- this and the digest are known once it is made
  sha256 text,
  layer_id uuid,                              -- of which it is being made; null: of none any more
  data_at timestamptz not null default now(), -- what it holds is of this moment
  desired_presence text not null default 'present' check (desired_presence in ('present', 'absent')),
  generation bigint not null default 1,
  fault jsonb,                                -- {"code", "message", "generation", "status"}
  ready_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index backup_project on backup (project_id, created_at, id);
create index backup_volume on backup (volume_id, data_at);
create index backup_parent on backup (parent_id) where parent_id is not null;
create index backup_file on backup (file_name);
create trigger backup_change after insert or update or delete on backup for each row execute function append_change('backup');

-- Which volumes are being made of a backup.
create index volume_restoring on volume ((desired_task ->> 'backup_id')) where desired_task ->> 'kind' = 'restore';

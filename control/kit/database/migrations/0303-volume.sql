-- A volume. Its status is derived: from what is desired, from its top layer, its attachments, and the task that holds it.
create table volume (
  id uuid primary key,
  project_id uuid not null references project,
  user_id uuid not null,
  name text not null default '',
  description text,
  size_gib integer not null check (size_gib > 0),
  volume_type_id uuid not null references volume_type,
  availability_zone text,                     -- as asked; the host's own counts once placed
  host_id uuid references host,               -- null: not placed yet
  pool_id uuid references storage_pool,
  layer_id uuid references volume_layer,      -- its top
  bootable boolean not null default false,
  read_only boolean not null default false,
  multiattach boolean not null default false,
  consumes_quota boolean not null default true,
  metadata jsonb not null default '{}',
  image_metadata jsonb,                       -- of the image that it was made from, as it was
  source_volume_id uuid,                      -- no references: what it was made from may be gone
  source_snapshot_id uuid,
  source_image_id uuid,
  desired_task jsonb,                         -- {"kind", ...}: the one thing that holds it: extend, upload, back up, restore, revert, …
  desired_presence text not null default 'present' check (desired_presence in ('present', 'absent')),
  generation bigint not null default 1,
  fault jsonb,                                -- {"code", "message", "generation"}
  launched_at timestamptz,                    -- when it was first available
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index volume_project on volume (project_id, created_at, id);
create index volume_layer_of on volume (layer_id);
create index volume_pool on volume (pool_id);
create index volume_type_of on volume (volume_type_id);
create index volume_host on volume (host_id);
create trigger volume_change after insert or update or delete on volume
  for each row execute function append_change('volume', 'id', '=launched_at');

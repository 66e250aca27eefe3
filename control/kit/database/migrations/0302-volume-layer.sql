-- A file of a volume's content on a host; see contract/host/layer.ts. It becomes absent when no volume, snapshot or layer needs it any
-- more, and its row goes when the host has said that nothing is left.
create table volume_layer (
  id uuid primary key,
  volume_id uuid not null,                    -- of which it was made; no reference: clones outlive their source
  host_id uuid not null references host,
  pool_id uuid not null references storage_pool,
  parent_id uuid references volume_layer,     -- what it builds on: a layer of the same host, or
  image_id uuid,                              -- an image (no reference: the host keeps its bytes as long as a layer needs them)
  image jsonb,                                -- {"format", "size_bytes", "sha256"} as they were
  size_bytes bigint not null check (size_bytes > 0),
  read_only boolean not null default false,
  desired_source jsonb,                       -- {"backup_id", "name", "sha256"}: where its content comes from, until it is ready
  desired_captures jsonb not null default '[]', -- [{"image_id", "format"}]: images that are being made of it
  desired_backups jsonb not null default '[]',  -- [{"id", "name", "parent_name"}]: backups that are being made of it
  desired_presence text not null default 'present' check (desired_presence in ('present', 'absent')),
  epoch bigint not null default 1,
  generation bigint not null default 1,
  observed_epoch bigint not null default 0,
  observed_generation bigint not null default 0,
  observed_state text not null default 'none' check (observed_state in ('none', 'building', 'ready', 'absent', 'failed')),
  observed_size_bytes bigint not null default 0,
  observed_allocated_bytes bigint not null default 0,
  observed_step text,
  observed_error jsonb,                       -- {"code", "message"}
  observed_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  check (parent_id is null or image_id is null)
);
create index volume_layer_host on volume_layer (host_id, id);
create index volume_layer_pool on volume_layer (pool_id) where desired_presence = 'present';
create index volume_layer_parent on volume_layer (parent_id) where parent_id is not null;
create index volume_layer_image on volume_layer (image_id) where image_id is not null;
create trigger volume_layer_change after insert or update or delete on volume_layer
  for each row execute function append_change('volume_layer', 'id', '~observed_step', '~observed_at', '~observed_allocated_bytes',
    '=observed_epoch', '=observed_generation', '=observed_state', '=observed_size_bytes', '=observed_error');

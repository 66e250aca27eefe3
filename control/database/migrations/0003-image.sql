create table image (
  id uuid primary key,
  project_id uuid not null,
  name text,
  visibility text not null default 'shared' check (visibility in ('public', 'private', 'shared', 'community')),
  status text not null default 'queued'
    check (status in ('queued', 'saving', 'active', 'killed', 'deactivated', 'pending_delete')),
  disk_format text,
  container_format text,
  size_bytes bigint,
  virtual_size_bytes bigint,
  md5 text,
  sha256 text,
  min_disk_gib integer not null default 0,
  min_memory_mib integer not null default 0,
  protected boolean not null default false,
  hidden boolean not null default false,
  owner_properties jsonb not null default '{}',  -- any further property that the owner set
  tags text[] not null default '{}',
  desired_presence text not null default 'present' check (desired_presence in ('present', 'absent')),
  upload_id uuid,                            -- the upload that may write now; another one's end changes nothing
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index image_project on image (project_id, id);
create index image_visible on image (visibility, id);
create trigger image_change after insert or update or delete on image
  for each row execute function append_change('image');

-- Which host holds the bytes.
create table image_location (
  image_id uuid not null references image on delete cascade,
  host_id uuid not null references host,
  created_at timestamptz not null default now(),
  primary key (image_id, host_id)
);

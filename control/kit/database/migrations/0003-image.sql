create table image (
  id uuid primary key,
  project_id uuid not null references project,
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
  generation bigint not null default 1,      -- raised by each upload and by deletion
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index image_project on image (project_id, id);
create index image_visible on image (visibility, id);
create trigger image_change after insert or update or delete on image
  for each row execute function append_change('image');

-- The process that relays an upload renews the deadline; past it, the controller takes the upload back. Apart from the image, because a
-- renewal is no event.
create table image_upload (
  upload_id uuid primary key,
  image_id uuid not null unique references image on delete cascade,
  deadline timestamptz not null
);

-- Projects that an image with visibility 'shared' is offered to.
create table image_member (
  image_id uuid not null references image on delete cascade,
  project_id uuid not null,                  -- the member; as in Glance, nobody learns here whether it exists
  status text not null default 'pending' check (status in ('pending', 'accepted', 'rejected')),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (image_id, project_id)
);
create index image_member_project on image_member (project_id, image_id);
create trigger image_member_change after insert or update or delete on image_member
  for each row execute function append_change('image_member', 'image_id');

-- Which host holds the bytes. The row precedes them and outlives them, so there are no bytes without a row.
create table image_location (
  image_id uuid not null references image on delete cascade,
  host_id uuid not null references host,
  created_at timestamptz not null default now(),
  primary key (image_id, host_id)
);
create index image_location_host on image_location (host_id);

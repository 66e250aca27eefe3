-- Containers, S3's buckets.
create table container (
  id uuid primary key,
  project_id uuid not null references project,
  name text collate "C" not null,
  bucket_name text collate "C", -- its name as the whole cloud knows it; null: another container's, or none that S3 takes
  metadata jsonb not null default '{}',
  read_acl text not null default '',
  write_acl text not null default '',
  versioning text not null default 'none' check (versioning in ('none', 'enabled', 'suspended')),
  quota_bytes bigint,
  quota_objects bigint,
  settings jsonb not null default '{}',
  generation bigint not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (project_id, name)
);
create unique index container_bucket_name on container (bucket_name);
create trigger container_change after insert or update or delete on container
  for each row execute function append_change('container');

-- What is in it, in a row of its own: objects come and go by the thousand, and the change log shall not hear of each. Whoever changes a container's content, or the
-- container itself, holds it.
create table container_use (
  container_id uuid primary key references container on delete cascade,
  objects bigint not null default 0,       -- that are listed
  bytes bigint not null default 0,         -- of these
  past_objects bigint not null default 0,  -- versions that are not, delete markers included
  past_bytes bigint not null default 0,
  upload_bytes bigint not null default 0,  -- of parts of uploads that are not complete
  changed_at timestamptz not null default now()
) with (fillfactor = 50);

insert into quota (id, resource, maximum)
  values (gen_random_uuid(), 'containers', -1), (gen_random_uuid(), 'objects', -1), (gen_random_uuid(), 'object_bytes', -1) on conflict do nothing;

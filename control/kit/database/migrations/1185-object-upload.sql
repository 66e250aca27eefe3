-- Objects that are uploaded in parts, until they are complete.
create table object_upload (
  id uuid primary key,
  container_id uuid not null,
  name text collate "C" not null,
  wish jsonb not null, -- what the object shall be
  initiator_id text not null default '',
  created_at timestamptz not null default now()
);
create index object_upload_name on object_upload (container_id, name, id);
create index object_upload_time on object_upload (created_at);

create table object_upload_part (
  upload_id uuid not null references object_upload on delete cascade,
  number integer not null check (number between 1 and 10000),
  blob_id uuid,
  size_bytes bigint not null,
  etag text not null,
  checksums jsonb,
  created_at timestamptz not null default now(),
  primary key (upload_id, number)
);

-- Objects: a row a version. No foreign keys on the hot tables: their container's use, held by whoever writes here, is what keeps them together (control/object/README.md).
create sequence object_sequence;
create table object (
  container_id uuid not null,
  name text collate "C" not null,
  sequence bigint not null default nextval('object_sequence'), -- newer versions have higher ones
  id uuid not null,
  current boolean not null,        -- the newest, and no delete marker
  null_version boolean not null,   -- made while nobody wanted versions: the next one made so replaces it
  delete_marker boolean not null default false,
  size_bytes bigint not null,
  etag text not null,              -- MD5 in hex; of what was made of parts it holds a '-'
  content_type text not null,
  metadata jsonb,
  headers jsonb,
  checksums jsonb,
  tags jsonb,
  lock jsonb,
  manifest jsonb,
  blob_id uuid,                    -- null: nothing, or in parts, or elsewhere by its manifest
  parts integer not null default 0,
  owner_id text not null default '',
  expires_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (container_id, name, sequence)
);
create unique index object_current on object (container_id, name) where current;
create unique index object_past_null on object (container_id, name) where null_version and not current;
create index object_expires on object (expires_at) where expires_at is not null;

-- A copy of a blob.
create table object_blob (
  id uuid not null,
  disk_id uuid not null,
  intent_id uuid not null,
  file text not null,
  offset_bytes bigint not null,
  length bigint not null,
  primary key (id, disk_id)
);
create index object_blob_file on object_blob (intent_id, disk_id, file);
create index object_blob_disk on object_blob (disk_id, id);

create table object_part (
  object_id uuid not null,
  number integer not null,
  blob_id uuid, -- null: no bytes
  size_bytes bigint not null,
  etag text not null,
  checksums jsonb,
  primary key (object_id, number)
);

-- Blobs that no object names any more; their bytes go some time after, for somebody may be reading.
create table object_removal (
  blob_id uuid primary key,
  removed_at timestamptz not null default now()
);
create index object_removal_time on object_removal (removed_at);

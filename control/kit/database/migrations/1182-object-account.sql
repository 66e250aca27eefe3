-- What a project has in the object store: a row from its first container on. Counters are exact: written in the transaction that changes what they count, under
-- this row's lock, which comes before those of containers.
create table object_account (
  project_id uuid primary key references project on delete cascade,
  metadata jsonb not null default '{}',
  quota_bytes bigint,
  containers bigint not null default 0,
  objects bigint not null default 0, -- those that are listed
  bytes bigint not null default 0,   -- of all versions and parts
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

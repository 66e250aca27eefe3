-- Where volumes may lie: a pool of a host, as the host says it. A host that no longer names one keeps what is in it; `problem` says so.
create table storage_pool (
  id uuid primary key,
  host_id uuid not null references host on delete cascade,
  name text not null,
  tier text not null check (tier in ('ram', 'flash', 'disk')),
  kind text not null check (kind in ('directory', 'file-system', 'block-device')),
  total_bytes bigint not null,
  free_bytes bigint not null,
  problem text,
  disabled boolean not null default false,
  disabled_reason text,
  generation bigint not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (host_id, name)
);
create trigger storage_pool_change after insert or update or delete on storage_pool
  for each row execute function append_change('storage_pool', 'id', '~free_bytes');

-- What the cache of a volume has done, added up from what its hosts say, see control/storage/cache-use/README.md. No event: it is progress.
create table volume_cache_use (
  volume_id uuid primary key references volume on delete cascade,
  seen jsonb,
  reads bigint not null default 0,
  misses bigint not null default 0,
  promoted_bytes bigint not null default 0,
  sunk_bytes bigint not null default 0,
  warmings bigint not null default 0,
  last_warming_ms bigint,
  generations bigint not null default 0,
  again_bytes bigint[] not null default '{}',
  fresh_bytes bigint not null default 0,
  updated_at timestamptz not null default now()
);

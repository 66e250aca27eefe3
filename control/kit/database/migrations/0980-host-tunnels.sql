-- What each host has found out of its tunnels to the others, by frames that they send back: a row a host, which names only what is wrong. A note of
-- what is, beside the host's own row: no event, and no reason to read all of the host anew.
create table host_tunnels (
  host_id uuid primary key references host on delete cascade,
  peers integer not null check (peers >= 0),
  tried integer not null check (tried >= 0),
  -- How old the oldest try was when it was said; null: there was none.
  oldest_ms bigint,
  -- [{"host_id", "address", "fault"}], not all where they are many.
  broken jsonb not null default '[]',
  faults integer not null check (faults >= 0),
  said_at timestamptz not null default now(),
  -- Since when it has been so but for the tries' age: what a proof before that rests on.
  changed_in xid8 not null default pg_current_xact_id()
);
create index host_tunnels_broken on host_tunnels (host_id) where faults > 0;

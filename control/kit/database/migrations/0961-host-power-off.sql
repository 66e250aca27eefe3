-- A host that is lost is turned off by its BMC: once for each silence (`silent_since` is host.last_seen_at as it was), written down before it is asked. Any control
-- process goes on with one whose `next_at` has come. `off_at` is when the machine was last seen to be off, by the clock of the database.
create table host_power_off (
  id uuid primary key,
  host_id uuid not null references host on delete cascade,
  silent_since timestamptz not null,
  next_at timestamptz not null default now(),
  -- how often it was asked for, the last time, and what was said to that
  asked integer not null default 0,
  asked_at timestamptz,
  said text,
  system text,
  label text,
  off_at timestamptz,
  error text,
  -- heard: the host was there again; contradicted: and had been there all the time that it was said to be off
  ended text check (ended in ('heard', 'contradicted')),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (host_id, silent_since)
);
create index host_power_off_open on host_power_off (host_id) where ended is null;
create trigger host_power_off_change after insert or update or delete on host_power_off
  for each row execute function append_change('host_power_off', 'id', '~next_at', '~off_at');

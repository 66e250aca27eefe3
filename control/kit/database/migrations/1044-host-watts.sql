-- What each host's machine takes, as it was measured last, and by whom: its BMC, or the energy counters of its processors (RAPL). Progress, no event: nothing of it is in the change log.
create table host_watts (
  host_id uuid primary key references host on delete cascade,
  -- null: nobody can say
  watts integer check (watts >= 0),
  source text check (source in ('bmc', 'rapl')),
  measured_at timestamptz,
  next_at timestamptz not null default now(),
  check ((watts is null) = (source is null))
) with (fillfactor = 50);
create index host_watts_next on host_watts (next_at);

-- Hosts that belong together, for administrators; those of an aggregate with a zone are in that zone (host.availability_zone, which
-- the aggregates' service alone writes, so that placement reads one column).
create table aggregate (
  id uuid primary key,
  -- What Nova's API knows it by.
  number integer generated always as identity unique,
  name text not null unique,
  availability_zone text,
  metadata jsonb not null default '{}',
  generation bigint not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create trigger aggregate_change after insert or update or delete on aggregate
  for each row execute function append_change('aggregate');
create table aggregate_host (
  -- Without cascade: people take the hosts out first.
  aggregate_id uuid not null references aggregate,
  host_id uuid not null references host on delete cascade,
  primary key (aggregate_id, host_id)
);
create index aggregate_host_host on aggregate_host (host_id);

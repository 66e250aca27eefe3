-- A host that the cloud has emptied, and switched off by its BMC, while nobody needs it; the row ends when it is there again. What shall be is `desired`; any control process takes the next step
-- of a row whose `next_at` has come. The host is in maintenance of the cause `consolidation` for as long.
create table host_standby (
  host_id uuid primary key references host on delete cascade,
  desired text not null default 'standby' check (desired in ('standby', 'awake')),
  -- why it was emptied, and why it shall be awake
  reason text not null,
  wake_reason text,
  next_at timestamptz not null default now(),
  -- to shut down: how often, and when last
  asked integer not null default 0,
  asked_at timestamptz,
  -- its BMC has said so
  off_at timestamptz,
  -- to turn on: since when, how often, and when last
  wake_began_at timestamptz,
  wake_asked integer not null default 0,
  wake_asked_at timestamptz,
  -- it does not come back
  overdue_at timestamptz,
  error text,
  changed_in xid8 not null default pg_current_xact_id(),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create trigger host_standby_change after insert or update or delete on host_standby
  for each row execute function append_change('host_standby', 'host_id', '~changed_in', '~next_at');

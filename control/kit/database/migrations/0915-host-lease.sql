-- The latest moment at which the host may still believe that what it was lent is its own, by the clock of the database: written before it is told.
-- Null: it has never asked, or is of an older protocol. A heartbeat like last_seen_at, and no event.
alter table host add column lease_ends_at timestamptz;
drop trigger host_change on host;
create trigger host_change after insert or delete on host
  for each row execute function append_change('host', 'id', 'changed_in', 'lease_ends_at');
drop trigger host_updated on host;
create trigger host_updated after update on host for each row
  when (to_jsonb(old) - '{last_seen_at,updated_at,changed_in,lease_ends_at}'::text[]
    is distinct from to_jsonb(new) - '{last_seen_at,updated_at,changed_in,lease_ends_at}'::text[])
  execute function append_change('host', 'id', 'changed_in', 'lease_ends_at');

-- A server's way to another host (contract/host/migration.ts): cold, live, or brought back from a host that is lost. `host_id` is the host that
-- it had when the migration began. Beside its owner, at most one host has a document of it, under an epoch of its own: the target until it
-- has taken over, then the source for as long as it keeps the disks.
alter table server_migration
  add column kind text not null default 'resize' check (kind in ('resize', 'migration', 'live-migration', 'evacuation')),
  add column target_host_id uuid references host on delete set null,
  -- under which the target is the owner, once it is
  add column target_epoch bigint,
  -- null: a resize on its own host. What each means: control/compute/server-migration/README.md
  add column phase text check (phase in ('preparing', 'copying', 'handing-over', 'cancelling', 'moved', 'reverting', 'ended')),
  add column other_host_id uuid references host on delete set null,
  add column other_epoch bigint,
  -- what the server is at that host, where that is another size; in the form of server.desired_resize.before
  add column other_size jsonb,
  -- whatever it costs the guest
  add column forced boolean not null default false,
  -- where the target takes the disks and the memory, in its own words
  add column target jsonb,
  -- what both hosts have said last
  add column source_state text,
  add column target_state text,
  add column progress jsonb,
  -- as far as it has come, in bytes, and when that was
  add column reached bigint not null default 0,
  add column reached_at timestamptz,
  add column downtime_ms bigint,
  add column error jsonb,
  drop constraint server_migration_ended_check,
  add constraint server_migration_ended_check check (ended in ('completed', 'confirmed', 'reverted', 'cancelled', 'failed'));

-- A server is on one way at a time.
create unique index server_migration_moving on server_migration (server_id) where phase <> 'ended';
create index server_migration_other on server_migration (other_host_id) where other_host_id is not null;

-- How far it is is no event.
drop trigger server_migration_change on server_migration;
create trigger server_migration_change after insert or update or delete on server_migration
  for each row execute function append_change('server_migration', 'id', '~progress', '~reached', '~reached_at',
    '=source_state', '=target_state', '=downtime_ms');

-- By which both QEMUs know each other; apart, so that no change log has it. Goes when the disks and the memory are there.
create table server_migration_key (
  migration_id uuid primary key references server_migration on delete cascade,
  key text not null
);

-- The way that the server is on: {"migration_id", "kind", "state"}.
alter table server add column desired_move jsonb;

-- Whoever has no document of a server any more is told that it is absent there, as by note_absence.
create function note_migration_absence() returns trigger language plpgsql as $$
begin
  insert into server_absence (host_id, server_id, epoch, generation)
    select old.other_host_id, s.id, old.other_epoch, s.generation from server s
    where s.id = old.server_id and s.host_id is distinct from old.other_host_id
      and exists (select from host where id = old.other_host_id)
    on conflict (host_id, server_id) do update set epoch = excluded.epoch, generation = excluded.generation;
  return null;
end
$$;
create trigger server_migration_left after update of other_host_id on server_migration for each row
  when (old.other_host_id is not null and old.other_host_id is distinct from new.other_host_id) execute function note_migration_absence();

-- The one that has a document again has no absence.
create function forget_migration_absence() returns trigger language plpgsql as $$
begin
  delete from server_absence where host_id = new.other_host_id and server_id = new.server_id;
  return null;
end
$$;
create trigger server_migration_given after insert or update of other_host_id on server_migration for each row
  when (new.other_host_id is not null) execute function forget_migration_absence();

-- With the server all of its hosts are left, not only its owner.
create function leave_migration() returns trigger language plpgsql as $$
begin
  update server_migration set other_host_id = null where server_id = old.id and other_host_id is not null;
  return old;
end
$$;
create trigger server_leaves_migration before delete on server for each row execute function leave_migration();

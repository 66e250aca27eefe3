-- Placement remembers the hosts between its decisions and reads anew only those that changed: in which transaction, says the row. What
-- is not final at one read is at or above its horizon (pg_snapshot_xmin), and comes with the next one.
alter table host add column changed_in xid8 not null default pg_current_xact_id();
alter table host_usage add column changed_in xid8 not null default pg_current_xact_id();

-- A heartbeat alone is no change; of a host that is away the time counts.
create function host_changed_in() returns trigger language plpgsql as $$
begin
  new.changed_in := pg_current_xact_id();
  return new;
end
$$;
create trigger host_changed before update on host for each row
  when ((old.name, old.availability_zone, old.enabled, old.connected, old.vcpus, old.memory_mib, old.disk_gib)
      is distinct from (new.name, new.availability_zone, new.enabled, new.connected, new.vcpus, new.memory_mib, new.disk_gib)
    or (not new.connected and old.last_seen_at is distinct from new.last_seen_at))
  execute function host_changed_in();

-- The mark is no fact of the host.
drop trigger host_change on host;
create trigger host_change after insert or delete on host
  for each row execute function append_change('host', 'id', 'changed_in');
drop trigger host_updated on host;
create trigger host_updated after update on host for each row
  when (to_jsonb(old) - 'last_seen_at' - 'updated_at' - 'changed_in' is distinct from to_jsonb(new) - 'last_seen_at' - 'updated_at' - 'changed_in')
  execute function append_change('host', 'id', 'changed_in');

create or replace function count_host_usage() returns trigger language plpgsql as $$
begin
  if tg_op <> 'INSERT' and old.host_id is not null then
    update host_usage set servers = servers - 1, vcpus = vcpus - old.vcpus, memory_mib = memory_mib - old.memory_mib,
      disk_gib = disk_gib - old.disk_gib, changed_in = pg_current_xact_id() where host_id = old.host_id;
  end if;
  if tg_op <> 'DELETE' and new.host_id is not null then
    insert into host_usage as u (host_id, servers, vcpus, memory_mib, disk_gib)
    values (new.host_id, 1, new.vcpus, new.memory_mib, new.disk_gib)
    on conflict (host_id) do update set servers = u.servers + 1, vcpus = u.vcpus + excluded.vcpus,
      memory_mib = u.memory_mib + excluded.memory_mib, disk_gib = u.disk_gib + excluded.disk_gib,
      changed_in = pg_current_xact_id();
  end if;
  return null;
end
$$;

-- The disks that a server has beside the one with its system: [{"name": "ephemeral0" or "swap", "size_mib", "format", "given"}] in the
-- order in which its guest sees them; given: by the request, so it does not follow the flavor. Servers of before have none, whatever
-- their flavor says. And what they take of their host's disk.
alter table server
  add column local_disks jsonb not null default '[]',
  add column local_gib integer not null default 0;

create or replace function count_host_usage() returns trigger language plpgsql as $$
begin
  if tg_op <> 'INSERT' and old.host_id is not null then
    update host_usage set servers = servers - 1, vcpus = vcpus - old.vcpus, memory_mib = memory_mib - old.memory_mib,
      disk_gib = disk_gib - old.disk_gib - old.local_gib, changed_in = pg_current_xact_id() where host_id = old.host_id;
  end if;
  if tg_op <> 'DELETE' and new.host_id is not null then
    insert into host_usage as u (host_id, servers, vcpus, memory_mib, disk_gib)
    values (new.host_id, 1, new.vcpus, new.memory_mib, new.disk_gib::bigint + new.local_gib)
    on conflict (host_id) do update set servers = u.servers + 1, vcpus = u.vcpus + excluded.vcpus,
      memory_mib = u.memory_mib + excluded.memory_mib, disk_gib = u.disk_gib + excluded.disk_gib,
      changed_in = pg_current_xact_id();
  end if;
  return null;
end
$$;
create or replace trigger server_usage_moved after update of host_id, vcpus, memory_mib, disk_gib, local_gib on server for each row
  when ((old.host_id, old.vcpus, old.memory_mib, old.disk_gib, old.local_gib)
    is distinct from (new.host_id, new.vcpus, new.memory_mib, new.disk_gib, new.local_gib))
  execute function count_host_usage();

-- What each host carries, counted in the transactions that change it. Only the trigger writes it, so it can not differ from the sum over
-- the host's servers; placement reads a row for each host instead of all servers of the cloud.
create table host_usage (
  host_id uuid primary key references host on delete cascade,
  servers integer not null default 0 check (servers >= 0),
  vcpus bigint not null default 0 check (vcpus >= 0),
  memory_mib bigint not null default 0 check (memory_mib >= 0),
  disk_gib bigint not null default 0 check (disk_gib >= 0)
) with (fillfactor = 50);

create function count_host_usage() returns trigger language plpgsql as $$
begin
  if tg_op <> 'INSERT' and old.host_id is not null then
    update host_usage set servers = servers - 1, vcpus = vcpus - old.vcpus, memory_mib = memory_mib - old.memory_mib,
      disk_gib = disk_gib - old.disk_gib where host_id = old.host_id;
  end if;
  if tg_op <> 'DELETE' and new.host_id is not null then
    insert into host_usage as u (host_id, servers, vcpus, memory_mib, disk_gib)
    values (new.host_id, 1, new.vcpus, new.memory_mib, new.disk_gib)
    on conflict (host_id) do update set servers = u.servers + 1, vcpus = u.vcpus + excluded.vcpus,
      memory_mib = u.memory_mib + excluded.memory_mib, disk_gib = u.disk_gib + excluded.disk_gib;
  end if;
  return null;
end
$$;

-- Nobody places or removes between the count and the triggers.
lock table server in share row exclusive mode;
insert into host_usage (host_id, servers, vcpus, memory_mib, disk_gib)
  select host_id, count(*), sum(vcpus), sum(memory_mib), sum(disk_gib) from server where host_id is not null group by host_id;
create trigger server_usage after insert or delete on server for each row execute function count_host_usage();
create trigger server_usage_moved after update of host_id, vcpus, memory_mib, disk_gib on server for each row
  when ((old.host_id, old.vcpus, old.memory_mib, old.disk_gib) is distinct from (new.host_id, new.vcpus, new.memory_mib, new.disk_gib))
  execute function count_host_usage();

-- What a server that is to move has claimed on the host that it goes to, until it is there: then the row goes and the server's own takes
-- its place, in one transaction. What it has on the host that it leaves is counted beside it until then.
create table server_claim (
  server_id uuid primary key references server on delete cascade,
  host_id uuid not null references host on delete cascade,
  vcpus integer not null check (vcpus >= 0),
  memory_mib bigint not null check (memory_mib >= 0),
  disk_gib bigint not null check (disk_gib >= 0),
  created_at timestamptz not null default now()
);
create index server_claim_host on server_claim (host_id);

create function count_claim_usage() returns trigger language plpgsql as $$
begin
  if tg_op <> 'INSERT' then
    update host_usage set vcpus = vcpus - old.vcpus, memory_mib = memory_mib - old.memory_mib, disk_gib = disk_gib - old.disk_gib,
      changed_in = pg_current_xact_id() where host_id = old.host_id;
  end if;
  if tg_op <> 'DELETE' then
    insert into host_usage as u (host_id, vcpus, memory_mib, disk_gib)
    values (new.host_id, new.vcpus, new.memory_mib, new.disk_gib)
    on conflict (host_id) do update set vcpus = u.vcpus + excluded.vcpus, memory_mib = u.memory_mib + excluded.memory_mib,
      disk_gib = u.disk_gib + excluded.disk_gib, changed_in = pg_current_xact_id();
  end if;
  return null;
end
$$;
create trigger server_claim_usage after insert or update or delete on server_claim
  for each row execute function count_claim_usage();

-- A pool of tier ram is memory of its host: what it may take is no guest's. Counted with what the host carries, in the transaction that
-- changes the pool.
create function count_ram_pool() returns trigger language plpgsql as $$
declare
  before bigint := case when tg_op <> 'INSERT' then case when old.tier = 'ram' then ceil(old.total_bytes / 1048576.0) else 0 end else 0 end;
  after bigint := case when tg_op <> 'DELETE' then case when new.tier = 'ram' then ceil(new.total_bytes / 1048576.0) else 0 end else 0 end;
begin
  if before > after then
    update host_usage set memory_mib = memory_mib - (before - after), changed_in = pg_current_xact_id() where host_id = old.host_id;
  elsif after > before then
    insert into host_usage as u (host_id, servers, vcpus, memory_mib, disk_gib) values (new.host_id, 0, 0, after - before, 0)
    on conflict (host_id) do update set memory_mib = u.memory_mib + excluded.memory_mib, changed_in = pg_current_xact_id();
  end if;
  return null;
end
$$;
create trigger storage_pool_ram after insert or delete or update of tier, total_bytes on storage_pool
  for each row execute function count_ram_pool();

insert into host_usage as u (host_id, servers, vcpus, memory_mib, disk_gib)
select host_id, 0, 0, sum(ceil(total_bytes / 1048576.0))::bigint, 0 from storage_pool where tier = 'ram' group by host_id
on conflict (host_id) do update set memory_mib = u.memory_mib + excluded.memory_mib, changed_in = pg_current_xact_id();

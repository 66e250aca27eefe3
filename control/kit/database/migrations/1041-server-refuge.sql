-- The refuge of a server that shall be restarted elsewhere: the host that keeps room for it in case the one that it is on is lost. While it moves it may have two, one for each host.
-- What a host keeps is the most that comes to it by any one loss: losses that do not come together share their room. Only the triggers count it (host_reserve).
create table server_refuge (
  server_id uuid not null references server on delete cascade,
  lost_host_id uuid not null references host on delete cascade,
  refuge_host_id uuid not null references host on delete cascade,
  vcpus integer not null check (vcpus >= 0),
  memory_mib bigint not null check (memory_mib >= 0),
  disk_gib bigint not null check (disk_gib >= 0),
  created_at timestamptz not null default now(),
  primary key (server_id, lost_host_id),
  check (lost_host_id <> refuge_host_id)
);
create index server_refuge_refuge on server_refuge (refuge_host_id, lost_host_id);
create index server_refuge_lost on server_refuge (lost_host_id);

create table host_reserve (
  host_id uuid primary key references host on delete cascade,
  vcpus bigint not null default 0,
  memory_mib bigint not null default 0,
  disk_gib bigint not null default 0,
  changed_in xid8 not null default pg_current_xact_id()
) with (fillfactor = 50);

-- That of the host itself and, where the policy is so, of each failure domain that it is in.
create function losses_of_host(lost uuid) returns setof text language sql stable as $$
  select 'host ' || lost
  union all
  select domain.key || ' ' || domain.value from reserve_policy p, host h, jsonb_each_text(h.failure_domains) domain
    where p.survive = 'domain' and h.id = lost
$$;

create function count_host_reserve(hosts uuid[]) returns void language plpgsql as $$
begin
  insert into host_reserve (host_id) select id from host where id = any(hosts) order by id on conflict do nothing;
  -- In one order, and before the count: that sees what others counted until they let go.
  perform from host_reserve where host_id = any(hosts) order by host_id for no key update;
  update host_reserve k set vcpus = n.vcpus, memory_mib = n.memory_mib, disk_gib = n.disk_gib, changed_in = pg_current_xact_id()
    from (select w.id, coalesce(max(by_loss.vcpus), 0) as vcpus, coalesce(max(by_loss.memory_mib), 0) as memory_mib,
        coalesce(max(by_loss.disk_gib), 0) as disk_gib
      from unnest(hosts) w (id) left join lateral (
        select sum(by_host.vcpus) as vcpus, sum(by_host.memory_mib) as memory_mib, sum(by_host.disk_gib) as disk_gib
        from (select lost_host_id, sum(r.vcpus) as vcpus, sum(r.memory_mib) as memory_mib, sum(r.disk_gib) as disk_gib
          from server_refuge r where r.refuge_host_id = w.id group by lost_host_id) by_host,
          losses_of_host(by_host.lost_host_id) loss
        group by loss) by_loss on true
      group by w.id) n
    where k.host_id = n.id and (k.vcpus, k.memory_mib, k.disk_gib) is distinct from (n.vcpus, n.memory_mib, n.disk_gib);
end
$$;

create function server_refuge_counted() returns trigger language plpgsql as $$
begin
  if exists (select from changed) then
    perform count_host_reserve(array(select distinct refuge_host_id from changed));
  end if;
  return null;
end
$$;
create trigger server_refuge_made after insert on server_refuge referencing new table as changed
  for each statement execute function server_refuge_counted();
create trigger server_refuge_gone after delete on server_refuge referencing old table as changed
  for each statement execute function server_refuge_counted();

-- A server that has left its host needs no room elsewhere for that one's loss.
create function forget_refuge() returns trigger language plpgsql as $$
begin
  delete from server_refuge where server_id = new.id and lost_host_id is distinct from new.host_id;
  return null;
end
$$;
create trigger server_left_host after update of host_id on server for each row
  when (old.host_id is not null and old.host_id is distinct from new.host_id) execute function forget_refuge();

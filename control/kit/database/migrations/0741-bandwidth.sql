-- What the cards of hosts give, by the hosts' word, and what of it is promised. '' is the network that tunnels run over. Only triggers
-- write what is promised.
create table host_bandwidth (
  host_id uuid not null references host on delete cascade,
  physical_network text not null,
  egress_kbps bigint not null default 0,
  ingress_kbps bigint not null default 0,
  used_egress_kbps bigint not null default 0,
  used_ingress_kbps bigint not null default 0,
  primary key (host_id, physical_network)
) with (fillfactor = 50);

-- A host that comes to give less keeps what it has promised, and promises no more: so no check constraint.
create function refuse_bandwidth() returns trigger language plpgsql as $$
begin
  raise exception 'more bandwidth promised than host % gives on network "%"', new.host_id, new.physical_network
    using errcode = 'check_violation', constraint = 'host_bandwidth_room', table = 'host_bandwidth';
end
$$;
create trigger host_bandwidth_room before update on host_bandwidth for each row
  when ((new.used_egress_kbps > old.used_egress_kbps and new.used_egress_kbps > new.egress_kbps)
    or (new.used_ingress_kbps > old.used_ingress_kbps and new.used_ingress_kbps > new.ingress_kbps))
  execute function refuse_bandwidth();

-- What each port with a host is promised: a function of the port's place and of the rules that it keeps to. Only promise_bandwidth writes it.
create table port_bandwidth (
  port_id uuid primary key references port on delete cascade,
  host_id uuid not null references host on delete cascade,
  physical_network text not null,
  egress_kbps bigint not null,
  ingress_kbps bigint not null
);
create index port_bandwidth_host on port_bandwidth (host_id);

create function count_bandwidth() returns trigger language plpgsql as $$
begin
  if tg_op = 'INSERT' then
    insert into host_bandwidth (host_id, physical_network)
      select distinct host_id, physical_network from new_rows on conflict do nothing;
    update host_bandwidth u set used_egress_kbps = used_egress_kbps + d.egress, used_ingress_kbps = used_ingress_kbps + d.ingress
      from (select host_id, physical_network, sum(egress_kbps) as egress, sum(ingress_kbps) as ingress from new_rows group by 1, 2) d
      where u.host_id = d.host_id and u.physical_network = d.physical_network;
  elsif tg_op = 'DELETE' then
    update host_bandwidth u set used_egress_kbps = used_egress_kbps - d.egress, used_ingress_kbps = used_ingress_kbps - d.ingress
      from (select host_id, physical_network, sum(egress_kbps) as egress, sum(ingress_kbps) as ingress from old_rows group by 1, 2) d
      where u.host_id = d.host_id and u.physical_network = d.physical_network;
  else
    insert into host_bandwidth (host_id, physical_network)
      select distinct host_id, physical_network from new_rows on conflict do nothing;
    update host_bandwidth u set used_egress_kbps = used_egress_kbps + d.egress, used_ingress_kbps = used_ingress_kbps + d.ingress
      from (select host_id, physical_network, sum(egress_kbps) as egress, sum(ingress_kbps) as ingress from (
          select host_id, physical_network, egress_kbps, ingress_kbps from new_rows
          union all select host_id, physical_network, -egress_kbps, -ingress_kbps from old_rows) both_rows group by 1, 2) d
      where u.host_id = d.host_id and u.physical_network = d.physical_network and (d.egress, d.ingress) <> (0, 0);
  end if;
  return null;
end
$$;
create trigger port_bandwidth_made after insert on port_bandwidth referencing new table as new_rows
  for each statement execute function count_bandwidth();
create trigger port_bandwidth_changed after update on port_bandwidth referencing old table as old_rows new table as new_rows
  for each statement execute function count_bandwidth();
create trigger port_bandwidth_gone after delete on port_bandwidth referencing old table as old_rows
  for each statement execute function count_bandwidth();

-- Whoever changes rules holds their policy, whoever changes a network's policy the network: so neither is missed by a port that is given a
-- host at the same time, nor it by them. What a port sends and receives passes its network's cards; the cloud's own ports promise nothing.
create function promise_bandwidth(ids uuid[]) returns void language plpgsql as $$
begin
  perform from network where id in (select network_id from port where id = any(ids)) order by id for key share;
  perform from qos_policy where id in (
      select coalesce(p.qos_policy_id, n.qos_policy_id) from port p join network n on n.id = p.network_id where p.id = any(ids))
    order by id for key share;
  delete from port_bandwidth b where b.port_id = any(ids) and not exists (
    select from port p join network n on n.id = p.network_id
      join qos_rule r on r.qos_policy_id = coalesce(p.qos_policy_id, n.qos_policy_id) and r.kind = 'minimum_bandwidth'
    where p.id = b.port_id and p.host_id is not null and p.device_owner not like 'network:%');
  insert into port_bandwidth as b (port_id, host_id, physical_network, egress_kbps, ingress_kbps)
    select p.id, p.host_id, coalesce(n.provider_physical_network, ''), coalesce(sum(r.min_kbps) filter (where r.direction = 'egress'), 0),
      coalesce(sum(r.min_kbps) filter (where r.direction = 'ingress'), 0)
    from port p join network n on n.id = p.network_id
      join qos_rule r on r.qos_policy_id = coalesce(p.qos_policy_id, n.qos_policy_id) and r.kind = 'minimum_bandwidth'
    where p.id = any(ids) and p.host_id is not null and p.device_owner not like 'network:%'
    group by p.id, n.id order by p.host_id, 3
    on conflict (port_id) do update set host_id = excluded.host_id, physical_network = excluded.physical_network,
      egress_kbps = excluded.egress_kbps, ingress_kbps = excluded.ingress_kbps
    where (b.host_id, b.physical_network, b.egress_kbps, b.ingress_kbps)
      is distinct from (excluded.host_id, excluded.physical_network, excluded.egress_kbps, excluded.ingress_kbps);
end
$$;

create function promise_port_bandwidth() returns trigger language plpgsql as $$
begin
  perform promise_bandwidth(array[new.id]);
  return null;
end
$$;
create trigger port_bandwidth_placed after insert on port for each row when (new.host_id is not null)
  execute function promise_port_bandwidth();
create trigger port_bandwidth_moved after update of host_id, qos_policy_id, device_owner on port for each row
  when ((old.host_id, old.qos_policy_id, old.device_owner like 'network:%')
      is distinct from (new.host_id, new.qos_policy_id, new.device_owner like 'network:%')
    and (old.host_id is not null or new.host_id is not null))
  execute function promise_port_bandwidth();

create function promise_network_bandwidth() returns trigger language plpgsql as $$
begin
  perform promise_bandwidth(array(select id from port where network_id = new.id and qos_policy_id is null and host_id is not null));
  return null;
end
$$;
create trigger port_bandwidth_network after update of qos_policy_id on network for each row
  when (old.qos_policy_id is distinct from new.qos_policy_id) execute function promise_network_bandwidth();

create function promise_policy_bandwidth() returns trigger language plpgsql as $$
declare
  rule qos_rule := case when tg_op = 'DELETE' then old else new end;
begin
  if rule.kind = 'minimum_bandwidth' then
    perform promise_bandwidth(array(
      select id from port where qos_policy_id = rule.qos_policy_id and host_id is not null
      union select p.id from network n join port p on p.network_id = n.id
        where n.qos_policy_id = rule.qos_policy_id and p.qos_policy_id is null and p.host_id is not null));
  end if;
  return null;
end
$$;
create trigger port_bandwidth_rule after insert or update or delete on qos_rule for each row
  execute function promise_policy_bandwidth();

-- A port that lost its host or policy while a rule of that policy changed could be promised its bandwidth again, for good: who changed the
-- rule had read the port as it was. So whoever changes what a port is promised holds the policies that it keeps to, before and after, and who
-- changes rules their own, as before: promises of one policy's ports are written one after the other, and nobody needs the ports themselves.
--
-- The order in which all hold what they need is port, network, policy, host; a host is one lock, whichever of its networks it promises, so that
-- servers with cards on several do not wait for each other in a circle.
create function hold_host_bandwidth(ids uuid[]) returns void language sql as $$
  select pg_advisory_xact_lock(hashtextextended('host_bandwidth ' || id::text, 0))
  from (select distinct id from unnest(ids) as id where id is not null order by id) ordered
$$;

create or replace function count_bandwidth() returns trigger language plpgsql as $$
begin
  if tg_op = 'INSERT' then
    perform hold_host_bandwidth(array(select host_id from new_rows));
    insert into host_bandwidth (host_id, physical_network)
      select distinct host_id, physical_network from new_rows on conflict do nothing;
    update host_bandwidth u set used_egress_kbps = used_egress_kbps + d.egress, used_ingress_kbps = used_ingress_kbps + d.ingress
      from (select host_id, physical_network, sum(egress_kbps) as egress, sum(ingress_kbps) as ingress from new_rows group by 1, 2) d
      where u.host_id = d.host_id and u.physical_network = d.physical_network;
  elsif tg_op = 'DELETE' then
    perform hold_host_bandwidth(array(select host_id from old_rows));
    update host_bandwidth u set used_egress_kbps = used_egress_kbps - d.egress, used_ingress_kbps = used_ingress_kbps - d.ingress
      from (select host_id, physical_network, sum(egress_kbps) as egress, sum(ingress_kbps) as ingress from old_rows group by 1, 2) d
      where u.host_id = d.host_id and u.physical_network = d.physical_network;
  else
    perform hold_host_bandwidth(array(select host_id from new_rows union select host_id from old_rows));
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

-- Who calls it holds what is said above but for the hosts.
create or replace function promise_bandwidth(ids uuid[]) returns void language plpgsql as $$
begin
  perform hold_host_bandwidth(array(select host_id from port where id = any(ids)
    union select host_id from port_bandwidth where port_id = any(ids)));
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

create or replace function promise_port_bandwidth() returns trigger language plpgsql as $$
declare
  wanted uuid;
  had uuid;
begin
  -- Held, so that who changes the network's policy meanwhile waits, and finds the port where it is.
  select coalesce(new.qos_policy_id, qos_policy_id), coalesce(old.qos_policy_id, qos_policy_id) into wanted, had
    from network where id = new.network_id for key share;
  if wanted is null and had is null then
    return null;
  end if;
  perform from qos_policy where id in (wanted, had) order by id for key share;
  if wanted is not null and new.host_id is not null then
    perform promise_bandwidth(array[new.id]);
  else
    delete from port_bandwidth where port_id = new.id;
  end if;
  return null;
end
$$;

create or replace function promise_network_bandwidth() returns trigger language plpgsql as $$
begin
  perform from qos_policy where id in (old.qos_policy_id, new.qos_policy_id) order by id for key share;
  perform promise_bandwidth(array(select id from port where network_id = new.id and qos_policy_id is null and host_id is not null));
  return null;
end
$$;

-- Not by reference: who changes a rule would wait for every port that somebody holds, who may wait for the policy.
alter table port_bandwidth drop constraint port_bandwidth_port_id_fkey;
create function withdraw_port_bandwidth() returns trigger language plpgsql as $$
begin
  perform from qos_policy where id = coalesce(old.qos_policy_id, (select qos_policy_id from network where id = old.network_id for key share))
    for key share;
  delete from port_bandwidth where port_id = old.id;
  return null;
end
$$;
create trigger port_bandwidth_withdrawn after delete on port for each row when (old.host_id is not null)
  execute function withdraw_port_bandwidth();

-- What was promised to nobody by that race is given back.
delete from port_bandwidth b where not exists (
  select from port p join network n on n.id = p.network_id
    join qos_rule r on r.qos_policy_id = coalesce(p.qos_policy_id, n.qos_policy_id) and r.kind = 'minimum_bandwidth'
  where p.id = b.port_id and p.host_id = b.host_id);

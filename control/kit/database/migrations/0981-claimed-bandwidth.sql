-- A server that is to move claims on the host that it goes to what its ports are promised at least, too: counted with what that host's cards have promised, by the same
-- room, and given back with the claim. The numbers are those of the claim, whatever its rules say since.
alter table server_claim add column bandwidth jsonb;

create function count_claim_bandwidth() returns trigger language plpgsql as $$
begin
  if tg_op <> 'INSERT' and old.bandwidth is not null then
    perform hold_host_bandwidth(array[old.host_id]);
    update host_bandwidth u set used_egress_kbps = used_egress_kbps - b.egress_kbps, used_ingress_kbps = used_ingress_kbps - b.ingress_kbps
      from jsonb_to_recordset(old.bandwidth) as b (physical_network text, egress_kbps bigint, ingress_kbps bigint)
      where u.host_id = old.host_id and u.physical_network = b.physical_network;
  end if;
  if tg_op <> 'DELETE' and new.bandwidth is not null then
    perform hold_host_bandwidth(array[new.host_id]);
    insert into host_bandwidth (host_id, physical_network)
      select new.host_id, b.physical_network from jsonb_to_recordset(new.bandwidth) as b (physical_network text) on conflict do nothing;
    update host_bandwidth u set used_egress_kbps = used_egress_kbps + b.egress_kbps, used_ingress_kbps = used_ingress_kbps + b.ingress_kbps
      from jsonb_to_recordset(new.bandwidth) as b (physical_network text, egress_kbps bigint, ingress_kbps bigint)
      where u.host_id = new.host_id and u.physical_network = b.physical_network;
  end if;
  return null;
end
$$;
create trigger server_claim_bandwidth after insert or update or delete on server_claim
  for each row execute function count_claim_bandwidth();

-- A guest that has come to a host runs there, whatever the host's cards have promised meanwhile: it is counted where it is. Who brings it there
-- says so (control/compute/server/migrating.ts); nothing else may promise more than a host gives.
drop trigger host_bandwidth_room on host_bandwidth;
create trigger host_bandwidth_room before update on host_bandwidth for each row
  when (((new.used_egress_kbps > old.used_egress_kbps and new.used_egress_kbps > new.egress_kbps)
      or (new.used_ingress_kbps > old.used_ingress_kbps and new.used_ingress_kbps > new.ingress_kbps))
    and coalesce(current_setting('bothy.carried', true), '') <> 'yes')
  execute function refuse_bandwidth();

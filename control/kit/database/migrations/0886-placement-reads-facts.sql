-- Placement reads of hosts also what their bridges carry and what their guests can be.
drop trigger host_changed on host;
create trigger host_changed before update on host for each row
  when ((old.name, old.availability_zone, old.enabled, old.connected, old.forced_down, old.vcpus, old.memory_mib, old.disk_gib,
        old.physical_networks, old.facts)
      is distinct from (new.name, new.availability_zone, new.enabled, new.connected, new.forced_down, new.vcpus, new.memory_mib, new.disk_gib,
        new.physical_networks, new.facts)
    or (not new.connected and old.last_seen_at is distinct from new.last_seen_at))
  execute function host_changed_in();

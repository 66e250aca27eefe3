-- What a card carries goes with it.
create or replace function move_subports() returns trigger language plpgsql as $$
begin
  update port p set host_id = new.host_id, binding_host = new.binding_host, migrating_to = new.migrating_to, generation = p.generation + 1,
    updated_at = now()
  from trunk t join subport s on s.trunk_id = t.id where t.port_id = new.id and p.id = s.port_id;
  return null;
end
$$;
drop trigger port_moves_subports on port;
create trigger port_moves_subports after update of host_id, binding_host, migrating_to on port for each row
  when (old.host_id is distinct from new.host_id or old.binding_host <> new.binding_host or old.migrating_to is distinct from new.migrating_to)
  execute function move_subports();

-- The host that a port's server is on its live way to (Neutron's `migrating_to`): the port is bound there too, so that the guest is heard where it goes
-- on before anybody has said that it does.
alter table port add column migrating_to uuid references host on delete set null;

create function note_migrating_to() returns trigger language plpgsql as $$
declare
  target uuid := case when new.phase in ('preparing', 'copying', 'handing-over', 'cancelling') then new.other_host_id end;
begin
  update port p set migrating_to = target, generation = p.generation + 1, updated_at = now()
  from server_port sp where sp.server_id = new.server_id and p.id = sp.port_id and p.migrating_to is distinct from target;
  return null;
end
$$;
create trigger server_migration_ports after insert or update of phase, other_host_id on server_migration
  for each row when (new.kind = 'live-migration') execute function note_migrating_to();

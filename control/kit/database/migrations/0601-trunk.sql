-- A port that carries other ports, each with a tag: one card of a guest that is on many networks.
create table trunk (
  id uuid primary key,
  project_id uuid not null references project,
  name text not null default '',
  description text not null default '',
  admin_state_up boolean not null default true,
  port_id uuid not null unique references port,
  tags text[] not null default '{}',
  generation bigint not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index trunk_project on trunk (project_id, id);
create trigger trunk_change after insert or update or delete on trunk
  for each row execute function append_change('trunk');

create table subport (
  port_id uuid primary key references port,
  trunk_id uuid not null references trunk on delete cascade,
  segmentation_type text not null default 'vlan' check (segmentation_type = 'vlan'),
  segmentation_id integer not null check (segmentation_id between 1 and 4094),
  constraint subport_tag unique (trunk_id, segmentation_type, segmentation_id)
);
create trigger subport_change after insert or update or delete on subport
  for each row execute function append_change('subport', 'port_id');

-- A subport is where the port is that carries it, whoever moves that: it has no card of its own.
create function move_subports() returns trigger language plpgsql as $$
begin
  update port p set host_id = new.host_id, binding_host = new.binding_host, generation = p.generation + 1, updated_at = now()
  from trunk t join subport s on s.trunk_id = t.id where t.port_id = new.id and p.id = s.port_id;
  return null;
end
$$;
create trigger port_moves_subports after update of host_id, binding_host on port for each row
  when (old.host_id is distinct from new.host_id or old.binding_host <> new.binding_host) execute function move_subports();

insert into quota (id, resource, maximum) values (gen_random_uuid(), 'trunks', -1) on conflict do nothing;

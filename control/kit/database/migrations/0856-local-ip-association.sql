-- A port that a local IP leads to on the port's host. What names an address of a port goes with it, and so does this.
create table local_ip_association (
  id uuid primary key,
  project_id uuid not null references project,    -- the local IP's
  local_ip_id uuid not null references local_ip on delete cascade,
  network_id uuid not null references network,    -- the local IP's, and the port's
  fixed_port_id uuid not null,
  fixed_ip inet not null,
  created_at timestamptz not null default now(),
  check (family(fixed_ip) = 4),
  foreign key (fixed_port_id, fixed_ip) references port_ip (port_id, ip) on delete cascade
);
create unique index local_ip_association_local_ip_id_fixed_port_id_key on local_ip_association (local_ip_id, fixed_port_id);
create index local_ip_association_port on local_ip_association (fixed_port_id, fixed_ip);
create index local_ip_association_network on local_ip_association (network_id);
create index local_ip_association_project on local_ip_association (project_id, id);
create trigger local_ip_association_change after insert or update or delete on local_ip_association
  for each row execute function append_change('local_ip_association');
create trigger local_ip_association_undecides after insert or delete on local_ip_association
  for each row execute function undecide_reachability();

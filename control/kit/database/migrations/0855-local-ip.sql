-- An address of a network that on each host leads to a port of that host. It is an address of a port, its local port, and goes with it: one that
-- the local IP has for itself, or one that others have at other hosts.
create table local_ip (
  id uuid primary key,
  project_id uuid not null references project,
  network_id uuid not null references network,    -- of the local port
  name text not null default '',
  description text not null default '',
  local_port_id uuid not null,
  local_ip_address inet not null,
  ip_mode text not null default 'translate' check (ip_mode in ('translate', 'passthrough')),
  tags text[] not null default '{}',
  generation bigint not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  check (family(local_ip_address) = 4),
  foreign key (local_port_id, local_ip_address) references port_ip (port_id, ip) on delete cascade
);
create unique index local_ip_local_port_id_local_ip_address_key on local_ip (local_port_id, local_ip_address);
create index local_ip_network on local_ip (network_id);
create index local_ip_project on local_ip (project_id, id);
create trigger local_ip_change after insert or update or delete on local_ip
  for each row execute function append_change('local_ip');
create trigger local_ip_undecides after insert or delete on local_ip
  for each row execute function undecide_reachability();

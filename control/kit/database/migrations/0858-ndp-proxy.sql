-- An IPv6 address of a port for which the gateway of a router answers neighbour solicitations outside. It goes with the address that it names.
create table ndp_proxy (
  id uuid primary key,
  project_id uuid not null references project,
  name text not null default '',
  description text not null default '',
  router_id uuid not null references router,
  port_id uuid not null,
  ip_address inet not null,
  generation bigint not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  check (family(ip_address) = 6),
  foreign key (port_id, ip_address) references port_ip (port_id, ip) on delete cascade
);
create unique index ndp_proxy_router_id_ip_address_key on ndp_proxy (router_id, ip_address);
create index ndp_proxy_port on ndp_proxy (port_id, ip_address);
create index ndp_proxy_project on ndp_proxy (project_id, id);
create trigger ndp_proxy_change after insert or update or delete on ndp_proxy
  for each row execute function append_change('ndp_proxy');

-- Ports of a floating IP that lead each to a port of an address inside. What names an address of a port goes with it, and so does this.
create unique index port_ip_port_ip on port_ip (port_id, ip);
drop index port_ip_port;

create table port_forwarding (
  id uuid primary key,
  project_id uuid not null references project,    -- the floating IP's
  floating_ip_id uuid not null references floating_ip,
  router_id uuid not null references router,      -- the same for all of a floating IP
  protocol text not null check (protocol in ('tcp', 'udp')),
  external_first integer not null check (external_first between 1 and 65535),
  external_last integer not null check (external_last between external_first and 65535),
  port_id uuid not null,
  fixed_ip inet not null,
  internal_first integer not null check (internal_first between 1 and 65535),
  internal_last integer not null check (internal_last between internal_first and 65535),
  description text not null default '',
  generation bigint not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  check (internal_last = internal_first or internal_last - internal_first = external_last - external_first),
  foreign key (port_id, fixed_ip) references port_ip (port_id, ip) on delete cascade
);
create index port_forwarding_floating_ip on port_forwarding (floating_ip_id);
create index port_forwarding_router on port_forwarding (router_id);
create index port_forwarding_port on port_forwarding (port_id, fixed_ip);
create index port_forwarding_project on port_forwarding (project_id, id);
create trigger port_forwarding_change after insert or update or delete on port_forwarding
  for each row execute function append_change('port_forwarding');

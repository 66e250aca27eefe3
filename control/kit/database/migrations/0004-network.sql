create table network (
  id uuid primary key,
  project_id uuid not null references project,
  name text not null default '',
  description text not null default '',
  admin_state_up boolean not null default true,
  shared boolean not null default false,
  external boolean not null default false,
  is_default boolean not null default false,
  port_security_enabled boolean not null default true,
  mtu integer not null default 1442,
  provider_network_type text not null default 'geneve' check (provider_network_type in ('geneve', 'flat', 'vlan', 'local')),
  provider_physical_network text,
  provider_segmentation_id integer,
  dns_domain text not null default '',
  tags text[] not null default '{}',
  generation bigint not null default 1,      -- Neutron's revision_number
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index network_project on network (project_id, id);
create sequence network_segment minvalue 1 maxvalue 16777215 cycle;
create trigger network_change after insert or update or delete on network
  for each row execute function append_change('network');

create table subnet (
  id uuid primary key,
  project_id uuid not null references project,
  network_id uuid not null references network on delete cascade,
  name text not null default '',
  description text not null default '',
  ip_version integer not null check (ip_version in (4, 6)),
  cidr cidr not null,
  gateway_ip inet,
  enable_dhcp boolean not null default true,
  ipv6_address_mode text check (ipv6_address_mode in ('slaac', 'dhcpv6-stateful', 'dhcpv6-stateless')),
  ipv6_ra_mode text check (ipv6_ra_mode in ('slaac', 'dhcpv6-stateful', 'dhcpv6-stateless')),
  allocation_pools jsonb not null default '[]',   -- [{"start": ip, "end": ip}]
  dns_nameservers text[] not null default '{}',
  host_routes jsonb not null default '[]',        -- [{"destination": cidr, "nexthop": ip}]
  service_types text[] not null default '{}',
  tags text[] not null default '{}',
  generation bigint not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index subnet_network on subnet (network_id);
create index subnet_project on subnet (project_id, id);
create trigger subnet_change after insert or update or delete on subnet
  for each row execute function append_change('subnet');

create table port (
  id uuid primary key,
  project_id uuid not null references project,
  network_id uuid not null references network,
  name text not null default '',
  description text not null default '',
  mac macaddr not null,
  admin_state_up boolean not null default true,
  device_id text not null default '',         -- server id, router id, floating ip id …
  device_owner text not null default '',      -- 'compute:nova', 'network:router_interface', 'network:router_gateway', 'network:floatingip', 'network:distributed' (metadata)
  port_security_enabled boolean not null default true,
  allowed_address_pairs jsonb not null default '[]',  -- [{"ip_address", "mac_address"}]
  extra_dhcp_opts jsonb not null default '[]',
  dns_name text not null default '',
  binding_vnic_type text not null default 'normal',
  host_id uuid references host,               -- where it is bound
  binding_host text not null default '',      -- the name a caller wrote into binding:host_id
  -- Set while a server owns the port and made it itself: the port goes when the server goes.
  delete_with_device boolean not null default false,
  observed_up boolean not null default false, -- OVN says that a chassis has it
  tags text[] not null default '{}',
  generation bigint not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (network_id, mac)
);
create index port_project on port (project_id, id);
create index port_network on port (network_id, id);
create index port_device on port (device_id) where device_id <> '';
create trigger port_change after insert or update or delete on port
  for each row execute function append_change('port');

create table port_ip (
  port_id uuid not null references port on delete cascade,
  subnet_id uuid not null references subnet,
  network_id uuid not null,
  ip inet not null,
  position integer not null default 0,        -- order as the caller gave it
  primary key (subnet_id, ip)
);
create index port_ip_port on port_ip (port_id);
create trigger port_ip_change after insert or update or delete on port_ip
  for each row execute function append_change('port_ip', 'port_id');

create table router (
  id uuid primary key,
  project_id uuid not null references project,
  name text not null default '',
  description text not null default '',
  admin_state_up boolean not null default true,
  gateway_network_id uuid references network, -- with its port: device_owner 'network:router_gateway'
  enable_snat boolean not null default true,
  routes jsonb not null default '[]',         -- [{"destination", "nexthop"}]
  tags text[] not null default '{}',
  generation bigint not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index router_project on router (project_id, id);
create trigger router_change after insert or update or delete on router
  for each row execute function append_change('router');

create table floating_ip (
  id uuid primary key,
  project_id uuid not null references project,
  floating_network_id uuid not null references network,
  floating_port_id uuid not null references port,  -- owns the address: device_owner 'network:floatingip'
  floating_ip inet not null,
  port_id uuid references port on delete set null, -- the inside port
  fixed_ip inet,
  router_id uuid references router,
  description text not null default '',
  dns_name text not null default '',
  dns_domain text not null default '',
  tags text[] not null default '{}',
  generation bigint not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (floating_network_id, floating_ip),
  unique (port_id, fixed_ip)
);
create index floating_ip_project on floating_ip (project_id, id);
create trigger floating_ip_change after insert or update or delete on floating_ip
  for each row execute function append_change('floating_ip');

create table security_group (
  id uuid primary key,
  project_id uuid not null references project,
  name text not null,
  description text not null default '',
  stateful boolean not null default true,
  is_default boolean not null default false,
  tags text[] not null default '{}',
  generation bigint not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create unique index security_group_default on security_group (project_id) where is_default;
create index security_group_project on security_group (project_id, id);
create trigger security_group_change after insert or update or delete on security_group
  for each row execute function append_change('security_group');

create table security_group_rule (
  id uuid primary key,
  project_id uuid not null,                   -- the group's
  security_group_id uuid not null references security_group on delete cascade,
  direction text not null check (direction in ('ingress', 'egress')),
  ethertype text not null check (ethertype in ('IPv4', 'IPv6')),
  protocol text,                              -- as the caller wrote it: name or number; null: any
  port_range_min integer,                     -- ICMP: type
  port_range_max integer,                     -- ICMP: code
  remote_group_id uuid references security_group on delete cascade,
  remote_ip_prefix text,                      -- as the caller wrote it: host bits may be set
  normalized_cidr cidr generated always as (network(remote_ip_prefix::inet)) stored,
  description text not null default '',
  generation bigint not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index security_group_rule_group on security_group_rule (security_group_id);
create index security_group_rule_remote on security_group_rule (remote_group_id);
create trigger security_group_rule_change after insert or update or delete on security_group_rule
  for each row execute function append_change('security_group_rule');

create table port_security_group (
  port_id uuid not null references port on delete cascade,
  security_group_id uuid not null references security_group,
  primary key (port_id, security_group_id)
);
create index port_security_group_group on port_security_group (security_group_id);
create trigger port_security_group_change after insert or update or delete on port_security_group
  for each row execute function append_change('port_security_group', 'port_id');

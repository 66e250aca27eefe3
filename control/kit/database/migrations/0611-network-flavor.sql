-- What administrators call kinds of network services, and by what they are made.
create table network_flavor (
  id uuid primary key,
  name text not null default '',
  description text not null default '',
  service_type text not null check (service_type in ('L3_ROUTER_NAT')),
  enabled boolean not null default true,
  generation bigint not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create trigger network_flavor_change after insert or update or delete on network_flavor
  for each row execute function append_change('network_flavor');
create table service_profile (
  id uuid primary key,
  description text not null default '',
  driver text not null default '' check (driver in ('', 'ovn')),
  metainfo text not null default '',
  enabled boolean not null default true,
  generation bigint not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  check (driver <> '' or metainfo <> '')
);
create trigger service_profile_change after insert or update or delete on service_profile
  for each row execute function append_change('service_profile');
create table network_flavor_profile (
  network_flavor_id uuid not null references network_flavor on delete cascade,
  service_profile_id uuid not null references service_profile,
  primary key (network_flavor_id, service_profile_id)
);
create index network_flavor_profile_profile on network_flavor_profile (service_profile_id);
alter table router add column flavor_id uuid references network_flavor;
create index router_flavor on router (flavor_id) where flavor_id is not null;

-- Labels under which the traffic of routers' gateways is counted, and the rules that say which; see control/network/metering-label/README.md.
create table metering_label (
  id uuid primary key,
  project_id uuid not null references project on delete cascade, -- on its routers it counts
  name text not null default '',
  description text not null default '',
  shared boolean not null default false,          -- it counts on everybody's routers
  generation bigint not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index metering_label_project on metering_label (project_id, id);
create index metering_label_shared on metering_label (id) where shared;
create trigger metering_label_change after insert or update or delete on metering_label
  for each row execute function append_change('metering_label');

create table metering_label_rule (
  id uuid primary key,
  metering_label_id uuid not null references metering_label on delete cascade,
  direction text not null check (direction in ('ingress', 'egress')), -- as the network behind the router sees it
  remote_ip_prefix inet,                          -- for all its name that of the side behind the router, as with Neutron
  source_ip_prefix inet,
  destination_ip_prefix inet,
  excluded boolean not null default false,
  check (num_nonnulls(remote_ip_prefix, source_ip_prefix, destination_ip_prefix) >= 1),
  check (remote_ip_prefix is null or num_nonnulls(source_ip_prefix, destination_ip_prefix) = 0),
  check (source_ip_prefix is null or destination_ip_prefix is null or family(source_ip_prefix) = family(destination_ip_prefix))
);
create index metering_label_rule_label on metering_label_rule (metering_label_id);
create trigger metering_label_rule_change after insert or update or delete on metering_label_rule
  for each row execute function append_change('metering_label_rule');

-- Prefixes that subnets are cut from.
create table subnet_pool (
  id uuid primary key,
  project_id uuid not null references project,
  name text not null default '',
  description text not null default '',
  ip_version integer not null check (ip_version in (4, 6)),
  prefixes cidr[] not null,                       -- in order, none within another
  min_prefix_length integer not null,
  max_prefix_length integer not null,
  default_prefix_length integer not null,
  default_quota integer,                          -- for each project: IPv4 addresses, or IPv6 networks of 64 bits
  is_default boolean not null default false,
  shared boolean not null default false,
  address_scope_id uuid references address_scope,
  tags text[] not null default '{}',
  generation bigint not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index subnet_pool_project on subnet_pool (project_id, id);
create index subnet_pool_shared on subnet_pool (id) where shared;
create index subnet_pool_address_scope on subnet_pool (address_scope_id) where address_scope_id is not null;
create unique index subnet_pool_default on subnet_pool (ip_version) where is_default;
create trigger subnet_pool_change after insert or update or delete on subnet_pool
  for each row execute function append_change('subnet_pool');

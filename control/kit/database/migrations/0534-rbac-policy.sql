-- Who may see and use what is another project's. The truth of all sharing: what a resource itself calls shared or external repeats it.
create table rbac_policy (
  id uuid primary key,
  project_id uuid not null references project,    -- whose policy it is; mostly, but not always, whose resource
  network_id uuid references network on delete cascade,
  subnet_pool_id uuid references subnet_pool on delete cascade,
  address_scope_id uuid references address_scope on delete cascade,
  security_group_id uuid references security_group on delete cascade,
  address_group_id uuid references address_group on delete cascade,
  action text not null check (action in ('access_as_shared', 'access_as_external')),
  target_project_id uuid references project on delete cascade, -- null: everybody
  generation bigint not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  check (num_nonnulls(network_id, subnet_pool_id, address_scope_id, security_group_id, address_group_id) = 1),
  check (action = 'access_as_shared' or network_id is not null),
  constraint rbac_policy_once unique nulls not distinct
    (network_id, subnet_pool_id, address_scope_id, security_group_id, address_group_id, action, target_project_id)
);
create index rbac_policy_project on rbac_policy (project_id, id);
create index rbac_policy_target on rbac_policy (target_project_id);
create index rbac_policy_subnet_pool on rbac_policy (subnet_pool_id) where subnet_pool_id is not null;
create index rbac_policy_address_scope on rbac_policy (address_scope_id) where address_scope_id is not null;
create index rbac_policy_security_group on rbac_policy (security_group_id) where security_group_id is not null;
create index rbac_policy_address_group on rbac_policy (address_group_id) where address_group_id is not null;
create trigger rbac_policy_change after insert or update or delete on rbac_policy
  for each row execute function append_change('rbac_policy');

insert into quota (id, resource, maximum) values (gen_random_uuid(), 'rbac_policies', 10) on conflict do nothing;

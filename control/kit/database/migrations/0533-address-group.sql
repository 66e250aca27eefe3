-- Addresses that the rules of security groups name together.
create table address_group (
  id uuid primary key,
  project_id uuid not null references project,
  name text not null default '',
  description text not null default '',
  addresses cidr[] not null default '{}',         -- in order, each once
  shared boolean not null default false,          -- with everybody, by a policy
  tags text[] not null default '{}',
  generation bigint not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index address_group_project on address_group (project_id, id);
create trigger address_group_change after insert or update or delete on address_group
  for each row execute function append_change('address_group');

alter table security_group_rule add column remote_address_group_id uuid references address_group;
create index security_group_rule_address_group on security_group_rule (remote_address_group_id)
  where remote_address_group_id is not null;
alter table security_group add column shared boolean not null default false;

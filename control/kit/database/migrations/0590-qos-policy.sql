-- What may pass ports, floating IPs and gateways, and how it is marked: policies that these name, each with rules.
create table qos_policy (
  id uuid primary key,
  project_id uuid not null references project,
  name text not null default '',
  description text not null default '',
  is_default boolean not null default false,      -- for networks of its project that are made without one
  shared boolean not null default false,          -- with everybody; repeats what rbac_policy says
  tags text[] not null default '{}',
  generation bigint not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index qos_policy_project on qos_policy (project_id, id);
create unique index qos_policy_default on qos_policy (project_id) where is_default;
create trigger qos_policy_change after insert or update or delete on qos_policy
  for each row execute function append_change('qos_policy');

create table qos_rule (
  id uuid primary key,
  qos_policy_id uuid not null references qos_policy on delete cascade,
  kind text not null check (kind in ('bandwidth_limit', 'dscp_marking')),
  direction text not null default 'egress' check (direction in ('ingress', 'egress')), -- as the port's guest sees it
  max_kbps integer check (max_kbps > 0),          -- thousands of bits a second
  max_burst_kbps integer check (max_burst_kbps >= 0), -- thousands of bits; 0: as much as suits the rate
  dscp_mark smallint check (dscp_mark between 0 and 56),
  constraint qos_rule_once unique (qos_policy_id, kind, direction),
  check (kind <> 'bandwidth_limit' or num_nonnulls(max_kbps, max_burst_kbps) = 2),
  check (kind <> 'dscp_marking' or (dscp_mark is not null and direction = 'egress'))
);
create trigger qos_rule_change after insert or update or delete on qos_rule
  for each row execute function append_change('qos_rule');

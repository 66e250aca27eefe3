-- The rules that new security groups begin with: administrators', and no project's. The first four are what was built in before.
create table default_security_group_rule (
  id uuid primary key,
  direction text not null check (direction in ('ingress', 'egress')),
  ethertype text not null check (ethertype in ('IPv4', 'IPv6')),
  protocol text,
  port_range_min integer,
  port_range_max integer,
  remote_ip_prefix text,
  remote_own_group boolean not null default false,
  remote_group_id uuid references security_group on delete cascade,
  remote_address_group_id uuid references address_group,
  description text not null default '',
  used_in_default_group boolean not null default false,
  used_in_other_groups boolean not null default true,
  generation bigint not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  check (not remote_own_group or remote_group_id is null)
);
create index default_security_group_rule_remote_group on default_security_group_rule (remote_group_id)
  where remote_group_id is not null;
create index default_security_group_rule_remote_address_group on default_security_group_rule (remote_address_group_id)
  where remote_address_group_id is not null;
insert into default_security_group_rule
  (id, direction, ethertype, remote_own_group, description, used_in_default_group, used_in_other_groups)
select gen_random_uuid(), direction, ethertype, direction = 'ingress', description, true, direction = 'egress'
from (values ('egress', 'Everything out'), ('ingress', 'In from members of the same group')) as way (direction, description)
cross join (values ('IPv4'), ('IPv6')) as version (ethertype);
create trigger default_security_group_rule_change after insert or update or delete on default_security_group_rule
  for each row execute function append_change('default_security_group_rule');

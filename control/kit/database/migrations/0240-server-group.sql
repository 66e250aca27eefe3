-- Servers of a project that shall run together or apart. A server is in one group at most, from its creation to its end.
create table server_group (
  id uuid primary key,
  project_id uuid not null references project on delete cascade,
  user_id uuid not null,
  name text not null,
  policy text not null check (policy in ('affinity', 'anti-affinity', 'soft-affinity', 'soft-anti-affinity')),
  -- null: one, and nobody named a number
  max_servers_per_host integer check (max_servers_per_host is null or (max_servers_per_host > 0 and policy = 'anti-affinity')),
  generation bigint not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index server_group_project on server_group (project_id, id);
create trigger server_group_change after insert or update or delete on server_group
  for each row execute function append_change('server_group');
-- Servers outlive their group.
alter table server add column server_group_id uuid references server_group on delete set null;
create index server_group_member on server (server_group_id) where server_group_id is not null;
insert into quota (id, resource, maximum)
select gen_random_uuid(), resource, 10 from (values ('server_groups'), ('server_group_members')) as defaults (resource)
on conflict do nothing;

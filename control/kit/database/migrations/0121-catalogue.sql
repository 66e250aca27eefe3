-- The catalogue. What the cloud itself serves is settled at each start from its settings (`builtin`); administrators add more.
create table region (
  id uuid primary key,
  name text not null unique,                -- Keystone's id of a region: whoever makes it may choose it
  parent_id uuid references region,
  description text not null default '',
  extra jsonb not null default '{}'
);
create trigger region_change after insert or update or delete on region
  for each row execute function append_change('region');

create table service (
  id uuid primary key,
  type text not null,
  name text not null default '',
  description text not null default '',
  enabled boolean not null default true,
  builtin boolean not null default false,
  extra jsonb not null default '{}'
);
create trigger service_change after insert or update or delete on service
  for each row execute function append_change('service');

create table endpoint (
  id uuid primary key,
  service_id uuid not null references service on delete cascade,
  region_id uuid references region,
  interface text not null check (interface in ('public', 'internal', 'admin')),
  url text not null,                        -- with $(project_id)s where the token's project goes
  enabled boolean not null default true,
  builtin boolean not null default false,
  extra jsonb not null default '{}'
);
create index endpoint_service on endpoint (service_id);
create trigger endpoint_change after insert or update or delete on endpoint
  for each row execute function append_change('endpoint');

-- Which endpoints a project's catalogue shows; a project with none of these rows sees all.
create table endpoint_group (
  id uuid primary key,
  name text not null,
  description text not null default '',
  filters jsonb not null                    -- of service_id, region_id, interface: those that an endpoint must have
);
create trigger endpoint_group_change after insert or update or delete on endpoint_group
  for each row execute function append_change('endpoint_group');
create table project_endpoint (
  project_id uuid not null references project on delete cascade,
  endpoint_id uuid not null references endpoint on delete cascade,
  primary key (project_id, endpoint_id)
);
create trigger project_endpoint_change after insert or update or delete on project_endpoint
  for each row execute function append_change('project_endpoint', 'project_id');
create table project_endpoint_group (
  project_id uuid not null references project on delete cascade,
  endpoint_group_id uuid not null references endpoint_group on delete cascade,
  primary key (project_id, endpoint_group_id)
);
create trigger project_endpoint_group_change after insert or update or delete on project_endpoint_group
  for each row execute function append_change('project_endpoint_group', 'project_id');

-- Policies are kept for whoever asks for them; nothing here reads them.
create table policy (
  id uuid primary key,
  type text not null,
  blob text not null,
  extra jsonb not null default '{}'
);
create trigger policy_change after insert or update or delete on policy
  for each row execute function append_change('policy');

-- Limits that other services keep here and enforce themselves. Those of what this cloud serves are rows of quota, in every dialect
-- the same, and are told beside these.
create table registered_limit (
  id uuid primary key,
  service_id uuid not null references service on delete cascade,
  region_id uuid references region,
  resource_name text not null,
  default_limit bigint not null check (default_limit >= -1),
  description text,
  unique nulls not distinct (service_id, region_id, resource_name)
);
create trigger registered_limit_change after insert or update or delete on registered_limit
  for each row execute function append_change('registered_limit');

create table own_limit (
  id uuid primary key,
  registered_limit_id uuid not null references registered_limit,
  project_id uuid references project on delete cascade,
  domain_id uuid references domain on delete cascade,
  resource_limit bigint not null check (resource_limit >= -1),
  description text,
  check (num_nonnulls(project_id, domain_id) = 1),
  unique nulls not distinct (registered_limit_id, project_id, domain_id)
);
create index own_limit_project on own_limit (project_id);
create trigger own_limit_change after insert or update or delete on own_limit
  for each row execute function append_change('own_limit');

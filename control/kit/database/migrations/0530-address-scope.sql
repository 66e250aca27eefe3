-- Within one all prefixes are different, so that its subnets reach each other as they are, without translation.
create table address_scope (
  id uuid primary key,
  project_id uuid not null references project,
  name text not null default '',
  ip_version integer not null check (ip_version in (4, 6)),
  shared boolean not null default false,
  generation bigint not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index address_scope_project on address_scope (project_id, id);
create index address_scope_shared on address_scope (id) where shared;
create trigger address_scope_change after insert or update or delete on address_scope
  for each row execute function append_change('address_scope');

-- Definitions of properties, for people who choose them (Glance's metadata definitions).
create table metadef_namespace (
  id uuid primary key,
  project_id uuid not null references project on delete cascade,
  name text not null unique,
  display_name text,
  description text,
  visibility text not null default 'private' check (visibility in ('public', 'private')),
  protected boolean not null default false,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index metadef_namespace_project on metadef_namespace (project_id, id);
create trigger metadef_namespace_change after insert or update or delete on metadef_namespace
  for each row execute function append_change('metadef_namespace');

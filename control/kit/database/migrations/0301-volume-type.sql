-- What a volume is made like. The one that is taken where none is named cannot be removed.
create table volume_type (
  id uuid primary key,
  name text not null unique,
  description text,
  public boolean not null default true,
  extra_specs jsonb not null default '{}',
  generation bigint not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create trigger volume_type_change after insert or update or delete on volume_type
  for each row execute function append_change('volume_type');
create table volume_type_access (
  volume_type_id uuid not null references volume_type on delete cascade,
  project_id uuid not null references project on delete cascade,
  primary key (volume_type_id, project_id)
);
insert into volume_type (id, name, description) values (gen_random_uuid(), '__DEFAULT__', 'Default Volume Type');

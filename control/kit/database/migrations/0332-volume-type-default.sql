-- The type of a project's volumes for which none is named. No trigger: a change raises the type's generation.
create table volume_type_default (
  project_id uuid primary key references project on delete cascade,
  volume_type_id uuid not null references volume_type,
  created_at timestamptz not null default now()
);
create index volume_type_default_type on volume_type_default (volume_type_id);

-- What a group of volumes is made like. As in Cinder nobody can be given one that is not public: it is the administrators'.
create table group_type (
  id uuid primary key,
  name text not null unique,
  description text,
  public boolean not null default true,
  group_specs jsonb not null default '{}',
  generation bigint not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create trigger group_type_change after insert or update or delete on group_type
  for each row execute function append_change('group_type');

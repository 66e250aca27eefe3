-- What a namespace consists of, and which types of resources it is for. What an entry says is its maker's; nothing here reads it.
create table metadef_entry (
  id uuid primary key,
  namespace_id uuid not null references metadef_namespace on delete cascade,
  kind text not null check (kind in ('object', 'property', 'tag', 'resource_type')),
  name text not null,
  body jsonb not null default '{}',
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (namespace_id, kind, name)
);

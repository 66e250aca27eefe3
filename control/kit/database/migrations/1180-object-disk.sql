-- Directories of hosts that objects' bytes lie on. What hosts say of them is in the columns that `observed` names; an administrator's word is the state.
create table object_disk (
  id uuid primary key,
  host_id uuid not null references host,
  name text not null,
  state text not null default 'in_use' check (state in ('in_use', 'draining', 'gone')),
  path text not null default '',
  total_bytes bigint not null default 0,
  free_bytes bigint not null default 0,
  problem text,
  seen_at timestamptz not null default now(),
  generation bigint not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (host_id, name)
);
create trigger object_disk_change after insert or update or delete on object_disk
  for each row execute function append_change('object_disk', 'id', '~seen_at', '~free_bytes', '=total_bytes', '=path', '=problem');

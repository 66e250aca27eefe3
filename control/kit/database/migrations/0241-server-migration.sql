-- A server's way to another size, for administrators; goes with its server. A resize stays on its host.
create table server_migration (
  id uuid primary key,
  -- What Nova's API knows it by.
  number integer generated always as identity unique,
  project_id uuid not null references project on delete cascade,
  -- who asked for it
  user_id uuid not null,
  server_id uuid not null references server on delete cascade,
  -- the generation of the server that began it
  server_generation bigint not null,
  host_id uuid references host on delete set null,
  -- flavors, which may be gone since
  old_flavor_id uuid not null,
  new_flavor_id uuid not null,
  -- null: neither yet, or it failed, which its operation says
  ended text check (ended in ('confirmed', 'reverted')),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index server_migration_server on server_migration (server_id);
create index server_migration_project on server_migration (project_id);
create trigger server_migration_change after insert or update or delete on server_migration
  for each row execute function append_change('server_migration');

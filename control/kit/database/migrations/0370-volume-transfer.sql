-- A volume that its project gives away to whoever shows the key; only a digest of that is kept. It goes with the volume's acceptance.
create table volume_transfer (
  id uuid primary key,
  project_id uuid not null references project, -- who gives it away
  volume_id uuid not null unique references volume on delete cascade,
  name text not null,
  key_salt text not null,
  key_digest text not null,
  with_snapshots boolean not null,
  generation bigint not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index volume_transfer_project on volume_transfer (project_id, created_at, id);
create trigger volume_transfer_change after insert or update or delete on volume_transfer
  for each row execute function append_change('volume_transfer', 'id', 'key_salt', 'key_digest');

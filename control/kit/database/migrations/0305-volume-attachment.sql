-- Who has a volume, or has reserved it: the one row for Cinder's and Nova's API. A local volume is no two machines' at a time.
create table volume_attachment (
  id uuid primary key,
  project_id uuid not null references project,
  volume_id uuid not null unique references volume,
  server_id uuid references server on delete cascade, -- null: a reservation by another machine (Cinder's API)
  mode text not null default 'rw' check (mode in ('rw', 'ro')),
  slot integer,                               -- its place in the server's machine
  device text,
  boot_index integer,
  tag text,
  delete_on_termination boolean not null default false,
  connector jsonb,                            -- of the other machine
  completed_at timestamptz,                   -- when the other machine said that it has it
  desired_presence text not null default 'present' check (desired_presence in ('present', 'absent')),
  generation bigint not null default 1,
  observed_state text check (observed_state in ('attached', 'releasing')), -- null: no guest has it open
  observed_layer_id uuid,
  observed_size_bytes bigint,
  attached_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (server_id, slot)
);
create trigger volume_attachment_change after insert or update or delete on volume_attachment
  for each row execute function append_change('volume_attachment', 'id', '=observed_state', '=observed_layer_id',
    '=observed_size_bytes', '=attached_at');

create table flavor (
  id uuid primary key,
  flavor_id text not null unique,             -- the id that callers see and may choose
  name text not null unique,
  description text,
  vcpus integer not null check (vcpus > 0),
  memory_mib integer not null check (memory_mib > 0),
  disk_gib integer not null check (disk_gib >= 0),
  ephemeral_gib integer not null default 0,
  swap_mib integer not null default 0,
  rxtx_factor real not null default 1,
  public boolean not null default true,
  disabled boolean not null default false,
  extra_specs jsonb not null default '{}',
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create trigger flavor_change after insert or update or delete on flavor
  for each row execute function append_change('flavor');
create table flavor_access (
  flavor_id uuid not null references flavor on delete cascade,
  project_id uuid not null references project on delete cascade,
  primary key (flavor_id, project_id)
);

create table key_pair (
  id uuid primary key,
  user_id uuid not null,
  name text not null,
  type text not null default 'ssh' check (type in ('ssh', 'x509')),
  public_key text not null,
  fingerprint text not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (user_id, name)
);
create trigger key_pair_change after insert or update or delete on key_pair
  for each row execute function append_change('key_pair');

create table server (
  id uuid primary key,
  project_id uuid not null references project,
  user_id uuid not null,
  name text not null,
  description text,
  hostname text not null,
  image_id uuid,                              -- no reference: an image may go while servers made from it stay
  image jsonb,                                -- {"format", "size_bytes", "sha256"} as they were
  flavor_id uuid not null,                    -- ditto; what counts is the snapshot below
  flavor jsonb not null,                      -- the flavor as it was when the server was made or resized
  vcpus integer not null,
  memory_mib integer not null,
  disk_gib integer not null,
  key_name text,
  keys jsonb not null default '[]',           -- [{"name", "public_key", "type"}] as they were
  config_drive boolean not null default false,
  metadata jsonb not null default '{}',
  tags text[] not null default '{}',
  availability_zone text,                     -- as asked; the host's own counts once placed
  requested_host_id uuid,                     -- an administrator's wish; no reference: the host may be gone
  access_ipv4 inet,                           -- Nova's accessIPv4 and accessIPv6: notes of the owner
  access_ipv6 inet,
  locked boolean not null default false,
  locked_by text check (locked_by in ('owner', 'admin')),
  locked_reason text,
  disk_config text not null default 'MANUAL',
  reservation_id text not null,
  launch_index integer not null default 0,

  -- ownership: a host may run the guest only under this epoch
  host_id uuid references host,
  epoch bigint not null default 0,

  -- desired: written by services only
  generation bigint not null default 1,
  desired_presence text not null default 'present' check (desired_presence in ('present', 'absent')),
  desired_power text not null default 'on' check (desired_power in ('on', 'off')),
  desired_reboot_count integer not null default 0,
  desired_reboot_type text not null default 'soft' check (desired_reboot_type in ('soft', 'hard')),

  -- observed: written by reports only (contract/host.ts ObservedServer)
  observed_generation bigint not null default 0,
  observed_state text not null default 'none'
    check (observed_state in ('none', 'building', 'running', 'stopped', 'absent', 'failed')),
  observed_power text check (observed_power in ('on', 'off')),  -- the last 'running' or 'stopped'; null before the first
  observed_reboot_count integer not null default 0,
  observed_started_at timestamptz,
  observed_step text,
  observed_error jsonb,
  observed_at timestamptz,

  -- {"reason", "message", "at", "generation", "details"}: why the last operation failed; null when it did not
  fault jsonb,
  launched_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index server_project on server (project_id, id desc);
-- Placement sums what each host carries from this index alone.
create index server_host on server (host_id) include (vcpus, memory_mib, disk_gib);
create index server_image on server (image_id);
create index server_unserved on server (id) where observed_generation < generation or host_id is null;
-- Deleted servers are rows of the change log (changes-since, deleted=true).
create index change_server_deleted on change (at) where resource_type = 'server' and action = 'deleted';
create trigger server_change after insert or update or delete on server
  for each row execute function append_change('server');

-- User data may be 64 KiB and secret: apart from the row that every change copies.
create table server_user_data (
  server_id uuid primary key references server on delete cascade,
  user_data text not null
);

-- The order of a server's interfaces; the port's device_id is the server's id.
create table server_port (
  server_id uuid not null references server on delete cascade,
  port_id uuid not null references port on delete cascade,
  position integer not null,
  tag text,                                   -- Nova's device tag
  primary key (server_id, port_id)
);
create index server_port_port on server_port (port_id);

-- Volumes come with their own issue; ownership epochs are in the model from the first migration.
create table volume_ownership (
  volume_id uuid primary key,
  host_id uuid references host,
  epoch bigint not null default 0
);

-- The second place of a volume: a chain of layers in a pool of another host, brought up to date by rounds (control/storage/replica). Ids of layers are
-- no references: a layer that is named here is kept by release.ts, and a row of one that went is of nobody's concern.
create table volume_replica (
  volume_id uuid primary key references volume,
  rpo_seconds integer not null check (rpo_seconds > 0), -- what its age shall not exceed
  size_bytes bigint not null check (size_bytes > 0),    -- promised by the pool: as much as the volume may become
  pool_id uuid references storage_pool,                 -- null: none takes it
  source_layer_id uuid,       -- the frozen layer of the volume that the replica is equal to; null: to none yet
  layer_id uuid,              -- of the replica, equal to that one
  as_of timestamptz,          -- the replica holds all that was written until then
  round_began_at timestamptz, -- of the round that is under way: when the volume's top was frozen
  round_source_layer_id uuid, -- what was frozen
  round_layer_id uuid,        -- its copy; null: no copy yet, its guest still writes to what was frozen
  round_full boolean not null default false, -- all of the chain is copied, not what differs
  former_layer_id uuid,       -- after a failover: what the volume held on the host that it had, until there is a replica again
  failed_over_at timestamptz,
  rounds bigint not null default 0,
  last_round_bytes bigint,
  last_round_seconds double precision,
  failures integer not null default 0, -- in a row
  fault jsonb,                -- {"code", "message"}: why there is no newer replica
  late_since timestamptz,     -- it has been older than it shall be since then
  next_at timestamptz default now(),   -- when something is to be done; null: when something was written
  generation bigint not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index volume_replica_pool on volume_replica (pool_id);
create index volume_replica_next on volume_replica (next_at);
create index volume_replica_round on volume_replica (round_began_at) where round_began_at is not null;
create trigger volume_replica_change after insert or update or delete on volume_replica
  for each row execute function append_change('volume_replica', 'volume_id', '~next_at', '~updated_at', '=as_of', '=rounds',
    '=last_round_bytes', '=last_round_seconds', '=round_began_at', '=round_source_layer_id', '=round_layer_id', '=round_full',
    '=source_layer_id', '=layer_id');

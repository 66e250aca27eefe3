-- As quarantined_server (0012), of layers of volumes.
create table quarantined_layer (
  host_id uuid not null references host on delete cascade,
  layer_id uuid not null,
  reason text not null check (reason in ('missing', 'older')),
  since timestamptz not null,
  document jsonb not null,                    -- DesiredLayer, as the host was last told
  primary key (host_id, layer_id)
);

-- What has passed the things of the network, added up from what hosts say, see control/network/meter/README.md. No event: it is progress.
create table meter (
  -- The metered thing's own.
  id uuid primary key,
  port_id uuid unique references port on delete cascade,
  floating_ip_id uuid unique references floating_ip on delete cascade,
  router_id uuid unique references router on delete cascade,
  resource_type text not null generated always as (
    case when port_id is not null then 'port' when floating_ip_id is not null then 'floating_ip' else 'router' end) stored,
  project_id uuid not null references project on delete cascade,
  rx_bytes bigint not null default 0,
  rx_packets bigint not null default 0,
  tx_bytes bigint not null default 0,
  tx_packets bigint not null default 0,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  check (num_nonnulls(port_id, floating_ip_id, router_id) = 1),
  check (id = coalesce(port_id, floating_ip_id, router_id))
);
create index meter_project on meter (project_id, id);

-- What a host said last of each of its counters: the next reading adds what is beyond.
create table meter_reading (
  host_id uuid not null,
  source text not null,
  meter_id uuid not null references meter on delete cascade,
  rx_bytes bigint not null,
  rx_packets bigint not null,
  tx_bytes bigint not null,
  tx_packets bigint not null,
  updated_at timestamptz not null default now(),
  primary key (host_id, source)
);
create index meter_reading_meter on meter_reading (meter_id);

-- What hosts have and this database does not account for, as they last said (contract/host/quarantine.ts). An administrator
-- decides: take it up, or let it be erased. Rows are the hosts' word alone and say nothing of what shall be.
create table quarantined_server (
  host_id uuid not null references host on delete cascade,
  server_id uuid not null,
  reason text not null check (reason in ('missing', 'older', 'unclaimed')),
  since timestamptz not null,
  guest boolean not null,                     -- a QEMU of it runs
  document jsonb,                             -- DesiredServer, as the host was last told; null: it has none
  primary key (host_id, server_id)
);
create index quarantined_server_server on quarantined_server (server_id);
create table quarantined_image (
  host_id uuid not null references host on delete cascade,
  image_id uuid not null,
  format text not null check (format in ('raw', 'qcow2')),
  size_bytes bigint not null,
  virtual_size_bytes bigint not null,
  sha256 text not null,
  md5 text,
  primary key (host_id, image_id)
);

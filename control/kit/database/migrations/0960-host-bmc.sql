-- The service processor (BMC) by which a host is turned off and on, as administrators say it. `sealed` is the password, under the cloud's sealing keys.
-- `contradicted_at`: it said that the machine was off while that was not, and nothing that it says is believed until it is set anew.
create table host_bmc (
  host_id uuid primary key references host on delete cascade,
  url text not null,
  user_name text not null,
  sealed bytea not null,
  fingerprint256 text,
  ca text,
  -- of several systems behind the address which one; null: there is only one
  system text,
  -- a host that is lost is turned off, so that its servers may run elsewhere
  fences boolean not null default true,
  contradicted_at timestamptz,
  generation bigint not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  check ((fingerprint256 is null) <> (ca is null))
);
create trigger host_bmc_change after insert or update or delete on host_bmc
  for each row execute function append_change('host_bmc', 'host_id', 'sealed');

-- The service processor (BMC) by which a host is turned off and on, as administrators say it. `sealed` is the password, under the cloud's sealing keys. What is
-- observed was read from it; `contradicted_at`: it said that the machine was off while that was not, and nothing that it says is believed until it is set anew.
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
  observed_power text,
  observed_system text,
  observed_label text,
  observed_watts integer,
  observed_error text,
  observed_at timestamptz,
  read_at timestamptz not null default '-infinity',
  generation bigint not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  check ((fingerprint256 is null) <> (ca is null))
);
create index host_bmc_read on host_bmc (read_at);
create trigger host_bmc_change after insert or update or delete on host_bmc
  for each row execute function append_change('host_bmc', 'host_id', 'sealed', '~observed_watts', '~observed_at', '~read_at',
    '=observed_power', '=observed_system', '=observed_label', '=observed_error');

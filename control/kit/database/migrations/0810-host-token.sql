-- What one machine may become a host with (docs/decisions/0015-join.md). The secret is its holder's; `used_key_sha256` is of the key that was joined with it.
create table host_token (
  id uuid primary key,
  secret_sha256 text not null unique,
  host_name text,
  expires_at timestamptz not null,
  used_at timestamptz,
  used_by uuid references host on delete set null,
  used_key_sha256 text,
  generation bigint not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  check ((used_at is null) = (used_key_sha256 is null))
);
create index host_token_used_by on host_token (used_by);
create trigger host_token_change after insert or update or delete on host_token
  for each row execute function append_change('host_token', 'id', 'secret_sha256', 'used_key_sha256');

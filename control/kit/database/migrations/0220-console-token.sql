-- Who may open a console: whoever has the token, once, for a while. Kept as its digest, so that a dump opens nothing.
create table console_token (
  digest bytea primary key,
  server_id uuid not null references server on delete cascade,
  kind text not null check (kind in ('serial', 'vnc')),
  created_at timestamptz not null default now(),
  expires_at timestamptz not null
);
create index console_token_server on console_token (server_id);
create index console_token_expiry on console_token (expires_at);

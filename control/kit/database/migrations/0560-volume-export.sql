-- An attachment of a machine outside, by iSCSI: who may log in, and where. It goes with its attachment; no log has its secret.
create table volume_export (
  attachment_id uuid primary key references volume_attachment on delete cascade,
  host_id uuid not null references host,
  port integer not null check (port between 1 and 65535),
  initiator text not null,
  secret_id uuid not null unique,             -- by which the host asks for the secret; it is none
  sealed bytea not null,                      -- of CHAP, under a key that is not in the database
  desired_presence text not null default 'present' check (desired_presence in ('present', 'absent')),
  created_at timestamptz not null default now(),
  unique (host_id, port)
);
-- Once it was to be given to a machine outside: what it holds is final only when its host has said that none has it open.
alter table volume_layer add column exported boolean not null default false;
alter table volume_layer add column observed_export jsonb; -- ObservedExport; null: no machine outside has it open
create index volume_layer_exported on volume_layer (volume_id) where exported;
drop trigger volume_layer_change on volume_layer;
create trigger volume_layer_change after insert or update or delete on volume_layer
  for each row execute function append_change('volume_layer', 'id', '~observed_step', '~observed_at', '~observed_allocated_bytes',
    '~shorten_at', '=observed_epoch', '=observed_generation', '=observed_state', '=observed_size_bytes', '=observed_error',
    '=observed_captures', '=observed_backups', '=observed_export');

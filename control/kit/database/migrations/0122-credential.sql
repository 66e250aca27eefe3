-- Secrets of users that the cloud must be able to read: access keys (EC2, S3), TOTP seeds, and what clients keep here.
create table credential (
  id uuid primary key,
  user_id uuid not null references "user" on delete cascade,
  project_id uuid references project on delete cascade,
  type text not null,
  sealed bytea not null,                    -- the blob, encrypted with a key that is not in the database
  access_hash text unique,                  -- type ec2: SHA-256 of the access key in hexadecimal, to find it by
  extra jsonb not null default '{}',
  created_at timestamptz not null default now()
);
create index credential_user on credential (user_id);
create index credential_project on credential (project_id);
create trigger credential_change after insert or update or delete on credential
  for each row execute function append_change('credential', 'id', 'sealed', 'access_hash');

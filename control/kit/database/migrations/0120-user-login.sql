-- What log-ins leave behind. Apart from "user": a failed log-in is no change of the user, and ends no token.
create table user_login (
  user_id uuid primary key references "user" on delete cascade,
  failures integer not null default 0,      -- wrong proofs since the last right one
  failed_at timestamptz,
  active_on date                            -- the last day on which the user logged in
);
-- Hashes of passwords that were, newest last; secret: no change log.
create table user_password_past (
  id uuid primary key,
  user_id uuid not null references "user" on delete cascade,
  hash text not null
);
create index user_password_past_user on user_password_past (user_id, id);

-- A trustee may act for a trustor in one project with some of the trustor's roles.
create table trust (
  id uuid primary key,
  trustor_user_id uuid not null references "user" on delete cascade,
  trustee_user_id uuid not null references "user" on delete cascade,
  project_id uuid references project on delete cascade,
  -- Whose roles they are: the trustor of the first trust of a chain.
  origin_user_id uuid not null references "user" on delete cascade,
  redelegated_trust_id uuid references trust on delete cascade,
  impersonation boolean not null,
  role_ids uuid[] not null,
  expires_at timestamptz,
  remaining_uses bigint check (remaining_uses >= 0),
  redelegation_count integer not null default 0,
  created_at timestamptz not null default now()
);
create index trust_trustor on trust (trustor_user_id);
create index trust_trustee on trust (trustee_user_id);
create index trust_project on trust (project_id);
create index trust_parent on trust (redelegated_trust_id);
create trigger trust_change after insert or update or delete on trust
  for each row execute function append_change('trust');

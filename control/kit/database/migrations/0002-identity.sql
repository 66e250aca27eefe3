create table domain (
  id uuid primary key,
  name text not null unique,
  description text not null default '',
  enabled boolean not null default true,
  is_default boolean not null default false,  -- the one that callers may also call 'default'
  tags text[] not null default '{}',
  options jsonb not null default '{}',
  extra jsonb not null default '{}',          -- attributes that only callers know, here and below
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create unique index domain_default on domain (is_default) where is_default;
create trigger domain_change after insert or update or delete on domain
  for each row execute function append_change('domain');

create table project (
  id uuid primary key,
  domain_id uuid not null references domain,
  parent_id uuid references project,        -- null: child of the domain itself
  name text not null,
  description text not null default '',
  enabled boolean not null default true,
  tags text[] not null default '{}',
  options jsonb not null default '{}',
  extra jsonb not null default '{}',
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (domain_id, name)
);
create index project_parent on project (parent_id);
-- What belongs to a project references it, here and below: who makes such a row holds the project's key until the end of
-- their transaction, and a deletion waits for them and then finds it. So nothing is ever left without its project.
alter table quota add foreign key (project_id) references project on delete cascade;
create trigger project_change after insert or update or delete on project
  for each row execute function append_change('project');

create table "user" (
  id uuid primary key,
  domain_id uuid not null references domain,
  name text not null,
  description text not null default '',
  email text,
  default_project_id uuid,
  enabled boolean not null default true,
  options jsonb not null default '{}',
  extra jsonb not null default '{}',
  -- Raised by a password change or disabling. A token carries the number that was read together with the password's hash,
  -- and is dead once it differs: no clock decides, and a login that overlaps a password change can't outlive it.
  token_version bigint not null default 0,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (domain_id, name)
);
create trigger user_change after insert or update or delete on "user"
  for each row execute function append_change('user');

-- Secrets live apart, so that no change log row, list or export can carry them.
create table user_password (
  user_id uuid primary key references "user" on delete cascade,
  hash text not null,
  expires_at timestamptz,
  created_at timestamptz not null default now()
);

create table role (
  id uuid primary key,
  name text not null,
  domain_id uuid references domain,
  description text not null default '',
  options jsonb not null default '{}',
  extra jsonb not null default '{}',
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique nulls not distinct (domain_id, name)
);
create trigger role_change after insert or update or delete on role
  for each row execute function append_change('role');

create table role_implication (
  prior_role_id uuid not null references role on delete cascade,
  implied_role_id uuid not null references role on delete cascade,
  primary key (prior_role_id, implied_role_id)
);
create trigger role_implication_change after insert or update or delete on role_implication
  for each row execute function append_change('role_implication', 'prior_role_id');

create table user_group (
  id uuid primary key,
  domain_id uuid not null references domain,
  name text not null,
  description text not null default '',
  extra jsonb not null default '{}',
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (domain_id, name)
);
create trigger user_group_change after insert or update or delete on user_group
  for each row execute function append_change('user_group');

create table user_group_member (
  group_id uuid not null references user_group on delete cascade,
  user_id uuid not null references "user" on delete cascade,
  primary key (group_id, user_id)
);
create index user_group_member_user on user_group_member (user_id);
create trigger user_group_member_change after insert or update or delete on user_group_member
  for each row execute function append_change('user_group_member', 'group_id');

create table role_assignment (
  id uuid primary key,
  role_id uuid not null references role on delete cascade,
  user_id uuid references "user" on delete cascade,
  group_id uuid references user_group on delete cascade,
  project_id uuid references project on delete cascade,
  domain_id uuid references domain on delete cascade,
  system boolean not null default false,
  inherited boolean not null default false,
  check (num_nonnulls(user_id, group_id) = 1),
  check (num_nonnulls(project_id, domain_id) + system::integer = 1),
  unique nulls not distinct (role_id, user_id, group_id, project_id, domain_id, system, inherited)
);
create index role_assignment_user on role_assignment (user_id);
create index role_assignment_group on role_assignment (group_id);
create index role_assignment_project on role_assignment (project_id);
create trigger role_assignment_change after insert or update or delete on role_assignment
  for each row execute function append_change('role_assignment');

create table application_credential (
  id uuid primary key,
  user_id uuid not null references "user" on delete cascade,
  project_id uuid not null references project on delete cascade,
  name text not null,
  description text,
  role_ids uuid[] not null,
  access_rule_ids uuid[],                    -- null: no rules, every request is allowed
  unrestricted boolean not null default false,
  expires_at timestamptz,
  created_at timestamptz not null default now(),
  unique (user_id, name)
);
create trigger application_credential_change after insert or update or delete on application_credential
  for each row execute function append_change('application_credential');
-- A user's rules outlive the credentials that name them (Keystone's habit).
create table access_rule (
  id uuid primary key,
  user_id uuid not null references "user" on delete cascade,
  service text not null,
  method text not null,
  path text not null,
  unique (user_id, service, method, path)
);
create trigger access_rule_change after insert or update or delete on access_rule
  for each row execute function append_change('access_rule');
create table application_credential_secret (
  application_credential_id uuid primary key references application_credential on delete cascade,
  hash text not null
);

-- A token is a signed statement; only its revocation is a row, kept until the token would have expired by itself.
create table token_revocation (
  id uuid primary key,
  audit_id text not null unique,
  expires_at timestamptz not null,
  created_at timestamptz not null default now()
);
create index token_revocation_expiry on token_revocation (expires_at);
create trigger token_revocation_change after insert or delete on token_revocation
  for each row execute function append_change('token_revocation');

-- Keys that sign tokens; newest not retired signs, all not expired verify. Secret: no change log.
create table token_key (
  id uuid primary key,
  secret bytea not null,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null
);

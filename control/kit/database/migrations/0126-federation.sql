-- Users of other identity providers. Keystone's ids of providers, protocols and mappings are names that administrators choose.
create table identity_provider (
  id uuid primary key,
  name text not null unique,
  domain_id uuid not null references domain on delete cascade,  -- where its users are made
  description text,
  enabled boolean not null default true,
  remote_ids text[] not null default '{}',  -- of OpenID Connect: issuers
  authorization_ttl integer,                -- minutes that memberships from a mapping last; null: as long as a token
  client_id text,                           -- of tokens that are ours to take; null: those whose audience is this cloud
  sealed_client_secret bytea,               -- to ask the provider about tokens that are no statements themselves
  created_at timestamptz not null default now()
);
create trigger identity_provider_change after insert or update or delete on identity_provider
  for each row execute function append_change('identity_provider', 'id', 'sealed_client_secret');

create table mapping (
  id uuid primary key,
  name text not null unique,
  rules jsonb not null,
  schema_version text not null default '1.0',
  created_at timestamptz not null default now()
);
create trigger mapping_change after insert or update or delete on mapping
  for each row execute function append_change('mapping');

create table federation_protocol (
  id uuid primary key,
  identity_provider_id uuid not null references identity_provider on delete cascade,
  name text not null,
  mapping_id uuid not null references mapping,
  remote_id_attribute text,
  unique (identity_provider_id, name)
);
create trigger federation_protocol_change after insert or update or delete on federation_protocol
  for each row execute function append_change('federation_protocol');

-- Who of a provider is which user here.
create table federated_user (
  user_id uuid not null references "user" on delete cascade,
  identity_provider_id uuid not null references identity_provider on delete cascade,
  protocol text not null,
  unique_id text not null,
  primary key (identity_provider_id, protocol, unique_id)
);
create index federated_user_user on federated_user (user_id);

-- A membership that a mapping gives ends by itself; the next log-in gives it again.
alter table user_group_member add column expires_at timestamptz;

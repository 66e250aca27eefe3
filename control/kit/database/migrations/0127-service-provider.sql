-- Clouds that take our users' word; kept for clients that ask for them.
create table service_provider (
  id uuid primary key,
  name text not null unique,
  auth_url text not null,
  sp_url text not null,
  description text,
  enabled boolean not null default true,
  relay_state_prefix text not null
);
create trigger service_provider_change after insert or update or delete on service_provider
  for each row execute function append_change('service_provider');

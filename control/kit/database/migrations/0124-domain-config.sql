-- Options that clients keep for a domain, each a row.
create table domain_config (
  id uuid primary key,
  domain_id uuid not null references domain on delete cascade,
  section text not null,                    -- Keystone's group
  option text not null,
  value jsonb not null,
  unique (domain_id, section, option)
);
create trigger domain_config_change after insert or update or delete on domain_config
  for each row execute function append_change('domain_config', 'id', 'value');

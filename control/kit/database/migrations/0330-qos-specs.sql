-- Limits of volumes, given to their types. A type has one set of them at most.
create table qos_specs (
  id uuid primary key,
  name text not null unique,
  consumer text not null default 'back-end' check (consumer in ('front-end', 'back-end', 'both')),
  specs jsonb not null default '{}',
  generation bigint not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create trigger qos_specs_change after insert or update or delete on qos_specs
  for each row execute function append_change('qos_specs');
alter table volume_type add column qos_specs_id uuid references qos_specs;
create index volume_type_qos_specs on volume_type (qos_specs_id);

-- What administrators say of a host to placement: traits of their own, how far its resources are overcommitted, what of them is kept back.
-- Null: what the cloud takes for it (control/host/capacity.ts). `provider_generation` counts such words, and Placement's API checks by it.
alter table host
  add column traits text[] not null default '{}',
  add column vcpus_ratio double precision check (vcpus_ratio > 0),
  add column memory_ratio double precision check (memory_ratio > 0),
  add column disk_ratio double precision check (disk_ratio > 0),
  add column vcpus_reserved bigint check (vcpus_reserved >= 0),
  add column memory_reserved_mib bigint check (memory_reserved_mib >= 0),
  add column disk_reserved_gib bigint check (disk_reserved_gib >= 0),
  add column provider_generation bigint not null default 0;

-- Names of traits that there are beside those that hosts have by themselves.
create table custom_trait (
  name text primary key check (name ~ '^CUSTOM_[A-Z0-9_]+$' and length(name) <= 255),
  created_at timestamptz not null default now()
);

drop trigger host_changed on host;
create trigger host_changed before update on host for each row
  when ((old.name, old.availability_zone, old.enabled, old.connected, old.forced_down, old.vcpus, old.memory_mib, old.disk_gib,
        old.physical_networks, old.facts, old.traits, old.disabled_reason, old.disabled_by, old.forced_down_by)
      is distinct from (new.name, new.availability_zone, new.enabled, new.connected, new.forced_down, new.vcpus, new.memory_mib, new.disk_gib,
        new.physical_networks, new.facts, new.traits, new.disabled_reason, new.disabled_by, new.forced_down_by)
    or (not new.connected and old.last_seen_at is distinct from new.last_seen_at))
  execute function host_changed_in();

-- What aggregates say of their hosts placement reads with the hosts.
create function aggregate_changed() returns trigger language plpgsql as $$
begin
  if tg_table_name = 'aggregate_host' then
    update host set changed_in = pg_current_xact_id(), provider_generation = provider_generation + 1
      where id = case when tg_op = 'DELETE' then old.host_id else new.host_id end;
  else
    update host set changed_in = pg_current_xact_id() where id in (select host_id from aggregate_host where aggregate_id = new.id);
  end if;
  return null;
end
$$;
create trigger aggregate_host_changed after insert or delete on aggregate_host for each row execute function aggregate_changed();
create trigger aggregate_changed after update of metadata on aggregate for each row execute function aggregate_changed();

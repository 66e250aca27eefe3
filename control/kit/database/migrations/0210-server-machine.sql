-- The machine of a server: {"type", "cpu_model", "layout"}; null: none yet, it has had no host. It is given with the first host and then
-- kept: suspended memory, migration and the next QEMU rest on it. What had a host before was made by Debian 12's QEMU 7.2, the only one.
alter table server add column machine jsonb;
update server s set machine = jsonb_build_object('type', 'pc-q35-7.2', 'cpu_model',
    case h.facts ->> 'accelerator' when 'kvm' then 'host' else 'max' end, 'layout', 0)
  from host h where h.id = s.host_id and s.machine is null;

-- That a host shall be empty: {cause, reason, by, since, before, boot_id}; null: it need not be. `before` is what was said of new servers there until then,
-- and comes back with the end. What moves its servers away is control/compute/maintenance.
alter table host add column maintenance jsonb;
-- Looked for each second.
create index host_in_maintenance on host (id) where maintenance is not null;

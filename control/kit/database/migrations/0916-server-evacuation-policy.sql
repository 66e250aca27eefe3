-- What becomes of a server whose host is lost: {restart, priority, on_lease_end, disk, generation}, of which the last says since which of its generations;
-- null: nothing, it waits for its host. What its host does with its guest when the lease ends, by its own word, is observed: null where that runs on.
alter table server add column evacuation_policy jsonb, add column observed_on_lease_end text;
-- Those that may be restarted elsewhere are looked for by host.
create index server_restart_elsewhere on server (host_id) where evacuation_policy ->> 'restart' = 'elsewhere';

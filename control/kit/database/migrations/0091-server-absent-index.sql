-- The few that shall go, for the sweep.
create index server_absent on server (id) where desired_presence = 'absent';

-- The few that wait to be reclaimed; the controller looks for those that are due.
create index server_soft_deleted on server (soft_deleted_at) where soft_deleted_at is not null;

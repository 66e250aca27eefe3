-- Beside the key, which also lives as long as the migration is under way: up to which transaction the proof looked that the other host can have the server. What has changed
-- since is looked at again before the server is handed over. Null: it began before there were proofs, and is not looked at.
alter table server_migration_key add column proved_at xid8;

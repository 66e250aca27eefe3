-- Backups that are being made or shall go, for the sweep.
create index backup_unsettled on backup (id) where layer_id is not null or desired_presence = 'absent';

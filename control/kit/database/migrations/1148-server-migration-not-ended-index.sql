-- Migrations under way, for whoever asks which there are, in a cloud that has had many.
create index server_migration_not_ended on server_migration (number) where ended is null;

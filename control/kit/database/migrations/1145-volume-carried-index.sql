-- Volumes that go along with a migration of their server, at its end.
create index volume_carried on volume ((desired_task ->> 'migration_id')) where desired_task ->> 'kind' = 'carry';

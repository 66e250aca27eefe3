-- What came to nothing with volumes is told to those whose they are until they say that they have read it. The operation is what is
-- told, so it is told as long as operations are kept. What a newer wish replaced did not fail.
alter table operation add column dismissed_at timestamptz;
create view storage_message as
select id, project_id, resource_type, resource_id, verb, error_code, error_message, request_id,
  created_at, coalesce(finished_at, created_at) as updated_at
from operation
where state = 'failed' and dismissed_at is null and error_code is distinct from 'conflict'
  and resource_type in ('volume', 'volume_snapshot', 'backup');

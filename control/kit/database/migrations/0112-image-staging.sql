-- uploading: bytes are staged, or on their way there; importing: a task fills the image. What became of the last import is told
-- as long as the image lives: null, none; '', it came; else why it did not.
alter table image drop constraint if exists image_status_check;
alter table image add constraint image_status_check check
  (status in ('queued', 'saving', 'uploading', 'importing', 'active', 'killed', 'deactivated', 'pending_delete'));
alter table image add column if not exists import_failure text;

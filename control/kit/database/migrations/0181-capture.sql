-- An image that a host makes of a server's disk: what is wanted stands in the server's row until its outcome is known, and the image
-- names the server meanwhile.
alter table server
  -- {"image_id", "kind": "image" or "backup", "backup_type", "keep"}
  add column desired_capture jsonb;
alter table image
  add column captured_from uuid;
create index image_backup on image ((owner_properties ->> 'instance_uuid')) where owner_properties ? 'backup_type';

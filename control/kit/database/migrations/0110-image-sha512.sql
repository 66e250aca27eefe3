-- What Glance's clients check bytes by. Null for images that were stored before.
alter table image add column if not exists sha512 text;

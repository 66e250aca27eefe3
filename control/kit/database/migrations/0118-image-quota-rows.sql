-- Limits that administrators may set: what is staged, and how many uploads and imports run at once.
insert into quota (id, resource, maximum)
select gen_random_uuid(), resource, -1 from (values ('image_staged_bytes'), ('image_uploads')) as defaults (resource)
on conflict do nothing;

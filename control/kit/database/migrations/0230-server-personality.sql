-- Files that a guest is given beside its user data (Nova's personality, before 2.57), in the order of the request: [{path, contents}],
-- contents in base64. A table of its own, as user data has: no list of servers reads it.
create table server_personality (
  server_id uuid primary key references server on delete cascade,
  files jsonb not null
);

insert into quota (id, resource, maximum)
select gen_random_uuid(), resource, maximum from (values
  ('injected_files', 5), ('injected_file_content_bytes', 10240), ('injected_file_path_bytes', 255)) as defaults (resource, maximum)
on conflict do nothing;

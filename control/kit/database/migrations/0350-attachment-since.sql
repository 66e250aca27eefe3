-- Since which generation of its server the attachment is as it is: what the host said of an older one does not count for it.
alter table volume_attachment add column if not exists server_generation bigint not null default 0;
-- The server that the other side names where it attaches by Cinder's API alone; no reference, it may be another cloud's.
alter table volume_attachment add column if not exists named_server_id uuid;

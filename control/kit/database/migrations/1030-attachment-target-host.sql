-- Of an attachment whose volume is still on another host: the one that the volume has to be on before its server can have it.
-- Null: it is where its server is, or nobody of this cloud has it.
alter table volume_attachment add column target_host_id uuid references host on delete cascade;

-- What the server's machine has beyond processors, memory and disk, as image and flavor asked when it was made.
alter table server add column hardware jsonb not null default '{}';

-- Whether somebody has said if the volume may be written: only then Cinder shows it.
alter table volume add column read_only_said boolean not null default false;

-- Of a server that was on its way between hosts when the database was lost: which of both has it whole.
alter table quarantined_server add column way text check (way in ('arriving', 'left'));

-- Whose task ends an image that a host makes: a server's, or a volume's (captured_from is its id).
alter table image add column captured_by text not null default 'server' check (captured_by in ('server', 'volume'));

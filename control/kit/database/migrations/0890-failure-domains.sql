-- What a host shares with others that may be lost with it: {"rack": "7", "feed": "A", "switch": "tor-7"}, as administrators say it.
alter table host add column failure_domains jsonb not null default '{}';

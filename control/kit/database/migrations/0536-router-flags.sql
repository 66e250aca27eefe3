-- Where a router's floating IPs are handled (on their guests' hosts, or all by its gateway), and whether hosts stand by for its gateway.
alter table router add column distributed boolean not null default true;
alter table router add column ha boolean not null default true;

-- Zones of the hosts that may carry a router's gateway; none: all.
alter table router add column availability_zone_hints text[] not null default '{}';

-- Subnets of a segment serve the hosts that reach it. A port that has no host yet waits for one to have an address.
alter table subnet add column segment_id uuid references segment;
create index subnet_segment on subnet (segment_id) where segment_id is not null;
alter table port add column ip_deferred boolean not null default false;

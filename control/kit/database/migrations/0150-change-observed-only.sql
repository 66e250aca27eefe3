-- Of a change that only took down what was seen (a report of a host, a port that is up) nobody must hear who is told what is desired: the
-- hosts, the northbound database. Without the mark each report made control read and compare its own host's documents again.
alter table change add column if not exists observed_only boolean not null default false;

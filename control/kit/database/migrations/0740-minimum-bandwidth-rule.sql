-- What ports that keep to a policy are promised each way, in thousands of bits a second (control/network/bandwidth).
alter table qos_rule add column min_kbps integer check (min_kbps >= 0);
alter table qos_rule drop constraint qos_rule_kind_check;
alter table qos_rule add constraint qos_rule_kind_check check (kind in ('bandwidth_limit', 'dscp_marking', 'minimum_bandwidth'));
alter table qos_rule add constraint qos_rule_minimum_check check (kind <> 'minimum_bandwidth' or min_kbps is not null);

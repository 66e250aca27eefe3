-- Who keeps to a policy. One that is named cannot go.
alter table port add column qos_policy_id uuid references qos_policy;
alter table network add column qos_policy_id uuid references qos_policy; -- of its ports that name none
alter table floating_ip add column qos_policy_id uuid references qos_policy;
alter table router add column gateway_qos_policy_id uuid references qos_policy;
create index port_qos_policy on port (qos_policy_id) where qos_policy_id is not null;
create index network_qos_policy on network (qos_policy_id) where qos_policy_id is not null;
create index floating_ip_qos_policy on floating_ip (qos_policy_id) where qos_policy_id is not null;
create index router_gateway_qos_policy on router (gateway_qos_policy_id) where gateway_qos_policy_id is not null;

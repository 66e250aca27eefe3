alter table rbac_policy add column qos_policy_id uuid references qos_policy on delete cascade;
alter table rbac_policy drop constraint rbac_policy_check;
alter table rbac_policy add constraint rbac_policy_check check
  (num_nonnulls(network_id, subnet_pool_id, address_scope_id, security_group_id, address_group_id, qos_policy_id) = 1);
alter table rbac_policy drop constraint rbac_policy_once;
alter table rbac_policy add constraint rbac_policy_once unique nulls not distinct
  (network_id, subnet_pool_id, address_scope_id, security_group_id, address_group_id, qos_policy_id, action, target_project_id);
create index rbac_policy_qos_policy on rbac_policy (qos_policy_id) where qos_policy_id is not null;

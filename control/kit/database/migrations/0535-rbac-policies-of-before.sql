-- What was shared or external before there were policies is so by a policy.
insert into rbac_policy (id, project_id, network_id, action)
select gen_random_uuid(), project_id, id, 'access_as_shared' from network where shared
on conflict do nothing;
insert into rbac_policy (id, project_id, network_id, action)
select gen_random_uuid(), project_id, id, 'access_as_external' from network where external
on conflict do nothing;
insert into rbac_policy (id, project_id, subnet_pool_id, action)
select gen_random_uuid(), project_id, id, 'access_as_shared' from subnet_pool where shared
on conflict do nothing;
insert into rbac_policy (id, project_id, address_scope_id, action)
select gen_random_uuid(), project_id, id, 'access_as_shared' from address_scope where shared
on conflict do nothing;

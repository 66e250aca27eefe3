import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newId } from '../../../contract/ids.ts';
import { testAdmin, testCaller } from '../../../control/network/testing.ts';
import { type Me, newNetwork, newSubnet, refused, testApi } from './testing.ts';

const api = await testApi();
const admin = api.as(testAdmin());

/** Two projects that know each other's ids; both are there. */
async function two(): Promise<[Me, Me, { mine: string; other: string }]> {
  const [one, other] = [testCaller(), testCaller()];
  await Promise.all([api.as(one).get('/networks'), api.as(other).get('/networks')]);
  return [api.as(one), api.as(other), { mine: one.projectId!, other: other.projectId! }];
}

const share = (me: Me, object_type: string, object_id: string, target_tenant: string, action = 'access_as_shared') =>
  me.post('/rbac-policies', { rbac_policy: { object_type, object_id, target_tenant, action } });

test('a network is given to one project, which sees and uses it, and no other does', async () => {
  const [me, other, ids] = await two();
  const network_id = await newNetwork(me);
  const subnet = await newSubnet(me, network_id, '10.0.0.0/24');
  refused(await other.get(`/networks/${network_id}`), 404, 'NetworkNotFound');
  const made = await share(me, 'network', network_id, ids.other);
  assert.equal(made.status, 201, JSON.stringify(made.body));
  const { rbac_policy: policy } = made.body;
  assert.deepEqual(policy, {
    id: policy.id,
    tenant_id: ids.mine,
    project_id: ids.mine,
    object_type: 'network',
    object_id: network_id,
    action: 'access_as_shared',
    target_tenant: ids.other,
  });
  const seen = (await other.get(`/networks/${network_id}`)).body.network;
  assert.deepEqual([seen.shared, seen.subnets], [true, [subnet.id]]);
  assert.equal((await me.get(`/networks/${network_id}`)).body.network.shared, false);
  assert.equal((await other.get(`/subnets/${subnet.id}`)).status, 200);
  refused(await other.put(`/networks/${network_id}`, { network: { name: 'x' } }), 403, 'PolicyNotAuthorized');
  refused(await other.put(`/subnets/${subnet.id}`, { subnet: { name: 'x' } }), 403, 'PolicyNotAuthorized');
  refused(await api.as(testCaller()).get(`/networks/${network_id}`), 404, 'NetworkNotFound');
  const { port } = (await other.post('/ports', { port: { network_id } })).body;
  refused(await me.delete(`/rbac-policies/${policy.id}`), 409, 'RbacPolicyInUse');
  refused(
    await me.put(`/rbac-policies/${policy.id}`, { rbac_policy: { target_tenant: ids.mine } }),
    409,
    'RbacPolicyInUse',
  );
  assert.equal((await other.delete(`/ports/${port.id}`)).status, 204);
  assert.equal((await me.delete(`/rbac-policies/${policy.id}`)).status, 204);
  refused(await other.get(`/networks/${network_id}`), 404, 'NetworkNotFound');
});

test('shared and external are policies for everybody, seen in both ways and changed in both', async () => {
  const [me] = await two();
  const network_id = await newNetwork(admin, { shared: true, 'router:external': true });
  const policies = (await admin.get(`/rbac-policies?object_id=${network_id}&sort_key=action`)).body.rbac_policies;
  assert.deepEqual(
    policies.map(({ action, target_tenant }: Record<string, string>) => [action, target_tenant]),
    [
      ['access_as_external', '*'],
      ['access_as_shared', '*'],
    ],
  );
  assert.equal((await admin.delete(`/rbac-policies/${policies[1].id}`)).status, 204);
  const { network } = (await me.get(`/networks/${network_id}`)).body;
  assert.deepEqual([network.shared, network['router:external']], [false, true]);
  assert.equal((await admin.delete(`/rbac-policies/${policies[0].id}`)).status, 204);
  refused(await me.get(`/networks/${network_id}`), 404, 'NetworkNotFound');
  await share(admin, 'network', network_id, '*');
  assert.equal((await me.get(`/networks/${network_id}`)).body.network.shared, true);
  await admin.put(`/networks/${network_id}`, { network: { shared: false } });
  assert.deepEqual((await admin.get(`/rbac-policies?object_id=${network_id}`)).body.rbac_policies, []);
});

test('a network is external for one project alone, whose gateways keep the policy', async () => {
  const [me, other, ids] = await two();
  const network_id = await newNetwork(admin);
  await newSubnet(admin, network_id, '203.0.113.0/24', { enable_dhcp: false });
  refused(await share(me, 'network', network_id, ids.mine, 'access_as_external'), 403, 'PolicyNotAuthorized');
  const { rbac_policy: policy } = (await share(admin, 'network', network_id, ids.mine, 'access_as_external')).body;
  assert.equal((await me.get(`/networks/${network_id}`)).body.network['router:external'], true);
  const gateway = { router: { external_gateway_info: { network_id } } };
  refused(await other.post('/routers', gateway), 404, 'NetworkNotFound');
  const { router } = (await me.post('/routers', gateway)).body;
  refused(await admin.delete(`/rbac-policies/${policy.id}`), 409, 'RbacPolicyInUse');
  await me.delete(`/routers/${router.id}`);
  assert.equal((await admin.delete(`/rbac-policies/${policy.id}`)).status, 204);
  assert.equal((await admin.get(`/networks/${network_id}`)).body.network['router:external'], false);
});

test('subnet pools, address scopes and security groups are given as networks are', async () => {
  const [me, other, ids] = await two();
  const { address_scope: scope } = (await me.post('/address-scopes', { address_scope: { ip_version: 4 } })).body;
  const pool = (await me.post('/subnetpools', { subnetpool: { name: 'p', prefixes: ['10.0.0.0/8'] } })).body.subnetpool;
  const group = (await me.post('/security-groups', { security_group: { name: 'g' } })).body.security_group;
  const network_id = await newNetwork(other);
  const use: Record<string, [string, string, string, () => Promise<{ status: number; body: unknown }>]> = {
    address_scope: [
      'address-scopes',
      'address_scope',
      scope.id,
      () =>
        other.post('/subnetpools', { subnetpool: { name: 'p', prefixes: ['10.0.0.0/8'], address_scope_id: scope.id } }),
    ],
    subnetpool: [
      'subnetpools',
      'subnetpool',
      pool.id,
      () => other.post('/subnets', { subnet: { network_id, ip_version: 4, subnetpool_id: pool.id, prefixlen: 24 } }),
    ],
    security_group: [
      'security-groups',
      'security_group',
      group.id,
      () => other.post('/ports', { port: { network_id, security_groups: [group.id] } }),
    ],
  };
  for (const [type, [path, single, id, begin]] of Object.entries(use)) {
    assert.equal((await other.get(`/${path}/${id}`)).status, 404);
    assert.equal((await begin()).status, 404, type);
    const { rbac_policy: policy } = (await share(me, type, id, ids.other)).body;
    assert.equal((await other.get(`/${path}/${id}`)).body[single].shared, true);
    refused(await other.put(`/${path}/${id}`, { [single]: { name: 'x' } }), 403, 'PolicyNotAuthorized');
    refused(await other.delete(`/${path}/${id}`), 403, 'PolicyNotAuthorized');
    assert.equal((await begin()).status, 201, type);
    refused(await me.delete(`/rbac-policies/${policy.id}`), 409, 'RbacPolicyInUse');
    // Shared with everybody nobody needs a policy of their own.
    assert.equal((await share(admin, type, id, '*')).status, 201);
    assert.equal((await me.delete(`/rbac-policies/${policy.id}`)).status, 204);
  }
  refused(
    await other.post('/security-group-rules', {
      security_group_rule: { security_group_id: group.id, direction: 'ingress' },
    }),
    403,
    'PolicyNotAuthorized',
  );
  const rules = await other.get(`/security-group-rules?security_group_id=${group.id}`);
  assert.equal(rules.body.security_group_rules.length, 2);
});

test('the default external network stays everybody’s; who may not say what is shared may not say that it is not', async () => {
  const network_id = await newNetwork(admin, { 'router:external': true, is_default: true });
  const query = `/rbac-policies?object_id=${network_id}&action=access_as_external`;
  const [policy] = (await admin.get(query)).body.rbac_policies;
  const [me, , ids] = await two();
  refused(await admin.delete(`/rbac-policies/${policy.id}`), 409, 'RbacPolicyInUse');
  const narrower = { rbac_policy: { target_tenant: ids.mine } };
  refused(await admin.put(`/rbac-policies/${policy.id}`, narrower), 409, 'RbacPolicyInUse');
  await admin.put(`/networks/${network_id}`, { network: { is_default: false } });
  assert.equal((await admin.delete(`/rbac-policies/${policy.id}`)).status, 204);
  const { address_scope: scope } = (await me.post('/address-scopes', { address_scope: { ip_version: 4 } })).body;
  const same = { address_scope: { shared: false } };
  refused(await me.put(`/address-scopes/${scope.id}`, same), 403, 'PolicyNotAuthorized');
});

test('a subnet pool in an address scope is given only to who may use the scope', async () => {
  const [me, , ids] = await two();
  const { address_scope: scope } = (await me.post('/address-scopes', { address_scope: { ip_version: 4 } })).body;
  const wish = { name: 'p', prefixes: ['10.0.0.0/8'], address_scope_id: scope.id };
  const { subnetpool: pool } = (await me.post('/subnetpools', { subnetpool: wish })).body;
  refused(await share(me, 'subnetpool', pool.id, ids.other), 400, 'RbacPolicyInitError', /address scope/);
  refused(await share(admin, 'subnetpool', pool.id, '*'), 400, 'RbacPolicyInitError');
  assert.equal((await share(me, 'address_scope', scope.id, ids.other)).status, 201);
  assert.equal((await share(me, 'subnetpool', pool.id, ids.other)).status, 201);
});

test('what no policy may be is refused, and a policy goes with what it gives', async () => {
  const [me, other, ids] = await two();
  const network_id = await newNetwork(me);
  refused(await share(me, 'network', network_id, '*'), 403, 'PolicyNotAuthorized');
  refused(await share(me, 'port', network_id, ids.other), 400, 'InvalidInput');
  refused(await share(me, '__proto__', network_id, ids.other), 400, 'InvalidInput');
  assert.deepEqual((await me.get('/rbac-policies?object_type=__proto__')).body.rbac_policies, []);
  refused(await share(me, 'network', network_id, 'them'), 400, 'InvalidInput');
  refused(await share(me, 'network', network_id, newId()), 404, 'HTTPNotFound');
  refused(await share(me, 'network', network_id, ids.other, 'access'), 400, 'InvalidActionForType');
  refused(await share(me, 'network', newId(), ids.other), 404, 'NetworkNotFound');
  refused(await share(me, 'subnetpool', newId(), ids.other), 404, 'SubnetPoolNotFound');
  refused(await share(admin, 'subnetpool', newId(), ids.other, 'access_as_external'), 400, 'InvalidInput');
  refused(await share(other, 'network', network_id, ids.other), 404, 'NetworkNotFound');
  const { rbac_policy: policy } = (await share(me, 'network', network_id, ids.other)).body;
  refused(await share(me, 'network', network_id, ids.other), 409, 'DuplicateRbacPolicy');
  refused(await share(other, 'network', network_id, ids.other), 400, 'InvalidInput');
  refused(await other.get(`/rbac-policies/${policy.id}`), 404, 'RbacPolicyNotFound');
  refused(await other.delete(`/rbac-policies/${policy.id}`), 404, 'RbacPolicyNotFound');
  refused(
    await me.put(`/rbac-policies/${policy.id}`, { rbac_policy: { target_tenant: '*' } }),
    403,
    'PolicyNotAuthorized',
  );
  assert.equal(
    (await me.get(`/rbac-policies?target_tenant=${ids.other}&object_type=network`)).body.rbac_policies.length,
    1,
  );
  assert.equal(
    (await admin.get(`/rbac-policies?target_tenant=*&object_id=${network_id}`)).body.rbac_policies.length,
    0,
  );
  await admin.put(`/rbac-policies/${policy.id}`, { rbac_policy: { target_tenant: '*' } });
  assert.equal(
    (await admin.get(`/rbac-policies?target_tenant=*&object_id=${network_id}`)).body.rbac_policies.length,
    1,
  );
  assert.equal((await me.delete(`/networks/${network_id}`)).status, 204);
  refused(await me.get(`/rbac-policies/${policy.id}`), 404, 'RbacPolicyNotFound');
});

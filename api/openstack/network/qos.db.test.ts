import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newId } from '../../../contract/ids.ts';
import { oddName, testAdmin, testCaller } from '../../../control/network/testing.ts';
import { type Me, newNetwork, newSubnet, refused, testApi } from './testing.ts';

const api = await testApi();
const admin = api.as(testAdmin());

const newPolicy = async (over: object = {}) =>
  (await admin.post('/qos/policies', { policy: { name: oddName, ...over } })).body.policy;

const someone = async (): Promise<[Me, string]> => {
  const caller = testCaller();
  await api.as(caller).get('/networks');
  return [api.as(caller), caller.projectId!];
};

const addRule = (policy: string, single: string, body: object) =>
  admin.post(`/qos/policies/${policy}/${single}s`, { [single]: body });

test('a policy holds one rule of a kind and direction, shown with it and by themselves', async () => {
  const policy = await newPolicy({ description: 'd' });
  assert.deepEqual([policy.name, policy.shared, policy.is_default, policy.rules], [oddName, false, false, []]);
  const made = await addRule(policy.id, 'bandwidth_limit_rule', { max_kbps: '1000' });
  assert.equal(made.status, 201, JSON.stringify(made.body));
  const { bandwidth_limit_rule: rule } = made.body;
  assert.deepEqual(rule, { id: rule.id, max_kbps: 1000, max_burst_kbps: 0, direction: 'egress' });
  const second = await addRule(policy.id, 'bandwidth_limit_rule', { max_kbps: 5, direction: 'egress' });
  refused(second, 409, 'QoSRulesConflict', new RegExp(rule.id));
  const other = await addRule(policy.id, 'bandwidth_limit_rule', { max_kbps: 5, direction: 'ingress' });
  assert.equal(other.status, 201);
  const mark = (await addRule(policy.id, 'dscp_marking_rule', { dscp_mark: 26 })).body.dscp_marking_rule;
  assert.deepEqual(mark, { id: mark.id, dscp_mark: 26 });
  const read = (await admin.get(`/qos/policies/${policy.id}`)).body.policy;
  assert.equal(read.revision_number, 4);
  assert.deepEqual(read.rules[0], { ...rule, qos_policy_id: policy.id, type: 'bandwidth_limit' });
  assert.equal(read.rules.length, 3);
  const path = `/qos/policies/${policy.id}/bandwidth_limit_rules`;
  assert.equal((await admin.get(path)).body.bandwidth_limit_rules.length, 2);
  assert.deepEqual((await admin.get(`${path}?direction=ingress&fields=max_kbps`)).body, {
    bandwidth_limit_rules: [{ max_kbps: 5 }],
  });
  const page = (await admin.get(`${path}?limit=1`)).body;
  assert.equal(page.bandwidth_limit_rules_links[0].rel, 'next');
  const turned = await admin.put(`${path}/${rule.id}`, { bandwidth_limit_rule: { direction: 'ingress' } });
  refused(turned, 409, 'QoSRulesConflict');
  assert.equal((await admin.delete(`${path}/${other.body.bandwidth_limit_rule.id}`)).status, 204);
  const changed = await admin.put(`${path}/${rule.id}`, {
    bandwidth_limit_rule: { direction: 'ingress', max_kbps: 7 },
  });
  assert.deepEqual(changed.body.bandwidth_limit_rule, { ...rule, direction: 'ingress', max_kbps: 7 });
  refused(await admin.get(`${path}/${mark.id}`), 404, 'QosRuleNotFound');
  refused(
    await admin.get(`/qos/policies/${(await newPolicy()).id}/bandwidth_limit_rules/${rule.id}`),
    404,
    'QosRuleNotFound',
  );
});

test('a rule is read, changed and deleted without its policy in the path, as Neutron routes it and as it documents it', async () => {
  const policy = await newPolicy();
  const { id } = (await addRule(policy.id, 'dscp_marking_rule', { dscp_mark: 10 })).body.dscp_marking_rule;
  for (const path of [`/qos/alias-dscp-marking-rules/${id}`, `/qos/alias_dscp_marking_rules/${id}`]) {
    const body = { alias_dscp_marking_rule: { dscp_mark: 8 } };
    assert.deepEqual((await admin.put(path, body)).body, { alias_dscp_marking_rule: { id, dscp_mark: 8 } });
    assert.deepEqual((await admin.get(path)).body, { alias_dscp_marking_rule: { id, dscp_mark: 8 } });
  }
  refused(await admin.get(`/qos/alias-bandwidth-limit-rules/${id}`), 404, 'QosRuleNotFound');
  assert.equal((await admin.delete(`/qos/alias-dscp-marking-rules/${id}`)).status, 204);
  assert.deepEqual((await admin.get(`/qos/policies/${policy.id}`)).body.policy.rules, []);
});

test('what no rule can say is refused', async () => {
  const { id } = await newPolicy();
  for (const body of [
    {},
    { max_kbps: 0 },
    { max_kbps: 2 ** 31 },
    { max_kbps: 1, direction: 'both' },
    { max_kbps: 'x' },
  ]) {
    refused(await addRule(id, 'bandwidth_limit_rule', body), 400, 'HTTPBadRequest');
  }
  for (const dscp_mark of [1, 7, 64, -1, null]) {
    refused(await addRule(id, 'dscp_marking_rule', { dscp_mark }), 400, 'HTTPBadRequest');
  }
  refused(await addRule(newId(), 'dscp_marking_rule', { dscp_mark: 8 }), 404, 'QosPolicyNotFound');
  refused(await admin.get('/qos/policies/x/dscp_marking_rules'), 404, 'QosPolicyNotFound');
});

test('a minimum is a rule of its own, which no limit of its direction is below', async () => {
  const { id } = await newPolicy();
  const made = await addRule(id, 'minimum_bandwidth_rule', { min_kbps: '500' });
  assert.equal(made.status, 201, JSON.stringify(made.body));
  const { minimum_bandwidth_rule: rule } = made.body;
  assert.deepEqual(rule, { id: rule.id, min_kbps: 500, direction: 'egress' });
  refused(await addRule(id, 'bandwidth_limit_rule', { max_kbps: 499 }), 409, 'QoSRuleParameterConflict', /value 500/);
  assert.equal((await addRule(id, 'bandwidth_limit_rule', { max_kbps: 499, direction: 'ingress' })).status, 201);
  assert.equal((await addRule(id, 'bandwidth_limit_rule', { max_kbps: 600 })).status, 201);
  const path = `/qos/alias-minimum-bandwidth-rules/${rule.id}`;
  const change = (min_kbps: number) => admin.put(path, { alias_minimum_bandwidth_rule: { min_kbps } });
  refused(await change(601), 409, 'QoSRuleParameterConflict', /bandwidth_limit has value 600/);
  assert.deepEqual((await change(600)).body.alias_minimum_bandwidth_rule, { ...rule, min_kbps: 600 });
  refused(await addRule(id, 'minimum_bandwidth_rule', { min_kbps: 1 }), 409, 'QoSRulesConflict');
  for (const body of [{}, { min_kbps: -1 }, { min_kbps: 1, direction: 'any' }, { min_kbps: null }]) {
    refused(await addRule(id, 'minimum_bandwidth_rule', body), 400, 'HTTPBadRequest');
  }
});

test('what a port is promised is asked of a host in groups, which administrators see', async () => {
  const [me] = await someone();
  const { id } = await newPolicy({ shared: true });
  const network_id = await newNetwork(me, { qos_policy_id: id });
  const port = (await me.post('/ports', { port: { network_id } })).body.port;
  const shown = async () => (await admin.get(`/ports/${port.id}`)).body.port.resource_request;
  assert.equal(await shown(), null);
  await addRule(id, 'minimum_bandwidth_rule', { min_kbps: 5 });
  await addRule(id, 'minimum_bandwidth_rule', { min_kbps: 7, direction: 'ingress' });
  const asked = await shown();
  assert.deepEqual(asked.request_groups[0].resources, {
    NET_BW_EGR_KILOBIT_PER_SEC: 5,
    NET_BW_IGR_KILOBIT_PER_SEC: 7,
  });
  assert.match(asked.same_subtree[0], /^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.deepEqual(await shown(), asked, 'the same each time');
  assert.equal('resource_request' in (await me.get(`/ports/${port.id}`)).body.port, false);
  assert.deepEqual((await admin.get(`/ports?id=${port.id}&fields=resource_request`)).body.ports, [
    { resource_request: asked },
  ]);
});

test('the types of rules that work are told, with what each may say', async () => {
  const [me] = await someone();
  const types = [{ type: 'bandwidth_limit' }, { type: 'dscp_marking' }, { type: 'minimum_bandwidth' }];
  assert.deepEqual((await me.get('/qos/rule-types')).body, { rule_types: types });
  assert.deepEqual((await me.get('/qos/rule-types?all_supported=true')).body, { rule_types: types });
  const { rule_type } = (await admin.get('/qos/rule-types/bandwidth_limit')).body;
  assert.equal(rule_type.drivers[0].supported_parameters[0].parameter_name, 'max_kbps');
  refused(await me.get('/qos/rule-types/bandwidth_limit'), 403, 'PolicyNotAuthorized');
  const limit = { bandwidth_limit_rule: { max_kbps: 1 } };
  refused(await me.post('/qos/policies/policy/bandwidth_limit_rules', limit), 403, 'PolicyNotAuthorized');
  refused(await admin.get('/qos/rule-types/packet_rate_limit'), 404, 'QosRuleTypeNotFound');
  const { id } = await newPolicy();
  for (const [type, body] of [
    ['packet_rate_limit', { max_kpps: 1 }],
    ['minimum_packet_rate', { min_kpps: 1 }],
  ] as const) {
    const made = await addRule(id, `${type}_rule`, body);
    refused(made, 404, 'QosRuleTypeNotFound', new RegExp(`QoS rule type ${type} could not be found`));
  }
});

test('ports, networks, floating IPs and gateways keep to a policy, which stays as long', async () => {
  const policy = await newPolicy({ shared: true });
  const { id: qos_policy_id } = policy;
  const [me] = await someone();
  const network_id = await newNetwork(me, { qos_policy_id });
  const subnet = await newSubnet(me, network_id, '10.0.0.0/24');
  const { port } = (await me.post('/ports', { port: { network_id } })).body;
  assert.deepEqual([port.qos_policy_id, port.qos_network_policy_id], [null, qos_policy_id]);
  const own = (await me.post('/ports', { port: { network_id, qos_policy_id } })).body.port;
  assert.equal(own.qos_policy_id, qos_policy_id);
  assert.deepEqual((await me.get(`/ports?qos_policy_id=${qos_policy_id}&fields=id`)).body.ports, [{ id: own.id }]);
  const external = await newNetwork(admin, { 'router:external': true, qos_policy_id });
  await newSubnet(admin, external, '203.0.113.0/24', { enable_dhcp: false });
  const gateway = { network_id: external, qos_policy_id };
  const { router } = (await me.post('/routers', { router: { external_gateway_info: gateway } })).body;
  assert.equal(router.external_gateway_info.qos_policy_id, qos_policy_id);
  await me.put(`/routers/${router.id}/add_router_interface`, { subnet_id: subnet.id });
  const wish = { floating_network_id: external, port_id: port.id, qos_policy_id };
  const { floatingip } = (await me.post('/floatingips', { floatingip: wish })).body;
  assert.deepEqual([floatingip.qos_policy_id, floatingip.qos_network_policy_id], [qos_policy_id, qos_policy_id]);
  const still = async (type: string) =>
    refused(
      await admin.delete(`/qos/policies/${qos_policy_id}`),
      409,
      'QosPolicyInUse',
      new RegExp(`used by ${type} `),
    );
  await still('port');
  assert.equal((await me.put(`/ports/${own.id}`, { port: { qos_policy_id: null } })).body.port.qos_policy_id, null);
  await still('network');
  for (const [who, id] of [
    [me, network_id],
    [admin, external],
  ] as const) {
    assert.equal((await who.put(`/networks/${id}`, { network: { qos_policy_id: null } })).status, 200);
  }
  await still('floatingip');
  assert.equal((await me.put(`/floatingips/${floatingip.id}`, { floatingip: { qos_policy_id: null } })).status, 200);
  await still('router');
  const named = await me.put(`/routers/${router.id}`, { router: { external_gateway_info: { network_id: external } } });
  assert.equal(named.body.router.external_gateway_info.qos_policy_id, qos_policy_id, 'said nothing of it');
  const without = { external_gateway_info: { network_id: external, qos_policy_id: null } };
  assert.equal((await me.put(`/routers/${router.id}`, { router: without })).status, 200);
  assert.equal((await admin.delete(`/qos/policies/${qos_policy_id}`)).status, 204);
});

test("a project's default policy holds for networks made without one, and there is one default", async () => {
  const [me, project_id] = await someone();
  const { id } = await newPolicy({ project_id, is_default: true });
  refused(
    await admin.post('/qos/policies', { policy: { project_id, is_default: true } }),
    409,
    'QoSPolicyDefaultAlreadyExists',
  );
  const second = await newPolicy({ project_id });
  refused(
    await admin.put(`/qos/policies/${second.id}`, { policy: { is_default: true } }),
    409,
    'QoSPolicyDefaultAlreadyExists',
  );
  const policyOf = async (over: object) =>
    (await me.get(`/networks/${await newNetwork(me, over)}`)).body.network.qos_policy_id;
  assert.equal(await policyOf({}), id);
  assert.equal(await policyOf({ qos_policy_id: second.id }), second.id);
  assert.deepEqual(
    (await me.get('/qos/policies?is_default=true')).body.policies.map((one: { id: string }) => one.id),
    [id],
  );
});

test('a policy given to a project is used by it, and the gift stays as long; who put one on takes it off', async () => {
  const [[me, project], [stranger]] = [await someone(), await someone()];
  const { id } = await newPolicy();
  const network_id = await newNetwork(me);
  refused(await me.put(`/networks/${network_id}`, { network: { qos_policy_id: id } }), 404, 'QosPolicyNotFound');
  const gift = { object_type: 'qos_policy', object_id: id, action: 'access_as_shared', target_tenant: project };
  const { rbac_policy } = (await admin.post('/rbac-policies', { rbac_policy: gift })).body;
  assert.equal(rbac_policy.object_type, 'qos_policy');
  assert.equal((await me.get(`/qos/policies/${id}`)).body.policy.shared, true);
  refused(await me.put(`/qos/policies/${id}`, { policy: { name: 'mine' } }), 403, 'PolicyNotAuthorized');
  refused(await stranger.get(`/qos/policies/${id}`), 404, 'QosPolicyNotFound');
  const { port } = (await me.post('/ports', { port: { network_id, qos_policy_id: id } })).body;
  refused(await admin.delete(`/rbac-policies/${rbac_policy.id}`), 409, 'RbacPolicyInUse');
  await me.put(`/ports/${port.id}`, { port: { qos_policy_id: null } });
  assert.equal((await admin.delete(`/rbac-policies/${rbac_policy.id}`)).status, 204);
  await admin.put(`/ports/${port.id}`, { port: { qos_policy_id: id } });
  refused(await me.put(`/ports/${port.id}`, { port: { qos_policy_id: null } }), 403, 'PolicyRemoveAuthorizationError');
  assert.equal((await me.put(`/ports/${port.id}`, { port: { name: 'x' } })).status, 200);
});

test('sharing with everybody ends only when no other project relies on it', async () => {
  const [me] = await someone();
  const { id } = await newPolicy({ shared: true });
  const network_id = await newNetwork(me, { qos_policy_id: id });
  refused(await admin.put(`/qos/policies/${id}`, { policy: { shared: false } }), 409, 'RbacPolicyInUse');
  await me.put(`/networks/${network_id}`, { network: { qos_policy_id: null } });
  const changed = await admin.put(`/qos/policies/${id}`, { policy: { shared: false, name: 'n' } });
  assert.deepEqual([changed.body.policy.shared, changed.body.policy.name], [false, 'n']);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newId } from '../../../contract/ids.ts';
import { oddName, testAdmin, testCaller } from '../../../control/network/testing.ts';
import { type Me, refused, testApi } from './testing.ts';

const api = await testApi();

test('a new group lets all out; it is renamed, shown and deleted when no port has it', async () => {
  const me = api.as(testCaller());
  const made = await me.post('/security-groups', { security_group: { name: oddName, description: oddName } });
  assert.equal(made.status, 201);
  const { security_group: group } = made.body;
  assert.deepEqual(
    group.security_group_rules.map((rule: { direction: string; ethertype: string }) => [
      rule.direction,
      rule.ethertype,
    ]),
    [
      ['egress', 'IPv4'],
      ['egress', 'IPv6'],
    ],
  );
  const path = `/security-groups/${group.id}`;
  assert.equal((await me.put(path, { security_group: { name: 'b' } })).body.security_group.name, 'b');
  const network_id = (await me.post('/networks', { network: {} })).body.network.id;
  const port = (await me.post('/ports', { port: { network_id, security_groups: [group.id] } })).body.port;
  refused(await me.delete(path), 409, 'SecurityGroupInUse');
  await me.put(`/ports/${port.id}`, { port: { security_groups: [] } });
  assert.equal((await me.delete(path)).status, 204);
  refused(await me.get(path), 404, 'SecurityGroupNotFound');
});

test('the default group is one, and stays', async () => {
  const me = api.as(testCaller());
  const lists = await Promise.all(Array.from({ length: 6 }, () => me.get('/security-groups')));
  const ids = new Set(lists.flatMap(({ body }) => body.security_groups.map(({ id }: { id: string }) => id)));
  assert.equal(ids.size, 1);
  const [id] = ids;
  refused(
    await me.post('/security-groups', { security_group: { name: 'default' } }),
    409,
    'SecurityGroupDefaultAlreadyExists',
  );
  refused(
    await me.put(`/security-groups/${id}`, { security_group: { name: 'x' } }),
    409,
    'SecurityGroupCannotUpdateDefault',
  );
  refused(await me.delete(`/security-groups/${id}`), 409, 'SecurityGroupCannotRemoveDefault');
  const other = (await me.post('/security-groups', { security_group: { name: 'x' } })).body.security_group;
  refused(
    await me.put(`/security-groups/${other.id}`, { security_group: { name: 'Default' } }),
    409,
    'SecurityGroupDefaultAlreadyExists',
  );
  assert.equal((await api.as(testAdmin()).delete(`/security-groups/${id}`)).status, 204);
});

test('who looks at rules first finds those of the default group, an administrator those of the project that it asks for', async () => {
  const [admin, tenant, other] = [api.as(testAdmin()), testCaller(), testCaller()];
  await api.as(other).get('/networks');
  const rules = async (by: Me, query: string) =>
    (await by.get(`/security-group-rules?direction=ingress${query}`)).body.security_group_rules.length;
  assert.equal(await rules(api.as(tenant), ''), 2);
  assert.equal(await rules(admin, `&project_id=${other.projectId}`), 2);
});

test('an administrator who asks for the groups of a project finds its default group, before anybody has looked', async () => {
  const [admin, tenant] = [api.as(testAdmin()), testCaller()];
  await api.as(tenant).get('/networks');
  const names = async (query: string) =>
    (await admin.get(`/security-groups?${query}`)).body.security_groups.map((group: { name: string }) => group.name);
  assert.deepEqual(await names(`tenant_id=${tenant.projectId}`), ['default']);
  assert.deepEqual(await names(`project_id=${newId()}`), [], 'where there is no project there is none');
});

test('rules are read by meaning: names or numbers, any case, prefixes with host bits', async () => {
  const me = api.as(testCaller());
  const { id } = (await me.post('/security-groups', { security_group: { name: 'g' } })).body.security_group;
  const make = async (over: object) =>
    (
      await me.post('/security-group-rules', {
        security_group_rule: { security_group_id: id, direction: 'ingress', ...over },
      })
    ).body.security_group_rule;
  const ssh = await make({
    protocol: 'TCP',
    port_range_min: '22',
    port_range_max: 22,
    remote_ip_prefix: '10.1.2.3/8',
    description: oddName,
  });
  assert.deepEqual(
    [ssh.protocol, ssh.port_range_min, ssh.remote_ip_prefix, ssh.normalized_cidr, ssh.ethertype, ssh.description],
    ['tcp', 22, '10.1.2.3/8', '10.0.0.0/8', 'IPv4', oddName],
  );
  assert.equal((await make({ protocol: 'icmp', ethertype: 'ipv6', port_range_min: 128 })).protocol, 'ipv6-icmp');
  assert.equal((await make({ protocol: 'any', ethertype: 'IPv6' })).protocol, null);
  assert.equal((await make({ protocol: 112 })).protocol, '112');
  assert.equal((await make({ protocol: 'udp', port_range_min: 1, port_range_max: 65535 })).port_range_min, null);
  assert.equal((await make({ remote_group_id: id })).remote_group_id, id);
  const rules = (await me.get(`/security-group-rules?security_group_id=${id}&direction=ingress`)).body
    .security_group_rules;
  assert.equal(rules.length, 6);
  assert.equal((await me.get(`/security-groups/${id}`)).body.security_group.revision_number, 7);
  assert.equal((await me.delete(`/security-group-rules/${ssh.id}`)).status, 204);
});

test('rules that cannot be, or are there already, are refused', async () => {
  const me = api.as(testCaller());
  const { id } = (await me.post('/security-groups', { security_group: { name: 'g' } })).body.security_group;
  const foreign = (await api.as(testCaller()).get('/security-groups')).body.security_groups[0].id;
  const tcp = { protocol: 'tcp', port_range_min: 80, port_range_max: 80 };
  const post = (over: object) =>
    me.post('/security-group-rules', { security_group_rule: { security_group_id: id, direction: 'ingress', ...over } });
  assert.equal((await post(tcp)).status, 201);
  const table: [object, number, string][] = [
    [tcp, 409, 'SecurityGroupRuleExists'],
    [{ ...tcp, protocol: '6', ethertype: 'IPv4' }, 409, 'SecurityGroupRuleExists'],
    [{ direction: 'up' }, 400, 'HTTPBadRequest'],
    [{ direction: undefined }, 400, 'HTTPBadRequest'],
    [{ ethertype: 'IPv5' }, 400, 'SecurityGroupRuleInvalidEtherType'],
    [{ protocol: 'bad' }, 400, 'SecurityGroupRuleInvalidProtocol'],
    [{ protocol: 300 }, 400, 'SecurityGroupRuleInvalidProtocol'],
    [{ ...tcp, port_range_min: -1 }, 400, 'SecurityGroupInvalidPortValue'],
    [{ ...tcp, port_range_min: 65536 }, 400, 'SecurityGroupInvalidPortValue'],
    [{ ...tcp, port_range_min: 0 }, 400, 'SecurityGroupInvalidPortValue'],
    [{ ...tcp, port_range_min: 90 }, 400, 'SecurityGroupInvalidPortRange'],
    [{ protocol: 'tcp', port_range_min: 80 }, 400, 'SecurityGroupInvalidPortRange'],
    [{ port_range_min: 1, port_range_max: 2 }, 400, 'SecurityGroupProtocolRequiredWithPorts'],
    [{ protocol: 'icmp', port_range_min: 256 }, 400, 'SecurityGroupInvalidIcmpValue'],
    [{ protocol: 'icmp', port_range_max: 1 }, 400, 'SecurityGroupMissingIcmpType'],
    [{ protocol: 'vrrp', port_range_min: 1, port_range_max: 2 }, 400, 'SecurityGroupInvalidProtocolForPort'],
    [{ protocol: 'ipv6-icmp' }, 400, 'SecurityGroupEthertypeConflictWithProtocol'],
    [{ remote_ip_prefix: 'x' }, 400, 'InvalidCIDR'],
    [{ remote_ip_prefix: '::/0' }, 400, 'SecurityGroupRuleParameterConflict'],
    [{ remote_ip_prefix: '10.0.0.0/8', remote_group_id: id }, 400, 'SecurityGroupMultipleRemoteEntites'],
    [{ remote_group_id: oddName }, 404, 'SecurityGroupNotFound'],
    [{ security_group_id: oddName }, 404, 'SecurityGroupNotFound'],
    [{ remote_group_id: newId() }, 404, 'SecurityGroupNotFound'],
    [{ remote_group_id: foreign }, 404, 'SecurityGroupNotFound'],
    [{ security_group_id: newId() }, 404, 'SecurityGroupNotFound'],
    [{ security_group_id: foreign }, 404, 'SecurityGroupNotFound'],
  ];
  for (const [over, status, type] of table) refused(await post(over), status, type);
  const udp = { security_group_id: id, direction: 'ingress', protocol: 'udp' };
  refused(
    await me.post('/security-group-rules', { security_group_rules: [udp, udp] }),
    409,
    'DuplicateSecurityGroupRuleInPost',
  );
  assert.equal(
    (await me.post('/security-group-rules', { security_group_rules: [udp, { ...udp, protocol: 'sctp' }] })).status,
    201,
  );
});

test('rules of several groups are made together, in the order asked for and within one quota, or not at all', async () => {
  const caller = testCaller();
  const me = api.as(caller);
  const groups: string[] = [];
  for (const name of ['a', 'b'])
    groups.push((await me.post('/security-groups', { security_group: { name } })).body.security_group.id);
  const rules = [1, 0].map((at) => ({
    ...{ security_group_id: groups[at], direction: 'ingress', ethertype: 'IPv4', protocol: 'tcp' },
  }));
  const has = async () => (await me.get('/security-group-rules')).body.security_group_rules.length;
  const before = await has();
  const quota = (security_group_rule: number) =>
    api.as(testAdmin()).put(`/quotas/${caller.projectId}`, { quota: { security_group_rule } });
  await quota(before + 1);
  refused(await me.post('/security-group-rules', { security_group_rules: rules }), 409, 'OverQuota');
  assert.equal(await has(), before);
  await quota(before + 2);
  const { body } = await me.post('/security-group-rules', { security_group_rules: rules });
  assert.deepEqual(
    body.security_group_rules.map((rule: { security_group_id: string }) => rule.security_group_id),
    rules.map((rule) => rule.security_group_id),
  );
  for (const id of groups)
    assert.equal((await me.get(`/security-groups/${id}`)).body.security_group.revision_number, 2);
});

test('a rule for any address is the rule without a prefix: the second of them is a duplicate', async () => {
  const me = api.as(testCaller());
  const group = (await me.post('/security-groups', { security_group: { name: 'g' } })).body.security_group;
  const rule = (over: object) =>
    me.post('/security-group-rules', {
      security_group_rule: { security_group_id: group.id, direction: 'ingress', protocol: 'tcp', ...over },
    });
  const first = await rule({ ethertype: 'IPv6' });
  assert.equal(first.status, 201);
  const refusal = await rule({ ethertype: 'IPv6', remote_ip_prefix: '::/0' });
  refused(refusal, 409, 'SecurityGroupRuleExists');
  assert.match(refusal.body.NeutronError.message, new RegExp(first.body.security_group_rule.id));
  assert.equal((await rule({ remote_ip_prefix: '0.0.0.0/0' })).status, 201);
  refused(await rule({}), 409, 'SecurityGroupRuleExists');
  assert.equal((await rule({ remote_ip_prefix: '10.0.0.0/8' })).status, 201, 'a real prefix is another rule');
});

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { newId } from '../../../contract/ids.ts';
import { testAdmin, testCaller } from '../../../control/network/testing.ts';
import { type Me, refused, testApi } from './testing.ts';

const api = await testApi();
const admin = api.as(testAdmin());
// biome-ignore lint/suspicious/noExplicitAny: tests look into answers as a client does
type Body = any;

const path = '/default-security-group-rules';
const tcp = (port: number, over: object = {}) => ({
  ...{ direction: 'ingress', protocol: 'tcp', port_range_min: port, port_range_max: port },
  ...over,
});
const create = (rule: object) => admin.post(path, { default_security_group_rule: rule });
const made: string[] = [];

async function created(rule: object): Promise<Body> {
  const { status, body } = await create(rule);
  assert.equal(status, 201, JSON.stringify(body));
  made.push(body.default_security_group_rule.id);
  return body.default_security_group_rule;
}

const removed = async () => {
  for (const id of made.splice(0)) await admin.delete(`${path}/${id}`);
};
after(removed);

/** The rules of a new project's default group, and of another new group of it. */
async function begun(): Promise<{ standard: Body; other: Body }> {
  const me: Me = api.as(testCaller());
  const other = (await me.post('/security-groups', { security_group: { name: 'g' } })).body.security_group;
  const [standard] = (await me.get('/security-groups?name=default')).body.security_groups;
  return { standard, other };
}
const portsOf = (group: Body) =>
  group.security_group_rules.map((rule: Body) => rule.port_range_min).filter((port: unknown) => port !== null);

test('the first day of a cloud has a template of all out, and in from the same group', async () => {
  const { default_security_group_rules: rules } = (await api.as(testCaller(['reader'])).get(path)).body;
  const words = rules.map((rule: Body) =>
    [rule.direction, rule.ethertype, rule.remote_group_id, rule.used_in_default_sg, rule.used_in_non_default_sg].join(),
  );
  assert.deepEqual(words.sort(), [
    'egress,IPv4,,true,true',
    'egress,IPv6,,true,true',
    'ingress,IPv4,PARENT,true,false',
    'ingress,IPv6,PARENT,true,false',
  ]);
});

test('new groups begin with the rules for their kind; those that are there keep theirs', async () => {
  const before = await begun();
  await created(tcp(22, { used_in_default_sg: true, used_in_non_default_sg: false, remote_group_id: 'PARENT' }));
  await created(tcp(80, { description: '小屋' }));
  await created(tcp(443, { used_in_default_sg: true }));
  const { standard, other } = await begun();
  assert.deepEqual(
    [portsOf(standard), portsOf(other)],
    [
      [22, 443],
      [80, 443],
    ],
  );
  const ssh = standard.security_group_rules.find((rule: Body) => rule.port_range_min === 22);
  assert.equal(ssh.remote_group_id, standard.id, 'PARENT is the group itself');
  assert.deepEqual([portsOf(before.standard), portsOf(before.other)], [[], []]);
  await removed();
  assert.deepEqual(portsOf((await begun()).other), []);
});

test('without any rule a new group lets nothing through, and is made all the same', async () => {
  const all: Body[] = (await admin.get(path)).body.default_security_group_rules;
  for (const { id } of all) assert.equal((await admin.delete(`${path}/${id}`)).status, 204);
  const { standard, other } = await begun();
  assert.deepEqual([standard.security_group_rules, other.security_group_rules], [[], []]);
  const rules = all.map(({ id: _, ...rule }) => rule);
  assert.equal((await admin.post(path, { default_security_group_rules: rules })).status, 201);
  assert.equal((await begun()).standard.security_group_rules.length, 4);
});

test('a rule that a kind of group would have twice is refused, in one request and beside what is there', async () => {
  await created(tcp(25, { used_in_default_sg: true, used_in_non_default_sg: false }));
  const same = tcp(25, { protocol: '6', used_in_default_sg: true });
  refused(await create(same), 409, 'DefaultSecurityGroupRuleExists', /Rule id is/);
  await created(tcp(25));
  const both = { default_security_group_rules: [tcp(26), tcp(26)] };
  refused(await admin.post(path, both), 409, 'DuplicateDefaultSgRuleInPost');
  assert.deepEqual((await admin.get(`${path}?port_range_min=26`)).body.default_security_group_rules, []);
  await removed();
});

test('what a rule names must be there; it goes with a group, and keeps an address group', async () => {
  const me = api.as(testCaller());
  refused(await create(tcp(22, { remote_group_id: newId() })), 404, 'SecurityGroupNotFound');
  refused(await create(tcp(22, { remote_group_id: 'parent' })), 404, 'SecurityGroupNotFound');
  refused(await create(tcp(22, { remote_address_group_id: newId() })), 404, 'AddressGroupNotFound');
  const group = (await me.post('/security-groups', { security_group: { name: 'g' } })).body.security_group;
  const addresses = (await me.post('/address-groups', { address_group: {} })).body.address_group;
  const byGroup = await created(tcp(23, { remote_group_id: group.id }));
  const byAddresses = await created(tcp(24, { remote_address_group_id: addresses.id }));
  assert.equal((await begun()).other.security_group_rules.length, 4);
  assert.equal((await me.delete(`/security-groups/${group.id}`)).status, 204);
  refused(await admin.get(`${path}/${byGroup.id}`), 404, 'DefaultSecurityGroupRuleNotFound');
  refused(await me.delete(`/address-groups/${addresses.id}`), 409, 'AddressGroupInUse');
  assert.equal((await admin.delete(`${path}/${byAddresses.id}`)).status, 204);
  await removed();
});

test('what no rule of a group can be is none of the template, and it has an end', async () => {
  refused(await create({ direction: 'ingress', port_range_min: 1 }), 400, 'SecurityGroupProtocolRequiredWithPorts');
  refused(await create({ protocol: 'tcp' }), 400, 'HTTPBadRequest', /direction/);
  const remotes = { remote_group_id: 'PARENT', remote_ip_prefix: '10.0.0.0/8' };
  refused(await create(tcp(22, remotes)), 400, 'SecurityGroupMultipleRemoteEntites');
  const many = Array.from({ length: 101 }, (_, n) => tcp(n + 1));
  refused(await admin.post(path, { default_security_group_rules: many }), 400, 'InvalidInput', /at most 100/);
});

test('the rules of the template count against the quota of a new group', async () => {
  const caller = testCaller();
  const me = api.as(caller);
  await me.get('/security-groups');
  const { projectId } = caller;
  assert.equal((await admin.put(`/quotas/${projectId}`, { quota: { security_group_rule: 6 } })).status, 200);
  await created(tcp(22));
  refused(await me.post('/security-groups', { security_group: { name: 'g' } }), 409, 'OverQuota');
  await removed();
  assert.equal((await me.post('/security-groups', { security_group: { name: 'g' } })).status, 201);
});

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { newId } from '../../../contract/ids.ts';
import { callerOf, oddName } from '../../../control/compute/server/testing.ts';
import { testProject } from '../../../control/kit/database/testing.ts';
import { type ComputeApi, computeApi } from './testing.ts';

let api: ComputeApi;
before(async () => {
  api = await computeApi();
});
after(() => api[Symbol.asyncDispose]());

const member = (method: string, path: string, body?: unknown, version = 35) =>
  api.call(api.cloud.member, method, path, { version, ...(body !== undefined && { body }) });
const group = (name: string, description = '') => ({ security_group: { name, description } });
const makeGroup = async (name: string): Promise<string> =>
  (await member('POST', '/os-security-groups', group(name))).body.security_group.id;
const makeRule = (rule: object) => member('POST', '/os-security-group-rules', { security_group_rule: rule });

test('a security group is made, shown, changed and deleted until 2.35, and is the network’s from 2.36 on', async () => {
  const made = await member('POST', '/os-security-groups', group(oddName, 'first'));
  assert.equal(made.status, 200, JSON.stringify(made.body));
  const { id } = made.body.security_group;
  const spaced = await member('POST', '/os-security-groups', group(' a  name '));
  assert.equal(spaced.body.security_group.name, ' a  name ', 'a name is kept as it was given');
  assert.equal((await member('DELETE', `/os-security-groups/${spaced.body.security_group.id}`)).status, 202);
  assert.deepEqual(made.body.security_group, {
    ...{ id, name: oddName, description: 'first', tenant_id: api.cloud.projectId, rules: [] },
  });
  const changed = await member('PUT', `/os-security-groups/${id}`, group('other', 'second'));
  assert.deepEqual([changed.status, changed.body.security_group.description], [200, 'second']);
  const listed = (await member('GET', '/os-security-groups')).body.security_groups;
  assert.deepEqual(
    listed.map(({ name }: { name: string }) => name),
    ['default', 'other'],
  );
  assert.equal((await member('GET', `/os-security-groups/${id}`, undefined, 36)).status, 404);
  assert.equal((await member('DELETE', `/os-security-groups/${id}`)).status, 202);
  assert.equal((await member('GET', `/os-security-groups/${id}`)).status, 404);
});

test('rules are told as Nova did: a range of ports, from addresses or from a group', async () => {
  const [parent_group_id, group_id] = [await makeGroup('a'), await makeGroup('b')];
  const tcp = await makeRule({ parent_group_id, ip_protocol: 'tcp', from_port: '22', to_port: 80, cidr: '10.0.0.0/8' });
  assert.equal(tcp.status, 200, JSON.stringify(tcp.body));
  const { id, ...shown } = tcp.body.security_group_rule;
  const ip_range = { cidr: '10.0.0.0/8' };
  assert.deepEqual(shown, {
    ...{ parent_group_id, ip_protocol: 'tcp', from_port: 22, to_port: 80, group: {}, ip_range },
  });
  const ping = await makeRule({ parent_group_id, ip_protocol: 'ICMP', from_port: -1, to_port: -1, group_id });
  assert.deepEqual(ping.body.security_group_rule.group, { name: 'b', tenant_id: api.cloud.projectId });
  assert.equal(ping.body.security_group_rule.to_port, -1);
  const six = await makeRule({ parent_group_id, ip_protocol: 'udp', from_port: 53, to_port: 53, cidr: '::/0' });
  assert.deepEqual(six.body.security_group_rule.ip_range, { cidr: '::/0' });
  const { rules } = (await member('GET', `/os-security-groups/${parent_group_id}`)).body.security_group;
  assert.equal(rules.length, 3);
  assert.equal((await member('DELETE', `/os-security-group-rules/${id}`)).status, 202);
  assert.equal((await member('DELETE', `/os-security-group-rules/${id}`)).status, 404);
});

test('what is no rule is refused, and never taken for a wider one', async () => {
  const parent_group_id = await makeGroup('refusing');
  const tcp = { parent_group_id, ip_protocol: 'tcp', from_port: 22, to_port: 22 };
  assert.equal((await makeRule(tcp)).status, 200);
  for (const [change, status] of [
    [{}, 400],
    [{ from_port: -1, to_port: -1 }, 400],
    [{ from_port: 90, to_port: 80 }, 400],
    [{ to_port: 65_536 }, 400],
    [{ ip_protocol: 'xyz' }, 400],
    [{ ip_protocol: null }, 400],
    [{ cidr: '10.0.0.0/99' }, 400],
    [{ parent_group_id: '12' }, 400],
    [{ parent_group_id: newId() }, 404],
    [{ group_id: newId() }, 404],
  ] as const) {
    const answer = await makeRule({ ...tcp, ...change });
    assert.equal(answer.status, status, JSON.stringify([change, answer.body]));
  }
  assert.equal((await member('GET', `/os-security-groups/${parent_group_id}`)).body.security_group.rules.length, 1);
});

test('the default group stays, a group of others is not there, and readers only read', async () => {
  const all = (await member('GET', '/os-security-groups')).body.security_groups;
  const fallback = all.find(({ name }: { name: string }) => name === 'default');
  assert.equal((await member('DELETE', `/os-security-groups/${fallback.id}`)).status, 400);
  assert.equal((await member('DELETE', '/os-security-groups/12')).status, 400);
  const id = await makeGroup('mine');
  const stranger = callerOf(await testProject(api.db.database));
  const reader = callerOf(api.cloud.projectId, ['reader']);
  for (const method of ['GET', 'PUT', 'DELETE']) {
    const options = { version: 1, ...(method === 'PUT' && { body: group('x') }) };
    const path = `/os-security-groups/${id}`;
    assert.equal((await api.call(stranger, method, path, options)).status, 404);
    assert.equal((await api.call(reader, method, path, options)).status, method === 'GET' ? 200 : 403);
  }
});

test('administrators may list the groups of all projects; others’ wish for it is overlooked', async () => {
  const other = callerOf(await testProject(api.db.database));
  const made = await api.call(other, 'POST', '/os-security-groups', { body: group('theirs') });
  const { id } = made.body.security_group;
  const seen = async (caller: typeof other, query: string) =>
    (await api.call(caller, 'GET', `/os-security-groups${query}`)).body.security_groups.some(
      (row: { id: string }) => row.id === id,
    );
  assert.equal(await seen(api.cloud.admin, '?all_tenants=true'), true);
  assert.equal(await seen(api.cloud.admin, '?all_tenants=0'), false);
  assert.equal(await seen(api.cloud.admin, ''), false);
  assert.equal(await seen(api.cloud.member, '?all_tenants=1'), false);
});

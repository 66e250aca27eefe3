import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testCaller } from '../../../control/network/testing.ts';
import { readIfMatch } from './if-match.ts';
import { newNetwork, newSubnet, testApi } from './testing.ts';

const api = await testApi();
const me = api.as(testCaller());

async function call(method: 'PUT' | 'DELETE', path: string, ifMatch: string, payload?: object) {
  const answer = await api.app.inject({
    method,
    url: `/network/v2.0${path}`,
    headers: { 'x-auth-token': me.token, 'if-match': ifMatch },
    ...(payload ? { payload } : {}),
  });
  return { status: answer.statusCode, body: answer.body === '' ? undefined : answer.json() };
}

test('of two who change one revision of a resource a single one does, whatever the resource', async () => {
  const network_id = await newNetwork(me);
  const subnet = await newSubnet(me, network_id, '10.0.0.0/24');
  const made: [path: string, single: string, row: { id: string; revision_number: number }][] = [
    ['networks', 'network', (await me.get(`/networks/${network_id}`)).body.network],
    ['subnets', 'subnet', subnet],
    ['ports', 'port', (await me.post('/ports', { port: { network_id } })).body.port],
    ['routers', 'router', (await me.post('/routers', { router: {} })).body.router],
    [
      'security-groups',
      'security_group',
      (await me.post('/security-groups', { security_group: { name: 'g' } })).body.security_group,
    ],
    [
      'subnetpools',
      'subnetpool',
      (await me.post('/subnetpools', { subnetpool: { name: 'p', prefixes: ['10.0.0.0/8'] } })).body.subnetpool,
    ],
    ['address-groups', 'address_group', (await me.post('/address-groups', { address_group: {} })).body.address_group],
  ];
  for (const [path, single, { id, revision_number }] of made) {
    const at = `revision_number=${revision_number}`;
    const change = (name: string) => call('PUT', `/${path}/${id}`, at, { [single]: { name } });
    const statuses = (await Promise.all([change('a'), change('b')])).map(({ status }) => status).sort();
    assert.deepEqual(statuses, [200, 412], path);
    const { status, body } = await call('DELETE', `/${path}/${id}`, `"${at}"`);
    assert.deepEqual([status, body.NeutronError.type], [412, 'RevisionNumberConstraintFailed'], path);
    assert.match(body.NeutronError.message, new RegExp(`^Constrained to ${revision_number}, but current revision is `));
  }
  const { body } = await me.get(`/ports/${made[2]![2].id}`);
  const tags = (revision: number) =>
    call('PUT', `/ports/${body.port.id}/tags`, `revision_number=${revision}`, { tags: ['x'] });
  assert.equal((await tags(body.port.revision_number - 1)).status, 412);
  assert.equal((await tags(body.port.revision_number)).status, 200);
});

test('a condition that is none is refused, and those of others are overlooked', () => {
  assert.equal(readIfMatch(undefined), undefined);
  assert.equal(readIfMatch('"abc", *'), undefined);
  assert.equal(readIfMatch('"abc", "revision_number=7"'), 7);
  assert.throws(() => readIfMatch('revision_number=x'), { code: 'invalid' });
  assert.throws(() => readIfMatch('revision_number='), { code: 'invalid' });
  assert.throws(() => readIfMatch('revision_number=1, revision_number=2'), { code: 'invalid' });
});

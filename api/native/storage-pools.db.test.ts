/** Storage pools as administrators declare and steer them. What a host makes of them: test/simulated/declared-pools.db.test.ts. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { type HostId, newId, newOrderedId } from '../../contract/ids.ts';
import { declaredPools, recordPools } from '../../control/storage/pool/index.ts';
import { testPool } from '../../control/storage/testing.ts';
import type { TestApi } from '../openstack/identity/testing.ts';
import { nativeApi } from './testing.ts';

let api: TestApi;
before(async () => {
  api = await nativeApi();
});
after(() => api[Symbol.asyncDispose]());

const call = async (method: 'GET' | 'POST' | 'PATCH' | 'DELETE', path: string, body?: object) => {
  const answer = await api.call({
    method,
    path: `/native/v1/storage-pools${path}`,
    token: api.admin,
    ...(body && { body }),
  });
  return { status: answer.status, body: answer.body, reason: answer.body?.error?.reason };
};
const db = () => api.cloud.db.database.query;
const wish = (hostId: string, over: object = {}) => ({
  storage_pool: { host_id: hostId, name: 'fast', tier: 'flash', kind: 'directory', source: '/srv/小屋', ...over },
});

test('a pool is declared, changed, closed and removed; its host is told what it is and says how it is', async () => {
  const hostId = (await testPool(api.cloud.db.database)).host_id;
  const made = await call('POST', '', wish(hostId, { iops_per_volume: 500, reserved_percentage: 5 }));
  assert.equal(made.status, 201);
  const { id, from, problem, enabled } = made.body.storage_pool;
  assert.deepEqual([from, /not looked/.test(problem), enabled], ['api', true, true]);
  const told = async () => (await declaredPools(db(), [hostId])).get(hostId);
  const document = { name: 'fast', tier: 'flash', kind: 'directory', source: '/srv/小屋', iopsPerVolume: 500 };
  assert.deepEqual(await told(), [document]);
  // As the host says it, whatever it says of what the pool is.
  const levels = { totalBytes: 9, freeBytes: 4, problem: null };
  const said = { name: 'fast', tier: 'ram', kind: 'block-device', declared: true, ...levels } as const;
  await recordPools(db(), hostId, [said]);
  const seen = (await call('GET', `/${id}`)).body.storage_pool;
  assert.deepEqual([seen.tier, seen.total_bytes, seen.problem, seen.reserved_percentage], ['flash', 9, null, 5]);

  const changes = { tier: 'disk', iops_per_volume: null, enabled: false, disabled_reason: 'to be drained' };
  const changed = await call('PATCH', `/${id}`, { storage_pool: changes });
  assert.deepEqual([changed.status, changed.body.storage_pool.disabled_reason], [200, 'to be drained']);
  assert.deepEqual(await told(), [{ name: 'fast', tier: 'disk', kind: 'directory', source: '/srv/小屋' }]);
  assert.equal((await call('GET', `?host_id=${hostId}`)).body.storage_pools.length, 2);
  assert.equal((await call('GET', `?host_id=${newId()}`)).body.storage_pools.length, 0);

  assert.equal((await call('DELETE', `/${id}`)).status, 204);
  // The host has not heard of it yet, and says what it has: nothing comes back.
  await recordPools(db(), hostId, [said]);
  assert.deepEqual([await told(), (await call('GET', `/${id}`)).status], [undefined, 404]);
});

test('what can be no pool is refused by name, and nothing is made', async () => {
  const { host_id: hostId } = await testPool(api.cloud.db.database);
  const refused = async (reason: string | undefined, status: number, over: object) => {
    const answer = await call('POST', '', wish(hostId, over));
    assert.deepEqual([answer.status, answer.reason], [status, reason], JSON.stringify(over));
  };
  await refused('storage_pool_name_taken', 409, { name: 'local' });
  await refused('storage_pool_host_not_found', 400, { host_id: newId() });
  await refused('storage_pool_source_unfit', 400, { source: 'srv' });
  await refused('storage_pool_source_unfit', 400, { source: '/' });
  await refused('storage_pool_source_unfit', 400, { kind: 'block-device', source: 'UUID=1' });
  await refused(undefined, 400, { tier: 'tape' });
  await refused(undefined, 400, { name: 'Fast 小屋' });
  await refused(undefined, 400, { over_subscription: 0.5 });
  assert.equal((await call('POST', '', wish(hostId))).status, 201);
  await refused('storage_pool_place_taken', 409, { name: 'other' });
  assert.equal((await call('GET', `?host_id=${hostId}`)).body.storage_pools.length, 2);
});

test('a name that a body has not is answered with those it has', async () => {
  const said = (body: object) => call('POST', '', body).then((answer) => [answer.status, answer.body.error.message]);
  const known = 'host_id, name, tier, kind, source';
  const [status, message] = await said(wish(newId(), { colour: 'red' }));
  assert.equal(status, 400);
  assert.ok(message.startsWith(`storage_pool has no colour; there are ${known}`), message);
  assert.deepEqual(await said({ pool: {}, storage_pool: wish(newId()).storage_pool }), [
    400,
    'the body has no pool; there are storage_pool',
  ]);
});

test('of one pool asked for many times at once one is made', async () => {
  const { host_id: hostId } = await testPool(api.cloud.db.database);
  const answers = await Promise.all(Array.from({ length: 8 }, () => call('POST', '', wish(hostId))));
  assert.deepEqual(answers.map(({ status }) => status).sort(), [201, ...Array(7).fill(409)]);
});

test('what the settings of a host name they alone say; here it is closed and opened', async () => {
  const { id, host_id: hostId } = await testPool(api.cloud.db.database);
  const changed = await call('PATCH', `/${id}`, { storage_pool: { tier: 'ram' } });
  assert.deepEqual([changed.status, changed.reason], [409, 'storage_pool_of_settings']);
  assert.match(changed.body.error.message, /bothy\.conf/);
  assert.equal((await call('PATCH', `/${id}`, { storage_pool: { enabled: false } })).body.storage_pool.enabled, false);
  assert.equal((await call('DELETE', `/${id}`)).reason, 'storage_pool_of_settings');
  // Its settings name it no more.
  await recordPools(db(), hostId, []);
  assert.equal((await call('DELETE', `/${id}`)).status, 204);
});

test('settings that name a declared pool take it over', async () => {
  const { host_id: hostId } = await testPool(api.cloud.db.database, { hostId: newOrderedId<HostId>() });
  const { id } = (await call('POST', '', wish(hostId))).body.storage_pool;
  const named = { name: 'fast', tier: 'disk', kind: 'directory', totalBytes: 9, freeBytes: 4, problem: null } as const;
  await recordPools(db(), hostId, [named]);
  const { from, tier, source } = (await call('GET', `/${id}`)).body.storage_pool;
  assert.deepEqual([from, tier, source, (await declaredPools(db(), [hostId])).size], ['settings', 'disk', null, 0]);
});

test('a pool with layers in it stays', async () => {
  const { host_id: hostId } = await testPool(api.cloud.db.database);
  const { id } = (await call('POST', '', wish(hostId))).body.storage_pool;
  await sql`insert into volume_layer (id, host_id, pool_id, volume_id, size_bytes)
    values (${newOrderedId()}, ${hostId}, ${id}, ${newId()}, 1)`.execute(db());
  const answer = await call('DELETE', `/${id}`);
  assert.deepEqual(
    [answer.status, answer.reason, answer.body.error.details.layers],
    [409, 'storage_pool_not_empty', 1],
  );
});

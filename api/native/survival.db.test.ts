/** What would survive, as administrators ask for it. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { newId } from '../../contract/ids.ts';
import { serverCloud } from '../../control/compute/server/testing.ts';
import { makeTenant, type TestApi } from '../openstack/identity/testing.ts';
import { nativeApi } from './testing.ts';

let api: TestApi;
before(async () => {
  api = await nativeApi();
});
after(() => api[Symbol.asyncDispose]());

const call = (method: 'GET' | 'PUT', path: string, body?: unknown, token = api.admin) =>
  api.call({ method, path: `/native/v1${path}`, token, ...(body !== undefined && { body }) });

test('the loss of a host and of a rack is told in numbers and server by server, to administrators alone', async () => {
  const cloud = await serverCloud(api.cloud.db.database);
  const [a, b] = [await cloud.addHost({ name: 'ø 1' }), await cloud.addHost({ name: 'ø 2' })];
  const flavor = await cloud.addFlavor();
  const { ids } = await cloud.service.create(cloud.admin, cloud.wish({ flavor, requestedHost: 'ø 1' }));
  await cloud.controller.reconcile(ids[0]!);
  await sql`update server set evacuation_policy = '{"restart": "elsewhere", "priority": 3, "disk": "from_image"}'`.execute(
    cloud.database.query,
  );
  for (const id of [a, b]) {
    const said = await call('PUT', `/hosts/${id}/failure-domains`, { failure_domains: { rack: '7/ø' } });
    assert.deepEqual([said.status, said.body], [200, { failure_domains: { rack: '7/ø' } }]);
  }
  assert.deepEqual((await call('GET', `/hosts/${a}/failure-domains`)).body, { failure_domains: { rack: '7/ø' } });
  const { survival } = (await call('GET', '/survival')).body;
  const down = { not_wanted: 0, disk_kept: 0, no_host: 0 };
  assert.deepEqual(survival, [
    { kind: 'host', name: 'ø 1', host_ids: [a], servers: 1, restarted: 1, down, change: null },
    { kind: 'host', name: 'ø 2', host_ids: [b], servers: 0, restarted: 0, down, change: null },
    {
      kind: 'rack',
      name: '7/ø',
      host_ids: [a, b],
      servers: 1,
      restarted: 0,
      down: { ...down, no_host: 1 },
      change: null,
    },
  ]);
  const one = (await call('GET', `/survival/host/${a}`)).body.survival;
  assert.deepEqual(one, (await call('GET', `/survival/host/${encodeURIComponent('ø 1')}`)).body.survival);
  assert.deepEqual(
    one.servers.map(({ server_id, priority, to_host_id, why }: Record<string, unknown>) => [
      server_id,
      priority,
      to_host_id,
      why,
    ]),
    [[ids[0], 3, b, null]],
  );
  const rack = (await call('GET', `/survival/rack/${encodeURIComponent('7/ø')}`)).body.survival;
  assert.deepEqual([rack.servers[0].why, rack.servers[0].message], ['no_host', 'every host is not connected']);
  for (const path of ['/survival/rack/8', '/survival/row/7', `/hosts/${newId()}/failure-domains`])
    assert.equal((await call('GET', path)).status, 404, path);
  assert.equal((await call('PUT', `/hosts/${a}/failure-domains`, { failure_domains: { row: '1' } })).status, 400);
  const tenant = await makeTenant(api);
  for (const path of ['/survival', `/survival/host/${a}`, `/hosts/${a}/failure-domains`])
    assert.equal((await call('GET', path, undefined, tenant.token)).status, 403, path);
});

/** What is kept for the loss of a host, which hosts sleep, and what they take: as administrators ask for it. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { serverCloud } from '../../control/compute/server/testing.ts';
import { makeTenant, type TestApi } from '../openstack/identity/testing.ts';
import { nativeApi } from './testing.ts';

let api: TestApi;
before(async () => {
  api = await nativeApi();
});
after(() => api[Symbol.asyncDispose]());

const call = (method: 'GET' | 'PUT' | 'POST', path: string, body?: unknown, token = api.admin) =>
  api.call({ method, path: `/native/v1${path}`, token, ...(body !== undefined && { body }) });

test('a wish for which there would be no room is refused with what is in the way, once the loss of a host shall be survived', async () => {
  const cloud = await serverCloud(api.cloud.db.database);
  const [a, b] = [await cloud.addHost({ name: 'ø 1', vcpus: 4 }), await cloud.addHost({ name: 'ø 2', vcpus: 4 })];
  const said = await call('PUT', '/reserve', { reserve: { survive: 'host' } });
  assert.deepEqual(
    [said.status, said.body.reserve],
    [200, { survive: 'host', servers: 0, kept: 0, hosts: [], without: [] }],
  );
  const server = async (requestedHost: string) => {
    const flavor = await cloud.addFlavor({ vcpus: 3 });
    const { ids } = await cloud.service.create(cloud.admin, cloud.wish({ flavor, requestedHost }));
    await cloud.controller.reconcile(ids[0]!);
    return ids[0]!;
  };
  const [first, second] = [await server('ø 1'), await server('ø 2')];
  const guard = (id: string) =>
    call('PUT', `/servers/${id}/evacuation-policy`, {
      evacuation_policy: { restart: 'elsewhere', disk: 'from_image' },
    });
  const { status, body } = await guard(first);
  assert.deepEqual([status, body.error.code, body.error.reason], [409, 'no_capacity', 'no_refuge']);
  assert.match(body.error.message, /hosts keep room so that the loss of one is survived/i);
  await sql`delete from server where id = ${second}`.execute(cloud.database.query);
  assert.equal((await guard(first)).status, 200);
  const { reserve } = (await call('GET', '/reserve')).body;
  assert.deepEqual(
    [reserve.kept, reserve.hosts],
    [1, [{ id: b, name: 'ø 2', vcpus: 3, memory_mib: 512, disk_gib: 1 }]],
  );
  const tenant = await makeTenant(api);
  assert.equal((await call('GET', '/reserve', undefined, tenant.token)).status, 403);
  const { consolidation } = (await call('GET', '/consolidation')).body;
  assert.deepEqual([consolidation.policy, consolidation.sleep, consolidation.standby], ['off', null, []]);
  const wake = await call('POST', `/hosts/${a}/wake`);
  assert.deepEqual([wake.status, wake.body.error.reason], [404, 'host_standby_not_found']);
  const { power } = (await call('GET', '/power')).body;
  assert.deepEqual([power.watts, power.unknown, power.hosts.length], [0, 2, 2]);
});

/** Pools as Cinder's services, hosts and backends, and what came to nothing. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { newId } from '../../../contract/ids.ts';
import { recordOperation } from '../../../control/kit/operation/operations.ts';
import { volumeApi } from './testing.ts';

const api = await volumeApi();
after(() => api[Symbol.asyncDispose]());
const { member, admin } = api.cloud;
const call = async (who: typeof member, method: string, path: string, body?: unknown, version = 70) => {
  const answer = await api.call(who, method, path, { version, ...(body !== undefined && { body }) });
  return { status: answer.status, body: answer.body };
};

before(async () => {
  const host = await api.cloud.addHost({ name: 'store-1' });
  await sql`delete from storage_pool where host_id = ${host}`.execute(api.db.database.query);
  await sql`insert into storage_pool (id, host_id, name, tier, kind, total_bytes, free_bytes)
    values (${newId()}, ${host}, 'fast', 'flash', 'directory', ${100 * 1024 ** 3}, ${50 * 1024 ** 3})`.execute(
    api.db.database.query,
  );
});
const services = async (query = '') => (await call(admin, 'GET', `/os-services${query}`)).body.services;

test('a pool is a service of its host, and is closed and opened as one', async () => {
  const [scheduler, pool] = await services();
  assert.deepEqual([scheduler.binary, scheduler.state], ['cinder-scheduler', 'up']);
  assert.deepEqual(
    [pool.binary, pool.host, pool.status, pool.backend_state],
    ['cinder-volume', 'store-1@fast', 'enabled', 'up'],
  );
  assert.equal((await services('?host=store-1')).length, 1);
  assert.equal((await services('?host=store-1@fast&binary=cinder-volume')).length, 1);
  assert.equal((await services('?host=store')).length, 0);
  const named = { host: 'store-1@fast', binary: 'cinder-volume' };
  const closed = await call(admin, 'PUT', '/os-services/disable-log-reason', { ...named, disabled_reason: 'moving' });
  assert.deepEqual([closed.status, closed.body.disabled, closed.body.disabled_reason], [200, true, 'moving']);
  const { rows } = await sql<{ disabled: boolean }>`select disabled from storage_pool where name = 'fast'`.execute(
    api.db.database.query,
  );
  assert.equal(rows[0]!.disabled, true);
  assert.equal((await services('?binary=cinder-volume'))[0].disabled_reason, 'moving');
  assert.equal((await call(admin, 'PUT', '/os-services/enable', named)).status, 200);
  assert.equal((await services('?binary=cinder-volume'))[0].status, 'enabled');
  assert.equal((await call(admin, 'PUT', '/os-services/disable', { ...named, host: 'none@fast' })).status, 404);
  assert.equal((await call(admin, 'PUT', '/os-services/disable', { host: 'store-1@fast' })).status, 400);
  assert.equal(
    (await call(admin, 'PUT', '/os-services/disable', { host: 'control', binary: 'cinder-scheduler' })).status,
    404,
  );
  assert.equal((await call(member, 'GET', '/os-services')).status, 403);
});

test('a pool that is frozen takes nothing until it is thawed, and none fails over', async () => {
  const host = 'store-1@fast';
  assert.equal((await call(admin, 'PUT', '/os-services/freeze', { host })).status, 200);
  const [frozen] = await services('?binary=cinder-volume');
  assert.deepEqual([frozen.frozen, frozen.status, frozen.disabled_reason], [true, 'disabled', 'frozen']);
  assert.equal((await call(admin, 'PUT', '/os-services/thaw', { host })).status, 200);
  assert.equal((await services('?binary=cinder-volume'))[0].frozen, false);
  for (const path of ['failover_host', 'failover']) {
    const { status, body } = await call(admin, 'PUT', `/os-services/${path}`, { host, backend_id: 'x' });
    assert.equal(status, 400);
    assert.match(body.badRequest.message, /replicas of their volumes are on several hosts.*replica\/failover/);
  }
  assert.equal((await call(admin, 'PUT', '/os-services/set-log', { level: 'DEBUG' })).status, 400);
  assert.equal((await call(admin, 'PUT', '/os-services/get-log', {})).body.log_levels.length, 1);
  assert.equal((await call(admin, 'PUT', '/os-services/get-log', {}, 31)).status, 404);
});

test('hosts, pools and zones tell of the same place in their own words', async () => {
  const hosts = (await call(admin, 'GET', '/os-hosts')).body.hosts;
  assert.deepEqual(
    hosts.map((one: { host_name: string }) => one.host_name),
    ['control', 'store-1@fast'],
  );
  const { host } = (await call(admin, 'GET', '/os-hosts/store-1@fast')).body;
  assert.deepEqual([host[0].resource.project, host[0].resource.volume_count], ['(total)', '0']);
  assert.equal((await call(admin, 'GET', '/os-hosts/none')).status, 404);
  assert.equal((await call(admin, 'PUT', '/os-hosts/store-1@fast', { status: 'Disable' })).body.status, 'disabled');
  assert.equal((await call(admin, 'PUT', '/os-hosts/store-1@fast', { status: 'enable' })).body.status, 'enabled');
  assert.equal((await call(admin, 'PUT', '/os-hosts/store-1@fast', { status: 'burn' })).status, 400);
  const [pool] = (await call(admin, 'GET', '/scheduler-stats/get_pools?detail=True')).body.pools;
  assert.equal(pool.name, 'store-1@fast#fast');
  const { capabilities: can } = pool;
  assert.deepEqual(
    [can.vendor_name, can.total_capacity_gb, can.free_capacity_gb, can.QoS_support],
    ['Bothy', 100, 50, true],
  );
  const shown = (await call(admin, 'GET', `/capabilities/${encodeURIComponent(pool.name)}`)).body;
  assert.deepEqual([shown.storage_protocol, shown.pool_name], [can.storage_protocol, 'fast']);
  assert.equal((await call(admin, 'GET', '/capabilities/none')).status, 404);
  const ways = async (change: ReturnType<typeof sql>) => {
    await change.execute(api.db.database.query);
    const { storage_protocol, vendor_name } = (await call(admin, 'GET', '/capabilities/store-1@fast')).body;
    return [storage_protocol, vendor_name];
  };
  assert.equal(can.storage_protocol, 'file');
  const portal = JSON.stringify({ iscsiPortal: '192.0.2.1:3260' });
  assert.deepEqual(await ways(sql`update host set facts = facts || ${portal}::jsonb`), ['iSCSI', 'Bothy']);
  assert.deepEqual(await ways(sql`update storage_pool set kind = 'rbd'`), ['ceph', 'Ceph']);
  await sql`update storage_pool set kind = 'directory'`.execute(api.db.database.query);
  const zones = (await call(member, 'GET', '/os-availability-zone')).body.availabilityZoneInfo;
  assert.deepEqual(zones, [{ zoneName: 'nova', zoneState: { available: true } }]);
});

test('pools are filtered by name and by the type that shall lie in them, and by nothing else', async () => {
  const type = async (name: string, specs: object) =>
    call(admin, 'POST', '/types', { volume_type: { name, extra_specs: specs } });
  await type('quick', { 'bothy:tier': 'flash' });
  await type('lazy', { 'bothy:tier': 'disk' });
  const found = async (query: string, version = 70) =>
    (await call(admin, 'GET', `/scheduler-stats/get_pools?${query}`, undefined, version)).body.pools?.length;
  assert.deepEqual(
    await Promise.all(
      ['volume_type=quick', 'volume_type=lazy', 'name=store-1%40fast%23fast', 'name=x'].map((query) => found(query)),
    ),
    [1, 0, 1, 0],
  );
  assert.equal(await found('volume_type=lazy', 34), 1);
  assert.equal((await call(admin, 'GET', '/scheduler-stats/get_pools?color=red')).status, 400);
  assert.equal((await call(admin, 'GET', '/scheduler-stats/get_pools?volume_type=none')).status, 404);
});

test('what came to nothing is told with its reason to whose it is, until they have read it', async () => {
  const resource = newId();
  const fail = (verb: string, code: string, message: string) =>
    api.db.database.transaction({ actorId: member.userId, requestId: 'req-1' }, (tx) =>
      recordOperation(
        tx,
        { actorId: member.userId, requestId: 'req-1' },
        { projectId: member.projectId, resourceType: 'volume', resourceId: resource, verb, generation: 1 },
        { state: 'failed', code, message },
      ),
    );
  await fail('create', 'no_capacity', 'No pool has room.');
  await fail('extend', 'internal', 'The disk is full.');
  await fail('write', 'no_capacity', 'Its server stands still.');
  await fail('extend', 'conflict', 'superseded by delete');
  const list = async (query = '') => (await call(member, 'GET', `/messages${query}`)).body.messages;
  const all = await list();
  assert.deepEqual(all.map((one: { event_id: string }) => one.event_id).toSorted(), [
    'VOLUME_VOLUME_000_000',
    'VOLUME_VOLUME_001_003',
    'VOLUME_VOLUME_007_010',
  ]);
  const [full] = await list('?event_id=VOLUME_VOLUME_000_000');
  assert.equal(full.user_message, 'write to volume:There is no room. Its server stands still.');
  const [one] = await list('?event_id=VOLUME_VOLUME_001_003');
  assert.match(one.user_message, /^schedule allocate volume:Could not find .* No pool has room\.$/);
  assert.deepEqual([one.resource_uuid, one.request_id, one.message_level], [resource, 'req-1', 'ERROR']);
  assert.equal((await list('?resource_type=VOLUME_BACKUP')).length, 0);
  assert.equal((await list(`?resource_uuid=${resource}&limit=1`)).length, 1);
  assert.equal((await call(member, 'GET', '/messages?color=red')).status, 400);
  assert.equal((await call(member, 'GET', '/messages', undefined, 2)).status, 404);
  const other = {
    ...member,
    userId: newId() as typeof member.userId,
    projectId: newId() as NonNullable<typeof member.projectId>,
  };
  assert.equal((await call(other, 'GET', `/messages/${one.id}`)).status, 404);
  assert.equal((await call(other, 'DELETE', `/messages/${one.id}`)).status, 404);
  assert.equal((await call(member, 'DELETE', `/messages/${one.id}`)).status, 204);
  assert.equal((await call(member, 'DELETE', `/messages/${one.id}`)).status, 404);
  assert.equal((await list()).length, 2);
});

test('there are no clusters, and nothing that was left half-done', async () => {
  assert.deepEqual((await call(admin, 'GET', '/clusters')).body, { clusters: [] });
  assert.equal((await call(admin, 'GET', '/clusters/one')).status, 404);
  assert.equal((await call(admin, 'GET', '/clusters?color=red')).status, 400);
  const clean = (body: object) => call(admin, 'POST', '/workers/cleanup', body);
  assert.deepEqual((await clean({ host: 'store-1@fast' })).body, { cleaning: [], unavailable: [] });
  assert.equal((await clean({ resource_id: newId() })).status, 400);
  assert.equal((await clean({ resource_type: 'server' })).status, 400);
});

/** /os-services: what an administrator says of a host, and how a host leaves the cloud. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { type RawBuilder, sql } from 'kysely';
import { type HostId, newId } from '../../../contract/ids.ts';
import { testProject } from '../../../control/kit/database/testing.ts';
import { testPool, testVolume } from '../../../control/storage/testing.ts';
import { type ComputeApi, computeApi } from './testing.ts';

let api: ComputeApi;
let id: string;
let name: string;
before(async () => {
  api = await computeApi();
});
after(() => api[Symbol.asyncDispose]());
let hosts = 0;
beforeEach(async () => {
  name = `rack-${++hosts}`;
  id = await api.cloud.addHost({ name });
});

const run = <T>(statement: RawBuilder<T>) => statement.execute(api.db.database.query);
const admin = (method: string, path: string, { body, version = 53 }: { body?: unknown; version?: number } = {}) =>
  api.call(api.cloud.admin, method, path, { version, ...(body !== undefined && { body }) });
const say = (body: unknown, version?: number) =>
  admin('PUT', `/os-services/${id}`, { body, ...(version && { version }) });
const shown = async () => {
  const { body } = await admin('GET', `/os-services?host=${name}`);
  return body.services[0];
};
const message = (body: Record<string, { message: string }>) => Object.values(body)[0]!.message;
const remove = (which: string | number = id, version = 53) => admin('DELETE', `/os-services/${which}`, { version });
const apart = () => run(sql`update host set connected = false, last_seen_at = now() where id = ${id}`);

test('a host that is said to be down is shown as down everywhere, until that is taken back', async () => {
  const down = await say({ forced_down: true });
  assert.deepEqual([down.status, down.body.service.state, down.body.service.forced_down], [200, 'down', true]);
  assert.deepEqual([down.body.service.status, down.body.service.id], ['enabled', id], 'it is not closed by that');
  const { hypervisor } = (await admin('GET', `/os-hypervisors/${id}`)).body;
  assert.equal(hypervisor.state, 'down');
  assert.equal((await admin('GET', `/os-hypervisors/${id}/uptime`)).status, 400);
  const zone = (await admin('GET', '/os-availability-zone/detail')).body.availabilityZoneInfo[1];
  assert.equal(zone.hosts[name]['nova-compute'].available, false);
  // A stream that begins anew, as after a restart of the host's process, says nothing of it.
  await run(sql`update host set connected = false where id = ${id}`);
  await run(sql`update host set connected = true, connection_id = ${newId()}, last_seen_at = now() where id = ${id}`);
  assert.deepEqual([(await shown()).state, (await shown()).forced_down], ['down', true]);
  const up = await say({ forced_down: 'off', status: 'disabled', disabled_reason: '修理' });
  assert.deepEqual(
    [up.body.service.state, up.body.service.forced_down, up.body.service.status, up.body.service.disabled_reason],
    ['up', false, 'disabled', '修理'],
    'both at once',
  );
  await say({ status: 'enabled' });
});

test('it gets no server, and its servers say so to administrators', async () => {
  const flavor = await api.cloud.addFlavor();
  const { ids } = await api.cloud.service.create(api.cloud.admin, api.cloud.wish({ flavor, requestedHost: name }));
  await api.cloud.controller.reconcile(ids[0]!);
  await api.cloud.obey(id as never);
  const hostStatus = async () => (await admin('GET', `/servers/${ids[0]}`)).body.server.host_status;
  assert.equal(await hostStatus(), 'UP');
  await apart();
  assert.equal(await hostStatus(), 'UNKNOWN', 'what is silent may be up');
  await say({ forced_down: true });
  assert.equal(await hostStatus(), 'DOWN');
  await run(sql`update host set connected = true where id = ${id}`);
  const more = await api.cloud.service.create(api.cloud.admin, api.cloud.wish({ flavor, requestedHost: name }));
  await api.cloud.controller.reconcile(more.ids[0]!);
  const refused = (await admin('GET', `/servers/${more.ids[0]}`)).body.server;
  assert.deepEqual([refused.status, refused['OS-EXT-SRV-ATTR:host']], ['ERROR', null]);
  assert.match(refused.fault.message, /down by an administrator/);
  const evacuate = () => admin('POST', `/servers/${ids[0]}/action`, { body: { evacuate: {} }, version: 95 });
  assert.match(message((await evacuate()).body), /is still in use/, 'its stream says that its guests may run');
  await apart();
  const went = await evacuate();
  assert.equal(went.status, 200, JSON.stringify(went.body));
});

test('an evacuation answers 200, before 2.14 with the password that the guest gets, and from 2.95 on leaves the server stopped', async () => {
  const flavor = await api.cloud.addFlavor();
  const evacuated = async (version: number, argument: object) => {
    const from = await api.cloud.addHost({ name: `from-${version}` });
    const wish = api.cloud.wish({ flavor, requestedHost: `from-${version}`, configDrive: true });
    const { ids } = await api.cloud.service.create(api.cloud.admin, wish);
    await api.cloud.controller.reconcile(ids[0]!);
    await api.cloud.obey(from);
    await run(sql`update host set connected = false, forced_down = true where id = ${from}`);
    const body = { evacuate: { host: name, ...argument } };
    const answer = await admin('POST', `/servers/${ids[0]}/action`, { body, version });
    const [desired] = await api.cloud.side.desiredServers(api.db.database.query, { serverIds: [ids[0]!] });
    await api.cloud.obey(id as HostId);
    const { status } = (await admin('GET', `/servers/${ids[0]}`)).body.server;
    return { status: answer.status, body: answer.body, password: desired!.adminPassword, state: status };
  };
  const given = { adminPass: '密 🏔' };
  assert.deepEqual(await evacuated(13, { onSharedStorage: false, ...given }), {
    ...{ status: 200, body: given, password: '密 🏔', state: 'ACTIVE' },
  });
  const made = await evacuated(12, { onSharedStorage: 'False' });
  assert.match(made.body.adminPass, /^[A-Za-z0-9]{12}$/);
  assert.equal(made.password, made.body.adminPass);
  const kept = await evacuated(11, { onSharedStorage: true });
  assert.deepEqual([kept.status, kept.body, kept.password], [200, { adminPass: null }, undefined]);
  assert.deepEqual(await evacuated(94, given), { status: 200, body: '', password: '密 🏔', state: 'ACTIVE' });
  assert.deepEqual(await evacuated(95, given), { status: 200, body: '', password: '密 🏔', state: 'SHUTOFF' });
  const both = { evacuate: { onSharedStorage: true, ...given } };
  const refused = await admin('POST', `/servers/${newId()}/action`, { body: both, version: 13 });
  assert.deepEqual([refused.status, message(refused.body)], [400, "admin password can't be changed on existing disk"]);
});

test('before 2.53 the same by its own verb, from 2.11 on', async () => {
  const force = (version: number, over: object = {}) =>
    admin('PUT', '/os-services/force-down', {
      version,
      body: { host: name, binary: 'nova-compute', forced_down: 'true', ...over },
    });
  assert.deepEqual((await force(11)).body, { service: { host: name, binary: 'nova-compute', forced_down: true } });
  assert.equal((await shown()).forced_down, true);
  assert.equal((await force(10)).status, 400, 'there is no such field');
  assert.equal((await force(10, { forced_down: undefined })).status, 404, 'and no such verb');
  assert.match(message((await force(11, { forced_down: undefined })).body), /Missing forced_down/);
  assert.equal((await force(11, { forced_down: 'perhaps' })).status, 400);
  assert.match(message((await force(11, { binary: 'nova-scheduler' })).body), /Only nova-compute/);
  assert.equal((await force(11, { host: 'no-such-host' })).status, 404);
  assert.equal((await force(52, { forced_down: false })).status, 200);
  assert.equal('forced_down' in (await admin('GET', '/os-services', { version: 10 })).body.services[0], false);
});

test('what is no word about a host is refused, and changes nothing', async () => {
  for (const body of [{}, { forced_down: null }, { forced_down: [] }, { forced_down: 2 }, { forced: true }]) {
    assert.equal((await say(body)).status, 400, JSON.stringify(body));
  }
  assert.equal((await say({ disabled_reason: 'why' })).status, 400);
  assert.equal((await shown()).forced_down, false);
  const member = (method: string, body?: unknown) =>
    api.call(api.cloud.member, method, `/os-services/${id}`, { version: 53, ...(body ? { body } : {}) });
  assert.deepEqual([(await member('PUT', { forced_down: true })).status, (await member('DELETE')).status], [403, 403]);
  assert.equal((await admin('PUT', `/os-services/${newId()}`, { body: { forced_down: true } })).status, 404);
});

test('a host leaves the cloud when it is down and carries nothing; then nothing tells of it', async () => {
  const up = await remove();
  assert.deepEqual([up.status, /which is up/.test(message(up.body))], [409, true]);
  await apart();
  await admin('POST', '/os-aggregates', { body: { aggregate: { name: `of ${name}` } } });
  const { id: aggregate } = (await admin('GET', '/os-aggregates')).body.aggregates.at(-1);
  await admin('POST', `/os-aggregates/${aggregate}/action`, { body: { add_host: { host: name } } });
  assert.equal((await remove()).status, 204);
  assert.equal(await shown(), undefined);
  assert.equal((await admin('GET', `/os-hypervisors/${id}`)).status, 404);
  assert.deepEqual((await admin('GET', `/os-aggregates/${aggregate}`)).body.aggregate.hosts, []);
  assert.equal((await remove()).status, 404);
});

test('a host leaves by its old number, and by an administrator’s word against its stream', async () => {
  await say({ forced_down: true });
  const { services } = (await admin('GET', '/os-services', { version: 52 })).body;
  const { id: number } = services.find((one: { host: string }) => one.host === name);
  assert.equal((await remove('no-number', 52)).status, 400);
  assert.equal((await remove('no-uuid')).status, 400);
  assert.equal((await remove(99_999, 52)).status, 404);
  assert.equal((await remove(number, 52)).status, 204);
  assert.equal(await shown(), undefined);
});

test('a host with servers stays, also with such as the database knows nothing of', async () => {
  const flavor = await api.cloud.addFlavor();
  const { ids } = await api.cloud.service.create(api.cloud.admin, api.cloud.wish({ flavor, requestedHost: name }));
  await api.cloud.controller.reconcile(ids[0]!);
  await apart();
  assert.match(message((await remove()).body), /hosting instances/);
  assert.equal((await admin('DELETE', `/servers/${ids[0]}`)).status, 204);
  await api.cloud.obey(id as never);
  await api.cloud.controller.reconcile(ids[0]!);
  await run(sql`insert into quarantined_server (host_id, server_id, reason, since, guest)
    values (${id}, ${newId()}, 'missing', now(), true)`);
  assert.match(message((await remove()).body), /bothy recover/);
  await run(sql`delete from quarantined_server where host_id = ${id}`);
  assert.equal((await remove()).status, 204);
});

test('a host with the last copy of an image stays; other copies are made again elsewhere', async () => {
  await apart();
  const image = newId();
  const project = await testProject(api.db.database);
  await run(sql`insert into image (id, project_id, name, status) values (${image}, ${project}, 'kept', 'active')`);
  await run(sql`insert into image_location (image_id, host_id) values (${image}, ${id})`);
  const refused = await remove();
  assert.deepEqual([refused.status, message(refused.body).includes(image)], [409, true]);
  const other = await api.cloud.addHost({ name: `${name}-other` });
  await run(sql`insert into image_location (image_id, host_id) values (${image}, ${other})`);
  await run(sql`insert into image_copy (image_id, host_id, copy_id, deadline)
    values (${image}, ${id}, ${newId()}, now() + interval '1 minute')`);
  assert.equal((await remove()).status, 204);
  const { rows } = await run(
    sql<{ key: string }>`select key from graphile_worker.jobs where key = ${`image:${image}`}`,
  );
  assert.equal(rows.length, 1, 'somebody looks whether one more is wanted');
});

test('a host with volumes stays; what was deleted and it never said was gone keeps nobody', async () => {
  await apart();
  const pool = await testPool(api.db.database, { hostId: id as HostId });
  const [base, top] = [newId(), newId()];
  const project = await testProject(api.db.database);
  const layer = (one: string, parent: string | null) => sql`
    insert into volume_layer (id, volume_id, host_id, pool_id, size_bytes, read_only, parent_id, observed_state, observed_generation)
    values (${one}, ${newId()}, ${id}, ${pool.id}, 1024, ${parent === null}, ${parent}, 'ready', 1)`;
  await run(layer(base, null));
  await run(layer(top, base));
  const volume = await testVolume(api.db.database, { projectId: project, layerId: top });
  await run(sql`update volume set desired_presence = 'absent', layer_id = null where id = ${volume}`);
  assert.match(message((await remove()).body), /volumes are on its disks/);
  await run(sql`update volume_layer set desired_presence = 'absent' where id in (${top}, ${base})`);
  await run(sql`update volume set layer_id = ${top} where id = ${volume}`);
  assert.equal((await remove()).status, 204);
  assert.deepEqual((await run(sql`select from volume_layer where host_id = ${id}`)).rows, []);
  assert.deepEqual((await run(sql`select layer_id from volume where id = ${volume}`)).rows, [{ layer_id: null }]);
});

test('a host on which there was to be a replica, and is nothing yet, goes: another place is looked for', async () => {
  await apart();
  const pool = await testPool(api.db.database, { hostId: id as HostId });
  const elsewhere = await testPool(api.db.database);
  const project = await testProject(api.db.database);
  const replica = async (poolId: string, roundPoolId: string | null) => {
    const layerId = newId();
    await run(sql`insert into volume_layer (id, volume_id, host_id, pool_id, size_bytes)
      values (${layerId}, ${newId()}, ${elsewhere.host_id}, ${elsewhere.id}, 1024)`);
    const volume = await testVolume(api.db.database, { projectId: project, layerId });
    await run(sql`insert into volume_replica (volume_id, rpo_seconds, size_bytes, pool_id, round_pool_id)
      values (${volume}, 60, 1024, ${poolId}, ${roundPoolId})`);
    return volume;
  };
  const [placed, going] = [await replica(pool.id, null), await replica(elsewhere.id, pool.id)];
  assert.equal((await remove()).status, 204);
  const { rows } = await run(
    sql`select pool_id, round_pool_id from volume_replica where volume_id in (${placed}, ${going}) order by pool_id`,
  );
  assert.deepEqual(rows, [
    { pool_id: elsewhere.id, round_pool_id: null },
    { pool_id: null, round_pool_id: null },
  ]);
});

test('of a removal and a placement at the same time one comes first, and the other hears of it', async () => {
  await run(sql`update host set forced_down = true, connected = false where id <> ${id}`);
  const flavor = await api.cloud.addFlavor();
  const { ids } = await api.cloud.service.create(api.cloud.member, api.cloud.wish({ flavor }));
  let removed: ReturnType<typeof remove> | undefined;
  await api.db.database.transaction({ actorId: null, requestId: null }, async (tx) => {
    await sql`update server set host_id = ${id} where id = ${ids[0]}`.execute(tx);
    await run(sql`update host set connected = false where id = ${id}`);
    removed = remove();
    const waits = sql`select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`;
    for (let n = 0; (await run(waits)).rows.length === 0; n++) assert.ok(n < 1000, 'the removal waits');
  });
  assert.equal((await removed!).status, 409, 'it sees the server that came');
});

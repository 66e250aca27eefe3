import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { newId } from '../../../contract/ids.ts';
import { callerOf } from '../../../control/compute/server/testing.ts';
import { testPool } from '../../../control/storage/testing.ts';
import { lookAtIncomplete } from '../../../control/storage/volume/testing.ts';
import { volumeApi } from './testing.ts';

const api = await volumeApi();
after(() => api[Symbol.asyncDispose]());
const { member, admin } = api.cloud;
const db = api.db.database;
const microseconds = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}$/;

before(() => testPool(db));

/** The host does what it is told, and the controllers look at that. */
async function obey(): Promise<void> {
  await sql`update volume_layer set observed_state = 'ready', observed_generation = generation,
    observed_epoch = epoch, observed_size_bytes = size_bytes`.execute(db.query);
  await lookAtIncomplete(db);
}

const call = (method: string, path: string, body?: unknown, version: number | 'latest' = 0, caller = member) =>
  api.call(caller, method, path, { ...(body !== undefined && { body }), version });
const act = (id: string, body: unknown, version: number | 'latest' = 0, caller = member) =>
  call('POST', `/volumes/${id}/action`, body, version, caller);

async function made(over: object = {}): Promise<string> {
  const { body, status } = await call('POST', '/volumes', { volume: { size: 1, name: 'v', ...over } });
  assert.equal(status, 202, JSON.stringify(body));
  await obey();
  return body.volume.id;
}

const statusOf = async (id: string) => (await call('GET', `/volumes/${id}`)).body.volume.status;

test('a volume is made, shown, changed and deleted in Cinder’s form', async () => {
  const { body } = await call('POST', '/volumes', { volume: { size: '1', name: ' 卷 🏔 ', metadata: { a: 'b' } } });
  assert.equal(body.volume.status, 'creating');
  await obey();
  const { volume } = (await call('GET', `/volumes/${body.volume.id}`)).body;
  assert.deepEqual([volume.name, volume.size, volume.bootable, volume.metadata], ['卷 🏔', 1, 'false', { a: 'b' }]);
  assert.match(volume.created_at, microseconds);
  assert.deepEqual([volume.updated_at, volume.status, volume.volume_type], [null, 'available', '__DEFAULT__']);
  assert.equal(volume['os-vol-host-attr:host'], undefined);
  assert.equal(volume.consumes_quota, undefined);
  const newest = (await call('GET', `/volumes/${volume.id}`, undefined, 'latest', admin)).body.volume;
  assert.match(newest['os-vol-host-attr:host'], /.+@.+#.+/);
  assert.deepEqual([newest.consumes_quota, newest.shared_targets, newest.group_id], [true, false, null]);
  const changed = await call('PUT', `/volumes/${volume.id}`, { volume: { name: 'n', description: 'd' } });
  assert.deepEqual([changed.body.volume.name, changed.body.volume.description], ['n', 'd']);
  assert.equal((await call('PUT', `/volumes/${volume.id}`, { volume: {} }, 53)).status, 400);
  assert.equal((await call('DELETE', `/volumes/${volume.id}`)).status, 202);
  const gone = await call('GET', `/volumes/${volume.id}`);
  assert.deepEqual(gone.body, { itemNotFound: { code: 404, message: `Volume ${volume.id} could not be found.` } });
});

test('a path that ends where an id should be finds nothing, as does a snapshot of no volume', async () => {
  for (const path of ['/volumes/', '/volumes/?limit=1', '/snapshots/'])
    assert.equal((await call('GET', path)).status, 404);
  assert.equal((await call('GET', '/volumes')).status, 200);
  assert.equal((await call('POST', '/snapshots', { snapshot: { volume_id: null } })).status, 404);
});

test('what can’t be made is refused as Cinder refuses it', async () => {
  const refused = async (volume: object, version = 0) => {
    const { status, body } = await call('POST', '/volumes', { volume }, version);
    return [status, Object.values(body as Record<string, { message: string }>)[0]!.message] as const;
  };
  for (const size of ['#$%', 0, -1, '', '0', 1.5]) assert.equal((await refused({ size }))[0], 400);
  assert.match((await refused({}))[1], /must be an integer and greater than 0/);
  const id = newId();
  assert.deepEqual(await refused({ size: 1, snapshot_id: id }), [404, `Snapshot ${id} could not be found.`]);
  assert.deepEqual(await refused({ size: 1, source_volid: id }), [404, `Volume ${id} could not be found.`]);
  assert.equal((await refused({ size: 1, volume_type: id }))[0], 404);
  assert.equal((await refused({ size: 1, imageRef: id }))[0], 400);
  assert.equal((await refused({ size: 1, imageRef: 'not there' }))[0], 400);
  assert.equal((await refused({ size: 1, multiattach: true }))[0], 400);
  assert.equal((await refused({ size: 1, backup_id: id }, 47))[0], 404);
  assert.equal(
    (await refused({ size: 1, availability_zone: 'nowhere' }))[1],
    "Availability zone 'nowhere' is invalid.",
  );
  assert.equal((await refused({ size: 1, whatever: 1 }, 53))[0], 400);
  assert.equal((await call('POST', '/volumes', { volume: { size: 1, whatever: 1 } }, 52)).status, 202);
  const hints = { volume: { size: 1 }, 'OS-SCH-HNT:scheduler_hints': { same_host: [id, 'x'] } };
  assert.equal((await call('POST', '/volumes', hints)).status, 400);
  await sql`insert into quota (id, project_id, resource, maximum) values (gen_random_uuid(), ${member.projectId}, 'volume_gigabytes_each', 5)`.execute(
    db.query,
  );
  const [status, message] = await refused({ size: 6 });
  assert.deepEqual([status, message], [413, 'Requested volume size 6G is larger than maximum allowed limit 5G.']);
});

test('lists have filters by their versions, pages with links, and counts', async () => {
  const caller = callerOf(
    await api.cloud.database.query
      .insertInto('project')
      .values({
        id: newId(),
        domain_id: (await db.query.selectFrom('domain').select('id').executeTakeFirstOrThrow()).id,
        name: 'lists',
      })
      .returning('id')
      .executeTakeFirstOrThrow()
      .then(({ id }) => id),
  );
  for (const name of ['a', 'b', 'c']) {
    await call('POST', '/volumes', { volume: { size: 1, name, metadata: { key: name } } }, 0, caller);
  }
  const list = async (query: string, version: number | 'latest' = 0, path = '/volumes/detail') => {
    const { body, status } = await call('GET', `${path}?${query}`, undefined, version, caller);
    return status === 200 ? body.volumes.map((v: { name: string }) => v.name) : status;
  };
  assert.deepEqual(await list(''), ['c', 'b', 'a']);
  assert.deepEqual(await list('sort=name:asc', 0, '/volumes'), ['a', 'b', 'c']);
  assert.deepEqual(await list('name=b&status=creating'), ['b']);
  assert.deepEqual(await list('status=null'), []);
  assert.deepEqual(await list(`metadata=${encodeURIComponent("{'key': 'a'}")}`), ['a']);
  assert.deepEqual(await list('bootable=false&limit=2'), ['c', 'b']);
  assert.deepEqual(await list('limit=0'), []);
  assert.equal(await list('bootable=maybe', 2), 400);
  assert.deepEqual(await list('nonsense=1', 30), ['c', 'b', 'a']);
  assert.equal(await list('nonsense=1', 31), 400);
  assert.deepEqual(await list('name~=b', 34), ['b']);
  assert.deepEqual(await list('created_at=gt:2016-01-01,lt:2017-01-01', 60), []);
  assert.deepEqual(await list('created_at=gt:2016-01-01', 60), ['c', 'b', 'a']);
  assert.equal(await list('created_at=after:2016-01-01', 60), 400);
  assert.equal(await list(`marker=${newId()}`), 404);
  assert.equal(await list('sort=colour'), 400);
  const { body } = await call('GET', '/volumes?limit=1&with_count=True', undefined, 45, caller);
  assert.equal(body.count, 3);
  const next = new URL(body.volumes_links[0].href);
  const second = await call('GET', `/${next.pathname.split('/').at(-1)}${next.search}`, undefined, 45, caller);
  assert.deepEqual(
    second.body.volumes.map((v: { name: string }) => v.name),
    ['b'],
  );
  const summary = await call('GET', '/volumes/summary', undefined, 36, caller);
  assert.deepEqual(summary.body['volume-summary'], {
    total_count: 3,
    total_size: 3,
    metadata: { key: ['a', 'b', 'c'] },
  });
  assert.equal((await call('GET', '/volumes/summary', undefined, 11, caller)).status, 404);
});

test('metadata, those of images too, are read and written one by one and together', async () => {
  const id = await made();
  const path = `/volumes/${id}/metadata`;
  const metadata = { key1: 'value1', key4: '<value&special_chars>', '🏔': '卷' };
  assert.deepEqual((await call('POST', path, { metadata })).body, { metadata });
  assert.deepEqual((await call('PUT', path, { metadata: { a: 'b', c: 'd' } })).body, { metadata: { a: 'b', c: 'd' } });
  assert.deepEqual((await call('PUT', `${path}/a`, { meta: { a: 'x' } })).body, { meta: { a: 'x' } });
  assert.equal((await call('PUT', `${path}/a`, { meta: { b: 'x' } })).status, 400);
  assert.deepEqual((await call('GET', `${path}/a`)).body, { meta: { a: 'x' } });
  assert.equal((await call('DELETE', `${path}/c`)).status, 200);
  assert.deepEqual((await call('DELETE', `${path}/c`)).status, 404);
  assert.deepEqual((await call('GET', path)).body, { metadata: { a: 'x' } });
  const set = await act(id, { 'os-set_image_metadata': { metadata: { image_name: 'i', kernel: 'k' } } });
  assert.deepEqual([set.status, set.body.metadata], [200, { image_name: 'i', kernel: 'k' }]);
  assert.equal((await act(id, { 'os-unset_image_metadata': { key: 'kernel' } })).status, 200);
  assert.equal((await act(id, { 'os-unset_image_metadata': { key: 'kernel' } })).status, 404);
  assert.deepEqual((await act(id, { 'os-show_image_metadata': null })).body, { metadata: { image_name: 'i' } });
  assert.deepEqual((await call('GET', `/volumes/${id}`)).body.volume.volume_image_metadata, { image_name: 'i' });
});

test('what came of a move is told to administrators, under both of its names', async () => {
  const id = await made();
  await sql`update volume set move_outcome = 'success' where id = ${id}`.execute(db.query);
  const told = async (caller: typeof admin) => {
    const { volume } = (await call('GET', `/volumes/${id}`, undefined, 0, caller)).body;
    return [volume.migration_status, volume['os-vol-mig-status-attr:migstat']];
  };
  assert.deepEqual(await told(admin), ['success', 'success']);
  assert.deepEqual(await told(member), [undefined, undefined]);
});

test('actions answer with Cinder’s statuses', async () => {
  const id = await made();
  assert.equal((await act(id, { 'os-set_bootable': { bootable: true } })).status, 200);
  assert.equal((await call('GET', `/volumes/${id}`)).body.volume.bootable, 'true');
  assert.equal((await act(id, { 'os-update_readonly_flag': { readonly: 'False' } })).status, 202);
  assert.equal((await call('GET', `/volumes/${id}`)).body.volume.metadata.readonly, 'False');
  for (const new_size of [null, 'abc', 0, '']) assert.equal((await act(id, { 'os-extend': { new_size } })).status, 400);
  assert.equal((await act(id, { 'os-extend': { new_size: 1 } })).status, 400);
  assert.equal((await act(newId(), { 'os-extend': { new_size: 3 } })).status, 404);
  assert.equal((await act(id, { revert: { snapshot_id: newId() } }, 39)).status, 404);
  assert.equal((await act(id, { revert: { snapshot_id: newId() } }, 40)).status, 400);
  assert.equal((await act(id, { 'os-retype': { new_type: 'none' } })).status, 400);
  assert.equal((await act(id, { 'os-migrate_volume': { host: 'x' } }, 0, admin)).status, 400);
  assert.equal((await act(id, { 'os-reset_status': { status: 'error' } })).status, 403);
  assert.equal((await act(id, { 'os-reset_status': { status: 'ERROR' } }, 0, admin)).status, 202);
  assert.equal(await statusOf(id), 'error');
  assert.equal((await act(id, { 'os-reset_status': {} }, 0, admin)).status, 400);
  await act(id, { 'os-reset_status': { status: 'available' } }, 0, admin);
  const upload = { image_name: 'i', disk_format: 'qcow2', container_format: 'bare' };
  const { status, body } = await act(id, { 'os-volume_upload_image': upload });
  assert.deepEqual([status, body['os-volume_upload_image'].status], [202, 'uploading']);
  assert.equal(await statusOf(id), 'uploading');
  const delayed = await call('DELETE', `/volumes/${id}`);
  assert.deepEqual([delayed.status, Object.keys(delayed.body)], [400, ['badRequest']]);
  assert.equal((await act(id, { 'os-force_delete': {} })).status, 403);
  assert.equal((await act(id, { 'os-force_delete': {} }, 0, admin)).status, 202);
});

test('files of a pool are listed, and become volumes, in Cinder’s form; a volume leaves the cloud', async () => {
  await sql`update host set facts = facts || '{"url": "https://there:1"}'`.execute(db.query);
  const { rows } = await sql<{ host: string }>`select h.name || '@' || p.name || '#' || p.name as host
    from host h join storage_pool p on p.host_id = h.id`.execute(db.query);
  const { host } = rows[0]!;
  const [old, bad] = [
    { name: 'old.img', fileBytes: 10, sizeBytes: 2 ** 30, format: 'qcow2' as const, problem: null },
    { name: 'bad', fileBytes: 10, sizeBytes: null, format: null, problem: 'the file is vmdk, not raw as declared' },
  ];
  api.manageable.push(old, bad);
  const list = (path: string, version = 8, caller = admin) => call('GET', path, undefined, version, caller);
  const brief = [
    { reference: { 'source-name': 'bad' }, size: 1, safe_to_manage: false },
    { reference: { 'source-name': 'old.img' }, size: 1, safe_to_manage: true },
  ];
  const where = `host=${encodeURIComponent(host)}`;
  api.manageable.reverse();
  for (const path of ['/manageable_volumes', '/os-volume-manage'])
    assert.deepEqual((await list(`${path}?${where}`)).body, { 'manageable-volumes': brief });
  assert.equal((await list(`/manageable_volumes?${where}`, 7)).status, 404);
  assert.equal((await list('/manageable_volumes')).status, 400, 'of which host?');
  assert.equal((await list('/manageable_volumes?host=none')).status, 404);
  assert.equal((await list(`/manageable_volumes?${where}`, 8, member)).status, 403);
  assert.equal((await list(`/manageable_volumes?${where}&sort=name`)).status, 400);
  const { body } = await list(`/manageable_volumes/detail?${where}&sort=reference:desc&limit=1`);
  const extra_info = { format: 'qcow2', file_bytes: 10, size_bytes: 2 ** 30 };
  assert.deepEqual(body['manageable-volumes'], [{ ...brief[1], reason_not_safe: null, cinder_id: null, extra_info }]);

  const take = (volume: object, caller = admin) => call('POST', '/manageable_volumes', { volume }, 8, caller);
  const ref = { 'source-name': 'old.img' };
  assert.equal((await take({ host, ref }, member)).status, 403);
  assert.equal((await take({ ref })).status, 400);
  assert.equal((await take({ host, ref: { id: 'x' } })).status, 400);
  const refused = await take({ host, ref: { 'source-name': 'bad' } });
  assert.deepEqual([refused.status, /is vmdk/.test(refused.body.badRequest.message)], [400, true]);
  const taken = await take({ host, ref, name: '卷', bootable: true });
  assert.equal(taken.status, 202, JSON.stringify(taken.body));
  const { id, status, name, size, bootable } = taken.body.volume;
  assert.deepEqual([status, name, size, bootable], ['creating', '卷', 1, 'true']);
  await obey();
  assert.equal((await act(id, { 'os-unmanage': {} })).status, 403);
  assert.equal((await act(id, { 'os-unmanage': null }, 0, admin)).status, 202);
  assert.equal((await call('GET', `/volumes/${id}`, undefined, 0, admin)).body.volume.status, 'deleting');
  assert.deepEqual((await list('/manageable_snapshots')).body, { 'manageable-snapshots': [] });
  const snapshot = { volume_id: id, ref };
  const unmanaged = await call('POST', '/manageable_snapshots', { snapshot }, 8, admin);
  assert.deepEqual(
    [unmanaged.status, /manage what is on the host as a volume/.test(unmanaged.body.badRequest.message)],
    [400, true],
  );
});

test('snapshots are made, shown, listed and deleted in Cinder’s form', async () => {
  const id = await made();
  const { status, body } = await call('POST', '/snapshots', {
    snapshot: { volume_id: id, name: 's', metadata: { a: 'b' } },
  });
  assert.deepEqual([status, body.snapshot.status, body.snapshot.volume_id], [202, 'creating', id]);
  await obey();
  const snapshot = (await call('GET', `/snapshots/${body.snapshot.id}`, undefined, 66)).body.snapshot;
  assert.deepEqual([snapshot.status, snapshot.size, snapshot.metadata], ['available', 1, { a: 'b' }]);
  assert.equal(snapshot['os-extended-snapshot-attributes:progress'], '100%');
  assert.match(snapshot.created_at, microseconds);
  const path = `/snapshots/${snapshot.id}`;
  const update = await call('PUT', path, { snapshot: { name: 'n', description: 'd' } });
  assert.deepEqual([update.status, update.body.snapshot.name], [200, 'n']);
  const unforced = { snapshot: { volume_id: id, force: false } };
  assert.equal((await call('POST', '/snapshots', unforced, 66)).status, 400);
  assert.equal((await call('POST', '/snapshots', { snapshot: { volume_id: newId() } })).status, 404);
  const list = (await call('GET', `/snapshots/detail?volume_id=${id}&limit=1`)).body;
  assert.deepEqual([list.snapshots.length, list.snapshots_links.length], [1, 1]);
  assert.equal((await call('GET', '/snapshots?limit=invalid')).status, 400);
  assert.equal((await call('GET', '/snapshots?sort_key=invalid')).status, 400);
  assert.equal((await call('GET', `/snapshots?marker=${newId()}`)).status, 404);
  assert.deepEqual((await call('PUT', `${path}/metadata/a`, { meta: { a: 'c' } })).body, { meta: { a: 'c' } });
  const busy = await call('DELETE', `/volumes/${id}`);
  assert.deepEqual([busy.status, /have snapshots/.test(busy.body.badRequest.message)], [400, true]);
  const reset = (state: string) => call('POST', `${path}/action`, { 'os-reset_status': { status: state } }, 0, admin);
  assert.equal((await reset('creating')).status, 202);
  const tell = { 'os-update_snapshot_status': { status: 'error', progress: '80%' } };
  assert.equal((await call('POST', `${path}/action`, tell)).status, 202);
  const told = (await call('GET', path, undefined, 0, admin)).body.snapshot;
  assert.deepEqual([told.status, told['os-extended-snapshot-attributes:progress']], ['error', '80%']);
  assert.equal((await call('DELETE', path)).status, 202);
  assert.equal((await call('GET', path)).status, 404);
  assert.equal((await call('DELETE', `/volumes/${id}?cascade=True`)).status, 202);
});

test('from 3.15 on metadata have an ETag, and a change that names another one is not made', async () => {
  const id = await made({ metadata: { a: '1', b: '2' } });
  const path = `/volumes/${id}/metadata`;
  const ask = (method: string, where: string, etag?: string, body?: object, version = 15) =>
    api.call(member, method, where, { version, ...(body && { body }), ...(etag && { headers: { 'if-match': etag } }) });
  assert.equal((await ask('GET', path, undefined, undefined, 14)).headers.etag, undefined);
  const etag = String((await ask('GET', path)).headers.etag);
  assert.match(etag, /^[0-9a-f]{32}$/);
  assert.equal((await ask('PUT', `${path}/a`, etag, { meta: { a: '3' } })).status, 200);
  for (const [method, where, body] of [
    ['PUT', `${path}/a`, { meta: { a: '4' } }],
    ['PUT', path, { metadata: { c: '5' } }],
    ['POST', path, { metadata: { c: '5' } }],
    ['DELETE', `${path}/a`, undefined],
  ] as const) {
    const { status, body: said } = await ask(method, where, `"${etag}", W/"other"`, body);
    assert.deepEqual([status, said], [412, ''], `${method} ${where}`);
  }
  const { body, headers } = await ask('GET', path);
  assert.deepEqual(body.metadata, { a: '3', b: '2' });
  assert.notEqual(headers.etag, etag);
  assert.equal((await ask('DELETE', `${path}/a`, `"x", "${headers.etag}"`)).status, 200);
  assert.equal(
    (await ask('PUT', path, etag, { metadata: { b: '2', a: '1' } }, 14)).status,
    200,
    'before it is overlooked',
  );
  assert.equal((await ask('GET', path)).headers.etag, etag, 'the same pairs in another order');
  assert.equal((await ask('PUT', path, '*', { metadata: {} })).status, 200);
});

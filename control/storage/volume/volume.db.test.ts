import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { newId } from '../../../contract/ids.ts';
import { cloudActor } from '../../kit/database/database.ts';
import { type TestDatabase, testDatabase } from '../../kit/database/testing.ts';
import { setLimits } from '../../kit/quota/limits.ts';
import { testPool } from '../testing.ts';
import { callerOf, oddName, type VolumeCloud, volumeCloud } from './testing.ts';

let db: TestDatabase;
let cloud: VolumeCloud;
before(async () => {
  db = await testDatabase();
  cloud = await volumeCloud(db.database);
});
after(() => db[Symbol.asyncDispose]());

const snapshot = (volumeId: string, inUse = false) =>
  cloud.snapshots.create(cloud.member, { volumeId, name: oddName, description: null, metadata: {}, inUse });
const topOf = async (id: string) => {
  const { rows } = await sql<{
    id: string;
    parent_id: string | null;
    image_id: string | null;
    size_bytes: number;
    host_id: string;
  }>`
    select l.* from volume v join volume_layer l on l.id = v.layer_id where v.id = ${id}`.execute(db.database.query);
  return rows[0]!;
};
const layersLeft = async () => {
  const { rows } = await sql<{
    n: number;
  }>`select count(*) as n from volume_layer where desired_presence = 'present'`.execute(db.database.query);
  return rows[0]!.n;
};
const refused =
  (reason: string, fields: object = {}) =>
  (error: { reason: string; fields: object }) => {
    assert.equal(error.reason, reason);
    for (const [key, value] of Object.entries(fields))
      assert.deepEqual((error.fields as Record<string, unknown>)[key], value);
    return true;
  };
const free = { cascade: false, force: false };

test('a volume is creating until its host has made its layer, then available, and gone at once when it is deleted', async () => {
  const made = await cloud.volumes.create(cloud.member, cloud.wish({ metadata: { 'k 🏔': oddName } }));
  assert.equal(made.name, oddName);
  assert.deepEqual(
    [made.size_gib, made.type_name, made.host_id, made.bootable],
    [1, '__DEFAULT__', cloud.hostId, false],
  );
  assert.equal(await cloud.status(made.id), 'creating');
  await cloud.obey();
  assert.equal(await cloud.status(made.id), 'available', 'before any controller has looked');
  await cloud.controller.reconcile(made.id);
  const launched = await cloud.volumes.get(cloud.member, made.id);
  assert.ok(launched.launched_at);
  await cloud.volumes.delete(cloud.member, made.id, free);
  await assert.rejects(cloud.volumes.get(cloud.member, made.id), { code: 'not_found' });
  const { rows } = await sql`select from operation where resource_id = ${made.id} and state = 'running'`.execute(
    db.database.query,
  );
  assert.deepEqual([rows.length, await layersLeft()], [0, 0]);
});

test('a volume of an image builds on it, is bootable, and tells what its image was', async () => {
  const volume = await cloud.made({ imageId: cloud.imageId, sizeGib: 2 });
  const top = await topOf(volume.id);
  assert.deepEqual([top.image_id, top.parent_id, top.size_bytes], [cloud.imageId, null, 2 * 2 ** 30]);
  assert.equal(volume.bootable, true);
  const { image_id, hw_disk_bus, disk_format, min_disk } = volume.image_metadata!;
  assert.deepEqual([image_id, hw_disk_bus, disk_format, min_disk], [cloud.imageId, 'virtio', 'qcow2', '1']);
  await cloud.volumes.delete(cloud.member, volume.id, free);
});

test('an image must be there, be a disk and fit', async () => {
  const create = (over: object) => cloud.volumes.create(cloud.member, cloud.wish(over));
  await assert.rejects(create({ imageId: newId() }), refused('image_not_found'));
  await sql`update image set virtual_size_bytes = ${3 * 2 ** 30} where id = ${cloud.imageId}`.execute(
    db.database.query,
  );
  const large = refused('volume_image_too_large', { image_gib: 3, size_gib: 2 });
  await assert.rejects(create({ imageId: cloud.imageId, sizeGib: 2 }), large);
  await sql`update image set virtual_size_bytes = 5, min_disk_gib = 4 where id = ${cloud.imageId}`.execute(
    db.database.query,
  );
  const small = refused('volume_below_minimum_disk', { minimum_gib: 4 });
  await assert.rejects(create({ imageId: cloud.imageId, sizeGib: 3 }), small);
  await sql`update image set min_disk_gib = 1, status = 'deactivated' where id = ${cloud.imageId}`.execute(
    db.database.query,
  );
  await assert.rejects(create({ imageId: cloud.imageId }), refused('image_not_active'));
  await sql`update image set status = 'active' where id = ${cloud.imageId}`.execute(db.database.query);
  await assert.rejects(create({ sizeGib: null }), refused('volume_size_missing'));
  const two = { imageId: cloud.imageId, snapshotId: newId() };
  await assert.rejects(create(two), refused('volume_sources_exclusive', { sources: ['snapshot', 'imageRef'] }));
});

test('a clone builds on what its source was, of which both go on, and outlives it', async () => {
  const source = await cloud.made({ imageId: cloud.imageId, sizeGib: 2 });
  const before = await topOf(source.id);
  const clone = await cloud.volumes.create(cloud.member, cloud.wish({ sourceVolumeId: source.id, sizeGib: 3 }));
  const [top, after] = [await topOf(clone.id), await topOf(source.id)];
  assert.deepEqual([top.parent_id, after.parent_id], [before.id, before.id]);
  assert.deepEqual([top.size_bytes, after.size_bytes, clone.bootable], [3 * 2 ** 30, 2 * 2 ** 30, true]);
  assert.deepEqual([clone.source_volume_id, clone.image_metadata?.image_id], [source.id, cloud.imageId]);
  await cloud.obey();
  const less = cloud.wish({ sourceVolumeId: source.id, sizeGib: 1 });
  await assert.rejects(cloud.volumes.create(cloud.member, less), refused('volume_size_below', { of: 'volume' }));
  await cloud.volumes.delete(cloud.member, source.id, free);
  assert.equal(await layersLeft(), 2, 'the clone and what it builds on');
  await cloud.volumes.delete(cloud.member, clone.id, free);
  assert.equal(await layersLeft(), 0);
});

test('a clone of a volume that a guest writes to is complete when the guest writes elsewhere', async () => {
  const source = await cloud.made();
  const { serverId } = await cloud.attach(source.id);
  assert.equal(await cloud.status(source.id), 'in-use');
  const clone = await cloud.volumes.create(cloud.member, cloud.wish({ sourceVolumeId: source.id, sizeGib: null }));
  await cloud.obey();
  await cloud.settle();
  assert.equal(await cloud.status(clone.id), 'creating');
  await cloud.switchOver(serverId);
  assert.equal(await cloud.status(clone.id), 'available');
  await assert.rejects(
    cloud.volumes.delete(cloud.member, source.id, free),
    refused('volume_in_the_way', { why: 'attached' }),
  );
  await sql`delete from volume_attachment where server_id = ${serverId}`.execute(db.database.query);
  for (const { id } of [source, clone]) await cloud.volumes.delete(cloud.member, id, free);
});

test('where no pool takes a volume it is an error that says why, and can be deleted', async () => {
  const volume = await cloud.volumes.create(cloud.member, cloud.wish({ sizeGib: 5000 }));
  assert.equal(await cloud.status(volume.id), 'error');
  assert.match(volume.fault!.message, /promised too much/);
  await cloud.controller.reconcile(volume.id);
  assert.equal(await cloud.status(volume.id), 'error');
  await cloud.volumes.delete(cloud.member, volume.id, free);
});

test('quotas of number, size and each size are exact, also of one type', async () => {
  const project = await volumeCloud(db.database);
  const limit = (limits: Record<string, number>) =>
    db.database.transaction(cloudActor, (tx) => setLimits(tx, project.projectId, limits));
  const create = (sizeGib: number) => project.volumes.create(project.member, project.wish({ sizeGib }));
  await limit({ volumes: 3, volume_gigabytes: 6, volume_gigabytes_each: 4 });
  await assert.rejects(create(5), refused('quota_exceeded', { resource: 'volume_gigabytes_each' }));
  const outcomes = await Promise.allSettled(Array.from({ length: 6 }, () => create(1)));
  assert.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 3);
  await limit({ volumes: 10 });
  await assert.rejects(create(4), refused('quota_exceeded', { resource: 'volume_gigabytes', used: 3 }));
  await limit({ gigabytes___DEFAULT__: 4 });
  await assert.rejects(create(2), refused('quota_exceeded', { resource: 'gigabytes___DEFAULT__' }));
  await create(1);
});

test('a zone must be one, and that of what the volume is made from', async () => {
  await testPool(db.database, { zone: 'attic' });
  const create = (over: object) => cloud.volumes.create(cloud.member, cloud.wish(over));
  await assert.rejects(create({ zone: 'nowhere' }), refused('volume_zone_unknown'));
  const there = await create({ zone: 'attic' });
  assert.equal(there.host_zone, 'attic');
  await cloud.obey();
  await assert.rejects(create({ sourceVolumeId: there.id, zone: 'nova' }), refused('volume_zone_of_source'));
  const near = await create({ sameHost: [there.id] });
  assert.equal(near.host_id, there.host_id);
  assert.notEqual((await create({ differentHost: [there.id] })).host_id, there.host_id);
  await assert.rejects(create({ sameHost: ['x'] }), refused('volume_hint_unknown'));
});

test('a volume grows, free or in use, never shrinks, and holds until its guest sees it', async () => {
  const { id } = await cloud.made();
  const extend = (sizeGib: number, inUse = false) => cloud.volumes.extend(cloud.member, id, { sizeGib, inUse });
  await assert.rejects(extend(1), refused('volume_extend_not_larger'));
  await extend(2);
  assert.equal(await cloud.status(id), 'extending');
  await cloud.settle();
  assert.equal(await cloud.status(id), 'extending');
  await cloud.obey();
  await cloud.settle();
  assert.equal(await cloud.status(id), 'available');
  const { serverId } = await cloud.attach(id);
  await assert.rejects(extend(3), refused('volume_status_unfit', { status: 'in-use', wanted: ['available'] }));
  await extend(3, true);
  await cloud.obey();
  await cloud.settle();
  assert.equal(await cloud.status(id), 'extending', 'its guest has not been told');
  await cloud.switchOver(serverId);
  await cloud.settle();
  assert.equal(await cloud.status(id), 'in-use');
  const { rows } =
    await sql`select o.verb, o.state, o.actor_id = v.actor_id and o.request_id is not distinct from v.request_id as same
    from operation o, operation v where o.resource_id = ${serverId} and v.resource_id = ${id} and v.verb = 'extend'
    order by v.created_at desc limit 1`.execute(db.database.query);
  assert.deepEqual(rows, [{ verb: 'extend_volume', state: 'succeeded', same: true }], 'an act of the server, too');
  await assert.rejects(extend(9000, true), refused('no_pool'));
});

test('what its host fails at is told, and goes when the host does it after all', async () => {
  const { id } = await cloud.made();
  await cloud.volumes.extend(cloud.member, id, { sizeGib: 2, inUse: false });
  await sql`update volume_layer set observed_state = 'failed', observed_generation = generation,
    observed_error = '{"code": "internal", "message": "the pool is full"}' where volume_id = ${id}`.execute(
    db.database.query,
  );
  await cloud.settle();
  assert.equal(await cloud.status(id), 'error_extending');
  assert.equal((await cloud.volumes.get(cloud.member, id)).fault?.message, 'the pool is full');
  await cloud.volumes.reset(cloud.admin, id, { status: 'available', attachStatus: null, migrationStatus: null });
  await cloud.obey();
  await cloud.settle();
  assert.equal(await cloud.status(id), 'available');
});

test('a revert takes the latest snapshot of the same size, and drops what was written since', async () => {
  const { id } = await cloud.made();
  await assert.rejects(
    cloud.volumes.revert(cloud.member, id, null),
    refused('volume_revert_snapshot', { why: 'none' }),
  );
  const first = await snapshot(id);
  await cloud.obey();
  const latest = await snapshot(id);
  await cloud.obey();
  await assert.rejects(
    cloud.volumes.revert(cloud.member, id, first.id),
    refused('volume_revert_snapshot', { why: 'not_latest' }),
  );
  const old = await topOf(id);
  await cloud.volumes.revert(cloud.member, id, latest.id);
  assert.equal(await cloud.status(id), 'reverting');
  assert.equal((await topOf(id)).parent_id, latest.layer_id);
  const { rows } = await sql`select from volume_layer where id = ${old.id} and desired_presence = 'present'`.execute(
    db.database.query,
  );
  assert.equal(rows.length, 0);
  await cloud.obey();
  await cloud.settle();
  assert.equal(await cloud.status(id), 'available');
  await cloud.volumes.extend(cloud.member, id, { sizeGib: 2, inUse: false });
  await cloud.obey();
  await cloud.settle();
  await assert.rejects(
    cloud.volumes.revert(cloud.member, id, latest.id),
    refused('volume_revert_snapshot', { why: 'size' }),
  );
  await assert.rejects(
    cloud.volumes.delete(cloud.member, id, free),
    refused('volume_in_the_way', { why: 'snapshots' }),
  );
  await cloud.volumes.delete(cloud.member, id, { cascade: true, force: false });
});

test('an image is made of a volume, of one in use only by force and of one moment', async () => {
  const { id } = await cloud.made({ imageId: cloud.imageId });
  const wish = {
    ...{ name: oddName, diskFormat: 'qcow2', containerFormat: 'bare', force: false },
    ...({ visibility: 'private', protected: false } as const),
  };
  const odd = { ...wish, diskFormat: 'ploop' };
  await assert.rejects(cloud.volumes.upload(cloud.member, id, odd), refused('volume_image_format_unserved'));
  await assert.rejects(cloud.volumes.upload(cloud.member, id, { ...wish, visibility: 'public' }), {
    code: 'forbidden',
  });
  const { imageId } = await cloud.volumes.upload(cloud.member, id, wish);
  assert.equal(await cloud.status(id), 'uploading');
  await cloud.obey();
  await cloud.settle();
  assert.equal(await cloud.status(id), 'available');
  const image = await imageOf(imageId);
  assert.deepEqual(
    [image.status, image.disk_format, image.owner_properties],
    ['active', 'qcow2', { hw_disk_bus: 'virtio' }],
  );
  const { serverId } = await cloud.attach(id);
  await assert.rejects(cloud.volumes.upload(cloud.member, id, wish), refused('volume_status_unfit'));
  const before = await topOf(id);
  const second = await cloud.volumes.upload(cloud.member, id, { ...wish, force: true, diskFormat: 'raw' });
  assert.equal((await topOf(id)).parent_id, before.id);
  await cloud.switchOver(serverId);
  await sql`update image set desired_presence = 'absent' where id = ${second.imageId}`.execute(db.database.query);
  await cloud.settle();
  assert.equal(await cloud.status(id), 'in-use', 'somebody deleted the image meanwhile');
});

const imageOf = async (id: string) => {
  const { rows } = await sql<{ status: string; disk_format: string; owner_properties: object }>`
    select status, disk_format, owner_properties from image where id = ${id}`.execute(db.database.query);
  return rows[0]!;
};

test('an administrator’s word is shown until it is taken back, and is never the truth', async () => {
  const { id } = await cloud.made();
  const reset = (status: string) =>
    cloud.volumes.reset(cloud.admin, id, { status, attachStatus: null, migrationStatus: null });
  const member = cloud.volumes.reset(cloud.member, id, { status: 'error', attachStatus: null, migrationStatus: null });
  await assert.rejects(member, { code: 'forbidden' });
  for (const status of ['error', 'maintenance', 'creating', 'attaching']) {
    await reset(status);
    await cloud.settle();
    assert.equal(await cloud.status(id), status);
  }
  await assert.rejects(
    cloud.volumes.delete(cloud.member, id, free),
    refused('volume_status_unfit', { call: 'delete' }),
  );
  await reset('available');
  assert.equal(await cloud.status(id), 'available');
  for (const status of ['deleting', 'detaching', 'in-use', 'nonsense']) {
    await assert.rejects(reset(status), refused('volume_reset_unserved'));
  }
  await reset('creating');
  await cloud.volumes.delete(cloud.admin, id, { cascade: false, force: true });
});

test('nobody sees, lists or changes what is another project’s, and readers change nothing', async () => {
  const { id } = await cloud.made();
  const stranger = callerOf((await volumeCloud(db.database)).projectId);
  const reader = callerOf(cloud.projectId, ['reader']);
  await assert.rejects(cloud.volumes.get(stranger, id), { code: 'not_found' });
  await assert.rejects(cloud.volumes.delete(stranger, id, free), { code: 'not_found' });
  await assert.rejects(cloud.volumes.create(stranger, cloud.wish({ sourceVolumeId: id })), { code: 'not_found' });
  assert.deepEqual(await cloud.volumes.list(stranger, { filter: {}, limit: 10 }, { allProjects: true }), []);
  assert.equal((await cloud.volumes.get(reader, id)).id, id);
  await assert.rejects(cloud.volumes.update(reader, id, { name: 'x' }), { code: 'forbidden' });
  await assert.rejects(cloud.volumes.create(reader, cloud.wish()), { code: 'forbidden' });
});

test('lists filter, sort, page and count', async () => {
  const own = await volumeCloud(db.database);
  const names = ['a', 'b', 'c', '100% d'];
  for (const name of names)
    await own.volumes.create(
      own.member,
      own.wish({ name, sizeGib: names.indexOf(name) + 1, metadata: { [name]: '1' } }),
    );
  await own.obey();
  const list = async (filter: object, more: object = {}) =>
    (await own.volumes.list(own.member, { filter, limit: 10, ...more }, { allProjects: false })).map(
      ({ name }) => name,
    );
  assert.deepEqual(await list({}), ['100% d', 'c', 'b', 'a']);
  assert.deepEqual(await list({ name: 'b' }), ['b']);
  assert.deepEqual(await list({ nameLike: '0% ' }), ['100% d']);
  assert.deepEqual(await list({ nameLike: '%a' }), []);
  assert.deepEqual(await list({ status: 'available', bootable: false, size: 3 }), ['c']);
  assert.deepEqual(await list({ metadata: { a: '1' } }), ['a']);
  const bySize = { sort: [{ key: 'size', descending: false }], limit: 2 };
  assert.deepEqual(await list({}, bySize), ['a', 'b']);
  const all = await own.volumes.list(own.member, { filter: {}, limit: 10 }, { allProjects: false });
  const marker = all.find(({ name }) => name === 'b')!.id;
  assert.deepEqual(await list({}, { ...bySize, marker }), ['c', '100% d']);
  await assert.rejects(list({}, { marker: newId() }), refused('volume_marker_not_found'));
  assert.equal(await own.volumes.count(own.member, { nameLike: 'd' }, { allProjects: false }), 1);
  const { count, size_gib, metadata } = await own.volumes.summary(own.member, { allProjects: false });
  assert.deepEqual([count, size_gib, metadata.a], [4, 10, ['1']]);
});

test('another type is taken in place where the pool is as it asks, and else refused', async () => {
  const { id } = await cloud.made();
  const add = (name: string, specs: object) =>
    sql`insert into volume_type (id, name, extra_specs)
    values (gen_random_uuid(), ${name}, ${JSON.stringify(specs)}::jsonb)`.execute(db.database.query);
  await add('same place', {});
  await add('elsewhere', { volume_backend_name: 'flash' });
  await add('many hands', { multiattach: '<is> True' });
  await add('tiny', { 'provisioning:max_vol_size': '0' });
  const retype = (type: string) => cloud.volumes.retype(cloud.member, id, { type, policy: 'never' });
  await assert.rejects(retype('elsewhere'), refused('volume_type_unfit', { why: 'other_pool' }));
  await assert.rejects(retype('many hands'), refused('volume_type_unfit', { why: 'multiattach' }));
  await assert.rejects(retype('tiny'), refused('volume_size_beyond_type', { maximum_gib: 0 }));
  await assert.rejects(retype('nothing'), refused('volume_type_not_found'));
  await retype('same place');
  assert.equal((await cloud.volumes.get(cloud.member, id)).type_name, 'same place');
  await assert.rejects(retype('same place'), refused('volume_type_unfit', { why: 'same' }));
});

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { testPool } from '../../../control/storage/testing.ts';
import { lookAtIncomplete } from '../../../control/storage/volume/testing.ts';
import { volumeApi } from './testing.ts';

const api = await volumeApi();
after(() => api[Symbol.asyncDispose]());
const { member, admin } = api.cloud;
const db = api.db.database;
let groupType: string;
let volumeType: string;

const call = (method: string, path: string, body?: unknown, caller = member, version: number | 'latest' = 'latest') =>
  api.call(caller, method, path, { ...(body !== undefined && { body }), version });
/** The host does what it is told, and the controllers look at that. */
async function obey(): Promise<void> {
  await sql`update volume_layer set observed_state = 'ready', observed_generation = generation,
    observed_epoch = epoch, observed_size_bytes = size_bytes`.execute(db.query);
  await lookAtIncomplete(db);
}

before(async () => {
  await testPool(db);
  groupType = (await call('POST', '/group_types', { group_type: { name: 'g' } }, admin)).body.group_type.id;
  volumeType = (await call('POST', '/types', { volume_type: { name: 't' } }, admin)).body.volume_type.id;
});

async function group(volumes = 0): Promise<{ id: string; volumes: string[] }> {
  const wish = { group: { name: '組', group_type: groupType, volume_types: [volumeType] } };
  const { status, body } = await call('POST', '/groups', wish);
  assert.equal(status, 202, JSON.stringify(body));
  const ids: string[] = [];
  for (let count = 0; count < volumes; count++) {
    const made = await call('POST', '/volumes', { volume: { size: 1, volume_type: 't', group_id: body.group.id } });
    assert.equal(made.body.volume?.group_id, body.group.id, JSON.stringify(made.body));
    ids.push(made.body.volume.id);
  }
  return { id: body.group.id, volumes: ids };
}
const shown = async (id: string) => (await call('GET', `/groups/${id}?list_volume=True`)).body.group;
const act = (id: string, body: unknown, caller = member) => call('POST', `/groups/${id}/action`, body, caller);
const volumesOf = async (id: string) =>
  (await call('GET', `/volumes/detail?group_id=${id}`)).body.volumes.map((volume: { id: string }) => volume.id);

test('a group is as far as its volumes, and is shown with them', async () => {
  const { id, volumes } = await group(2);
  assert.equal((await shown(id)).status, 'creating');
  await obey();
  const made = await shown(id);
  assert.deepEqual(
    [made.status, made.name, made.group_type, made.volume_types],
    ['available', '組', groupType, [volumeType]],
  );
  assert.deepEqual(
    [made.volumes.toSorted(), (await volumesOf(id)).toSorted()],
    [volumes.toSorted(), volumes.toSorted()],
  );
  const list = (await call('GET', '/groups?limit=1')).body;
  assert.deepEqual([list.groups.length, Object.keys(list.groups[0]).sort()], [1, ['id', 'name']]);
  assert.equal((await call('GET', '/groups', undefined, member, 12)).status, 404);
});

test('volumes come into a group and leave it, those of its types alone', async () => {
  const { id, volumes } = await group(1);
  const { body } = await call('POST', '/volumes', { volume: { size: 1 } });
  const other = body.volume.id;
  await obey();
  const update = (change: object) => call('PUT', `/groups/${id}`, { group: change });
  assert.equal((await update({ add_volumes: other })).status, 400, 'of another type');
  assert.equal((await update({ remove_volumes: other })).status, 400, 'not in it');
  assert.equal((await update({})).status, 400);
  assert.equal((await update({ remove_volumes: volumes[0]!, name: 'new' })).status, 202);
  assert.deepEqual([await volumesOf(id), (await shown(id)).name], [[], 'new']);
  assert.equal((await update({ add_volumes: volumes[0]! })).status, 202);
  assert.deepEqual(await volumesOf(id), volumes);
  const untyped = await call('POST', '/volumes', { volume: { size: 1, group_id: id } });
  assert.equal(untyped.status, 400);
});

test('a group is in a zone that there is, and so are its volumes', async () => {
  const create = (availability_zone: string) => {
    const wish = { name: '', group_type: groupType, volume_types: [volumeType], availability_zone };
    return call('POST', '/groups', { group: wish });
  };
  assert.equal((await create('elsewhere')).status, 400);
  const { host_id: far } = await testPool(db, { zone: 'far' });
  const { id } = (await create('far')).body.group;
  const wish = { size: 1, volume_type: 't', group_id: id };
  for (const availability_zone of ['far', 'nova', null]) {
    const { volume } = (await call('POST', '/volumes', { volume: { ...wish, availability_zone } })).body;
    assert.equal(volume.availability_zone, 'far');
    const { rows } = await sql<{ host_id: string }>`select host_id from volume where id = ${volume.id}`.execute(
      db.query,
    );
    assert.equal(rows[0]!.host_id, far);
  }
  const { body } = await call('POST', '/volumes', { volume: { size: 1, volume_type: 't', availability_zone: 'nova' } });
  await obey();
  const added = await call('PUT', `/groups/${id}`, { group: { add_volumes: body.volume.id } });
  assert.deepEqual([added.status, /zone 'far'/.test(added.body.badRequest.message)], [400, true]);
});

test('a volume of a group keeps its type, for which the group was made', async () => {
  const { volumes } = await group(1);
  await obey();
  await call('POST', '/types', { volume_type: { name: 'another' } }, admin);
  const { status, body } = await call('POST', `/volumes/${volumes[0]}/action`, {
    'os-retype': { new_type: 'another' },
  });
  assert.deepEqual([status, /group/.test(body.badRequest?.message)], [400, true]);
  const { volume } = (await call('GET', `/volumes/${volumes[0]}`)).body;
  assert.equal(volume.volume_type, 't');
});

test('a volume of a group goes with it alone, and only where that is said', async () => {
  const { id, volumes } = await group(2);
  await obey();
  assert.equal((await call('DELETE', `/volumes/${volumes[0]}`)).status, 400);
  assert.equal((await act(id, { delete: { 'delete-volumes': false } })).status, 400);
  assert.equal((await act(id, { delete: { 'delete-volumes': true } })).status, 202);
  assert.equal((await call('GET', `/groups/${id}`)).status, 404);
  for (const volume of volumes) assert.equal((await call('GET', `/volumes/${volume}`)).status, 404);
  const { rows } = await sql`select from volume_layer where desired_presence = 'present'
    and volume_id = any(${volumes}::uuid[])`.execute(db.query);
  assert.equal(rows.length, 0);
});

test('all volumes of a group are snapshotted at once, and a group is made of that and of the group', async () => {
  const { id, volumes } = await group(2);
  const wish = { group_snapshot: { group_id: id, name: '刻' } };
  assert.equal((await call('POST', '/group_snapshots', wish)).status, 400, 'its volumes are not there yet');
  await obey();
  const made = await call('POST', '/group_snapshots', wish);
  assert.deepEqual([made.status, made.body.group_snapshot.group_type_id], [202, groupType]);
  const snapshotId = made.body.group_snapshot.id;
  const one = async () => (await call('GET', `/group_snapshots/${snapshotId}`)).body.group_snapshot;
  assert.equal((await one()).status, 'creating');
  await obey();
  assert.deepEqual([(await one()).status, (await one()).group_id], ['available', id]);
  const { snapshots } = (await call('GET', '/snapshots/detail')).body;
  const own = snapshots.filter((each: { group_snapshot_id: string }) => each.group_snapshot_id === snapshotId);
  assert.deepEqual(own.map((each: { volume_id: string }) => each.volume_id).sort(), volumes.toSorted());
  assert.equal((await call('DELETE', `/snapshots/${own[0].id}`)).status, 400, 'it is part of the whole');
  const forced = await call('POST', `/snapshots/${own[0].id}/action`, { 'os-force_delete': {} }, admin);
  assert.equal(forced.status, 400, 'also to administrators');
  const [alone = ''] = volumes;
  const update = (change: object) => call('PUT', `/groups/${id}`, { group: change });
  assert.equal((await update({ remove_volumes: alone })).status, 202);
  const { body: kept } = await call('DELETE', `/volumes/${alone}?cascade=true`);
  assert.match(kept.badRequest.message, /part of snapshots of a group/);
  assert.equal((await call('DELETE', `/volumes/${alone}?cascade=true&force=true`, undefined, admin)).status, 400);
  assert.equal((await update({ add_volumes: alone })).status, 202);
  for (const source of [{ group_snapshot_id: snapshotId }, { source_group_id: id }]) {
    const answer = await call('POST', '/groups/action', { 'create-from-src': { name: 'copy', ...source } });
    assert.equal(answer.status, 202, JSON.stringify(answer.body));
    await obey();
    const copy = await shown(answer.body.group.id);
    assert.deepEqual([copy.status, copy.volumes.length], ['available', 2]);
    assert.equal((await act(copy.id, { delete: { 'delete-volumes': true } })).status, 202);
  }
  assert.equal((await act(id, { delete: { 'delete-volumes': true } })).status, 400, 'there is a snapshot of it');
  assert.equal((await call('DELETE', `/group_snapshots/${snapshotId}`)).status, 202);
  assert.equal((await call('GET', `/group_snapshots/${snapshotId}`)).status, 404);
  assert.equal((await act(id, { delete: { 'delete-volumes': true } })).status, 202);
});

test('an empty group has no snapshot, and quotas bound groups and what is in them', async () => {
  const { id } = await group();
  assert.equal((await call('POST', '/group_snapshots', { group_snapshot: { group_id: id } })).status, 400);
  assert.equal((await call('POST', '/groups/action', { 'create-from-src': { source_group_id: id } })).status, 400);
  const limit = (resource: string, maximum: number) =>
    sql`insert into quota (id, project_id, resource, maximum)
    values (gen_random_uuid(), ${member.projectId}, ${resource}, ${maximum})`.execute(db.query);
  await limit('volume_groups', 0);
  const wish = { group: { group_type: groupType, volume_types: ['t'] } };
  assert.equal((await call('POST', '/groups', wish)).status, 413);
  await sql`delete from quota where project_id = ${member.projectId}`.execute(db.query);
});

test('an administrator declares the status of a group and takes that back', async () => {
  const { id } = await group();
  for (const status of ['creating', 'error', 'available']) {
    assert.equal((await act(id, { reset_status: { status } }, admin)).status, 202);
    assert.equal((await shown(id)).status, status);
  }
  assert.equal((await act(id, { reset_status: { status: 'error' } })).status, 403);
  assert.equal((await act(id, { enable_replication: {} }, admin)).status, 400);
});

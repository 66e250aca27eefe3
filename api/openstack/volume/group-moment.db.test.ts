/** Groups whose snapshots have to be of one moment: what hosts are told, and what is refused. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { testAttachment } from '../../../control/storage/attachment/testing.ts';
import { desiredLayers } from '../../../control/storage/layer/desired.ts';
import { testPool } from '../../../control/storage/testing.ts';
import { lookAtIncomplete } from '../../../control/storage/volume/testing.ts';
import { volumeApi } from './testing.ts';

const api = await volumeApi();
after(() => api[Symbol.asyncDispose]());
const { member, admin } = api.cloud;
const db = api.db.database;
let pool: { host_id: string; id: string };
let volumeType: string;
const groupTypes: Record<string, string> = {};

const call = (method: string, path: string, body?: unknown, caller = member) =>
  api.call(caller, method, path, { ...(body !== undefined && { body }), version: 'latest' });

before(async () => {
  pool = await testPool(db);
  volumeType = (await call('POST', '/types', { volume_type: { name: 't' } }, admin)).body.volume_type.id;
  for (const [name, value] of Object.entries({ consistent: '<is> True', other: '<is> False' })) {
    const group_type = { name, group_specs: { consistent_group_snapshot_enabled: value } };
    groupTypes[name] = (await call('POST', '/group_types', { group_type }, admin)).body.group_type.id;
  }
});

/** A group of three volumes that are there. */
async function group(type: string): Promise<{ id: string; volumes: string[] }> {
  const wish = { group: { name: '瞬', group_type: groupTypes[type], volume_types: [volumeType] } };
  const { id } = (await call('POST', '/groups', wish)).body.group;
  const volumes: string[] = [];
  for (let count = 0; count < 3; count++) {
    const made = await call('POST', '/volumes', { volume: { size: 1, volume_type: 't', group_id: id } });
    volumes.push(made.body.volume.id);
  }
  await sql`update volume_layer set observed_state = 'ready', observed_generation = generation,
    observed_epoch = epoch, observed_size_bytes = size_bytes`.execute(db.query);
  await lookAtIncomplete(db);
  return { id, volumes: volumes.toSorted() };
}

async function attach(serverId: string, volumeIds: readonly string[]): Promise<void> {
  for (const [slot, volumeId] of volumeIds.entries()) await testAttachment(db, { serverId, volumeId, slot });
  await sql`update volume_attachment set attached_at = now() where server_id = ${serverId}`.execute(db.query);
}
const server = async () => api.cloud.serverWith(await api.cloud.addFlavor(), []);
const snapshot = (group_id: string) => call('POST', '/group_snapshots', { group_snapshot: { group_id, name: '' } });

/** Of the tops of the volumes, as their host is told. */
async function moments(volumeIds: readonly string[]): Promise<(string | undefined)[]> {
  const layers = await desiredLayers(db.query, {});
  const { rows } = await sql<{
    layer_id: string;
  }>`select layer_id from volume where id = any(${volumeIds}::uuid[])`.execute(db.query);
  return rows.map(({ layer_id }) => layers.find(({ layer }) => layer.id === layer_id)?.layer.moment);
}
const snapshotCount = async (volumeIds: readonly string[]) =>
  (await sql`select from volume_snapshot where volume_id = any(${volumeIds}::uuid[])`.execute(db.query)).rows.length;

test('new tops of a group whose type wants one moment come in one, of another type each in its own', async () => {
  const consistent = await group('consistent');
  await attach(await server(), consistent.volumes.slice(0, 2));
  const made = await snapshot(consistent.id);
  assert.equal(made.status, 202, JSON.stringify(made.body));
  const { id } = made.body.group_snapshot;
  assert.deepEqual(await moments(consistent.volumes), [id, id, id]);
  const copy = await call('POST', '/groups/action', {
    'create-from-src': { name: '', source_group_id: consistent.id },
  });
  assert.equal(copy.status, 202, JSON.stringify(copy.body));
  const clones = copy.body.group.id;
  assert.deepEqual(await moments(consistent.volumes), [clones, clones, clones]);
  const other = await group('other');
  assert.equal((await snapshot(other.id)).status, 202);
  assert.deepEqual(await moments(other.volumes), [undefined, undefined, undefined]);
});

test('where volumes are in use so that there is no one moment it is refused by name, and nothing is made', async () => {
  const { id, volumes } = await group('consistent');
  const [first, second, third] = volumes as [string, string, string];
  const refused = async (words: RegExp, named: readonly string[]) => {
    const { status, body } = await snapshot(id);
    assert.equal(status, 400);
    assert.match(body.badRequest.message, /^Invalid group: .* no one moment/);
    assert.match(body.badRequest.message, words);
    for (const volume of named) assert.ok(body.badRequest.message.includes(volume));
    assert.equal(await snapshotCount(volumes), 0);
    const copy = await call('POST', '/groups/action', { 'create-from-src': { name: '', source_group_id: id } });
    assert.deepEqual([copy.status, copy.body.badRequest?.message], [400, body.badRequest.message]);
  };
  const change = (column: string, value: string) =>
    sql`update ${sql.table(column === 'kind' ? 'storage_pool' : 'volume')} set ${sql.ref(column)} = ${value}
      where id = ${column === 'kind' ? pool.id : second}`.execute(db.query);
  const [one, two] = [await server(), await server()];
  await attach(one, [first, second]);
  await attach(two, [third]);
  await refused(/not one server alone/, volumes);
  await sql`delete from volume_attachment where server_id = ${two}`.execute(db.query);
  await sql`update volume set cache_pool_id = pool_id, cache_bytes = 1073741824, cache_policy = 'write-back' where id = ${second}`.execute(
    db.query,
  );
  await refused(/have a cache/, [second]);
  await sql`update volume set cache_pool_id = null, cache_bytes = null, cache_policy = null where id = ${second}`.execute(
    db.query,
  );
  await change('kind', 'rbd');
  await refused(/lie in a cluster/, [first, second]);
  await sql`delete from volume_attachment where volume_id = ${second}`.execute(db.query);
  // One alone is of its own moment.
  assert.equal((await snapshot(id)).status, 202);
  await change('kind', 'directory');
});

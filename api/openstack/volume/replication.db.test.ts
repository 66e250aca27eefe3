/** Replicas of volumes in Cinder's words: the type's extra spec, the volume's status of them, and what its services say. Its own words: api/native. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { newId } from '../../../contract/ids.ts';
import { testPool } from '../../../control/storage/testing.ts';
import { volumeApi } from './testing.ts';

const api = await volumeApi();
after(() => api[Symbol.asyncDispose]());
const { member, admin } = api.cloud;
const db = api.db.database;
const call = async (who: typeof member, method: string, path: string, body?: unknown) => {
  const answer = await api.call(who, method, path, { version: 70, ...(body !== undefined && { body }) });
  assert.ok(answer.status < 300, JSON.stringify(answer.body));
  return answer.body;
};

before(async () => {
  for (const _ of [1, 2]) await testPool(db);
  const extra_specs = { replication_enabled: '<is> True' };
  await call(admin, 'POST', '/types', { volume_type: { name: 'replicated', extra_specs } });
});
const make = async (type?: string) =>
  (await call(member, 'POST', '/volumes', { volume: { size: 1, ...(type && { volume_type: type }) } })).volume.id;
const status = async (id: string) => (await call(member, 'GET', `/volumes/${id}`)).volume.replication_status;

test('a type that asks for replicas says so to everybody, and its volumes say how theirs are', async () => {
  const { volume_types } = await call(member, 'GET', '/types');
  const type = volume_types.find(({ name }: { name: string }) => name === 'replicated');
  assert.equal(type.extra_specs.replication_enabled, '<is> True');
  const [id, plain] = [await make('replicated'), await make()];
  assert.deepEqual([await status(id), await status(plain)], ['enabling', null]);
  const set = (change: ReturnType<typeof sql>) =>
    sql`update volume_replica set ${change} where volume_id = ${id}`.execute(db.query);
  await set(sql`layer_id = ${newId()}, source_layer_id = ${newId()}, as_of = now()`);
  assert.equal(await status(id), 'enabled');
  await set(sql`late_since = now()`);
  assert.equal(await status(id), 'error');
  await set(sql`late_since = null, fault = '{"code": "replica_lost", "message": "gone"}'`);
  assert.equal(await status(id), 'error');
  await set(sql`fault = null, layer_id = null, as_of = null, failed_over_at = now()`);
  assert.equal(await status(id), 'failed-over');
  await set(sql`layer_id = ${newId()}`);
  assert.equal(await status(id), 'enabled', 'it has a replica again');
  const { volumes } = await call(member, 'GET', '/volumes/detail');
  const shown = new Map(
    volumes.map((each: { id: string; replication_status: string }) => [each.id, each.replication_status]),
  );
  assert.deepEqual([shown.get(id), shown.get(plain)], ['enabled', null]);
});

test('services say which pools can have replicated volumes', async () => {
  const { host_id } = await testPool(db, { name: 'memory', tier: 'ram' });
  const { services } = await call(admin, 'GET', `/os-services?host=host-${host_id}&binary=cinder-volume`);
  const { services: all } = await call(admin, 'GET', '/os-services?binary=cinder-volume');
  const words = (of: { replication_status: string }[]) => of.map(({ replication_status }) => replication_status);
  assert.deepEqual(words(services), ['disabled']);
  assert.ok(words(all).includes('enabled'));
});

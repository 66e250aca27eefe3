import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { oddName } from '../../../control/compute/server/testing.ts';
import { type ComputeApi, computeApi } from './testing.ts';

let api: ComputeApi;
before(async () => {
  api = await computeApi();
});
after(() => api[Symbol.asyncDispose]());

const admin = (method: string, path: string, body?: unknown, version = 41) =>
  api.call(api.cloud.admin, method, `/os-aggregates${path}`, { version, ...(body !== undefined && { body }) });
const make = async (name: string, availability_zone?: string): Promise<number> => {
  const answer = await admin('POST', '', { aggregate: { name, availability_zone } });
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  return answer.body.aggregate.id;
};
const act = (id: number, body: object) => admin('POST', `/${id}/action`, body);
const zones = async () =>
  (await api.call(api.cloud.member, 'GET', '/os-availability-zone')).body.availabilityZoneInfo
    .map(({ zoneName }: { zoneName: string }) => zoneName)
    .sort();

test('an aggregate is made, shown by version, changed and deleted', async () => {
  const id = await make(oddName, 'zone');
  const shown = (await admin('GET', `/${id}`)).body.aggregate;
  assert.deepEqual(
    [shown.name, shown.availability_zone, shown.hosts, shown.metadata, shown.updated_at, shown.deleted],
    [oddName, 'zone', [], { availability_zone: 'zone' }, null, false],
  );
  assert.equal((await admin('GET', `/${id}`, undefined, 40)).body.aggregate.uuid, undefined);
  assert.equal((await admin('POST', '', { aggregate: { name: oddName } })).status, 409);
  const named = (await admin('PUT', `/${id}`, { aggregate: { name: 'other' } })).body.aggregate;
  assert.deepEqual([named.name, named.availability_zone], ['other', 'zone']);
  const set = await act(id, { set_metadata: { metadata: { ssd: 'true', 鍵: 'x' } } });
  assert.deepEqual(set.body.aggregate.metadata, { ssd: 'true', 鍵: 'x', availability_zone: 'zone' });
  const less = await act(id, { set_metadata: { metadata: { ssd: null, availability_zone: null } } });
  assert.deepEqual(less.body.aggregate.metadata, { 鍵: 'x' });
  assert.equal((await admin('DELETE', `/${id}`)).status, 200);
  assert.equal((await admin('GET', `/${id}`)).status, 404);
});

test('a host is in the zone of its aggregate, and in its own again when it leaves', async () => {
  await api.cloud.addHost({ name: 'roaming' });
  const id = await make('zoned', 'north');
  const added = await act(id, { add_host: { host: 'roaming' } });
  assert.deepEqual([added.status, added.body.aggregate.hosts], [200, ['roaming']]);
  assert.deepEqual(await zones(), ['north']);
  await admin('PUT', `/${id}`, { aggregate: { availability_zone: 'south' } });
  assert.deepEqual(await zones(), ['south']);
  assert.equal((await act(id, { add_host: { host: 'roaming' } })).status, 409);
  assert.equal((await act(await make('other zone', 'west'), { add_host: { host: 'roaming' } })).status, 409);
  assert.equal((await act(await make('no zone'), { add_host: { host: 'roaming' } })).status, 200);
  assert.equal((await admin('DELETE', `/${id}`)).status, 400);
  assert.equal((await act(id, { remove_host: { host: 'roaming' } })).status, 200);
  assert.deepEqual(await zones(), ['nova']);
  assert.equal((await act(id, { remove_host: { host: 'roaming' } })).status, 404);
  assert.equal((await act(id, { add_host: { host: 'nobody' } })).status, 404);
});

test('a host that carries a server keeps its zone', async () => {
  const host = await api.cloud.addHost({ name: 'carrying' });
  const id = await make('plain');
  assert.equal((await act(id, { add_host: { host: 'carrying' } })).status, 200);
  const flavor = await api.cloud.addFlavor();
  const wish = api.cloud.wish({ flavor });
  await api.cloud.service.create(api.cloud.member, wish);
  await sql`update server set host_id = ${host}`.execute(api.db.database.query);
  assert.equal((await admin('PUT', `/${id}`, { aggregate: { availability_zone: 'east' } })).status, 400);
  assert.equal((await act(id, { set_metadata: { metadata: { availability_zone: 'east' } } })).status, 400);
  assert.equal((await act(await make('east', 'east'), { add_host: { host: 'carrying' } })).status, 409);
  assert.equal((await admin('GET', `/${id}`)).body.aggregate.availability_zone, null);
});

test('what is no aggregate is refused, and members know none', async () => {
  for (const aggregate of [{}, { name: '' }, { name: 'x'.repeat(256) }, { name: 'x', availability_zone: 'a:b' }]) {
    assert.equal((await admin('POST', '', { aggregate })).status, 400);
  }
  assert.equal((await admin('GET', '/x')).status, 400);
  for (const none of [99999, -1, 10 ** 15]) assert.equal((await admin('GET', `/${none}`)).status, 404);
  const id = await make('refusing');
  assert.equal((await admin('PUT', `/${id}`, { aggregate: {} })).status, 400);
  assert.equal((await act(id, { set_metadata: { metadata: { availability_zone: '' } } })).status, 400);
  assert.equal((await api.call(api.cloud.member, 'GET', '/os-aggregates')).status, 403);
});

test('images are on the hosts of an aggregate, or it is said which is not on which; from 2.81 on', async () => {
  const id = await make('with images');
  const { imageId } = api.cloud;
  const hostId = await api.cloud.addHost({ name: 'cached' });
  await act(id, { add_host: { host: 'cached' } });
  const cache = (ids: string[], version = 81) =>
    admin('POST', `/${id}/images`, { cache: ids.map((image) => ({ id: image })) }, version);
  const refused = await cache([imageId]);
  assert.equal(refused.status, 400);
  assert.match(refused.body.badRequest.message, new RegExp(`Image ${imageId} is not on host cached`));
  await sql`insert into image_location (image_id, host_id) values (${imageId}, ${hostId})`.execute(
    api.db.database.query,
  );
  assert.equal((await cache([imageId])).status, 202);
  assert.equal((await cache([imageId, imageId])).status, 400);
  assert.equal((await cache([])).status, 400);
  assert.equal((await cache([imageId], 80)).status, 404);
});

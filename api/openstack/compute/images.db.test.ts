import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { newId } from '../../../contract/ids.ts';
import { callerOf, oddName } from '../../../control/compute/server/testing.ts';
import { testProject } from '../../../control/kit/database/testing.ts';
import { type ComputeApi, computeApi } from './testing.ts';

let api: ComputeApi;
before(async () => {
  api = await computeApi();
});
after(() => api[Symbol.asyncDispose]());

const member = (method: string, path: string, body?: unknown, version = 35) =>
  api.call(api.cloud.member, method, path, { version, ...(body !== undefined && { body }) });

async function makeImage(name: string, row: { status?: string; properties?: Record<string, string> } = {}) {
  const id = newId();
  const { status = 'active', properties = {} } = row;
  await sql`insert into image (id, project_id, name, status, disk_format, container_format, min_disk_gib, min_memory_mib, size_bytes,
      owner_properties) values (${id}, ${api.cloud.projectId}, ${name}, ${status}, 'qcow2', 'bare', 2, 64, 512, ${JSON.stringify(properties)}::jsonb)`.execute(
    api.db.database.query,
  );
  return id;
}
const names = (answer: { body: { images: { name: string }[] } }) => answer.body.images.map(({ name }) => name).sort();

test('an image has Nova’s older form until 2.35, with the server that it was made of, and none from 2.36 on', async () => {
  const server = newId();
  const id = await makeImage(oddName, { properties: { image_type: 'snapshot', instance_uuid: server, 小屋: '🏔' } });
  const { image } = (await member('GET', `/images/${id}`)).body;
  const { links, created, updated, server: from, ...rest } = image;
  assert.deepEqual(rest, {
    ...{ id, name: oddName, status: 'ACTIVE', progress: 100, minDisk: 2, minRam: 64, 'OS-EXT-IMG-SIZE:size': 512 },
    metadata: { image_type: 'snapshot', instance_uuid: server, 小屋: '🏔' },
  });
  assert.deepEqual(
    [from.id, links.map(({ rel }: { rel: string }) => rel)],
    [server, ['self', 'bookmark', 'alternate']],
  );
  assert.match(`${created} ${updated}`, /^\S+Z \S+Z$/);
  for (const path of ['/images', '/images/detail', `/images/${id}`]) {
    assert.equal((await member('GET', path, undefined, 36)).status, 404);
  }
  assert.equal((await member('GET', `/images/${id}/metadata`, undefined, 38)).status, 200);
  assert.equal((await member('GET', `/images/${id}/metadata`, undefined, 39)).status, 404);
  assert.equal((await member('GET', `/images/${newId()}`)).status, 404);
  assert.equal((await member('GET', '/images/12')).status, 404);
  assert.equal((await member('DELETE', `/images/${id}`)).status, 204);
  assert.equal((await member('GET', `/images/${id}`)).status, 404);
});

test('lists are filtered as Nova did, page by page', async () => {
  const server = newId();
  await makeImage('one', { properties: { instance_uuid: server, image_type: 'snapshot' } });
  await makeImage('two', { status: 'saving' });
  await makeImage('three', { status: 'deactivated' });
  const list = async (query: string) => names(await member('GET', `/images/detail?${query}`));
  assert.deepEqual(await list('name=two'), ['two']);
  assert.deepEqual(await list('status=SAVING'), ['two']);
  assert.deepEqual(await list('status=nonsense'), []);
  assert.deepEqual(await list(`server=${server}`), ['one']);
  assert.deepEqual(await list(`server=http://x/v2.1/servers/${server}`), ['one']);
  assert.deepEqual(await list('type=snapshot'), ['one']);
  assert.deepEqual(await list('minDisk=3'), []);
  assert.deepEqual(await list('changes-since=2999-01-01T00:00:00Z'), []);
  assert.ok((await list('changes-since=2000-01-01T00:00:00Z')).length >= 3);
  const first = (await member('GET', '/images?limit=1')).body;
  assert.equal(first.images.length, 1);
  const next = new URL(first.images_links[0].href);
  const second = (await member('GET', `/images${next.search}`)).body;
  assert.notEqual(second.images[0].id, first.images[0].id);
  for (const wrong of [
    'limit=x',
    'minRam=-1',
    'minDisk=99999999999',
    'changes-since=soon',
    'changes-since=2026-02-30',
    `marker=${newId()}`,
  ]) {
    assert.equal((await member('GET', `/images?${wrong}`)).status, 400, wrong);
  }
});

test('metadata are the image’s properties: shown, added, replaced, set and deleted', async () => {
  const id = await makeImage('metadata', { properties: { a: '1' } });
  const path = `/images/${id}/metadata`;
  assert.deepEqual((await member('POST', path, { metadata: { b: '2' } })).body, { metadata: { a: '1', b: '2' } });
  assert.deepEqual((await member('PUT', path, { metadata: { b: '3', c: '4' } })).body, {
    metadata: { b: '3', c: '4' },
  });
  assert.deepEqual((await member('PUT', `${path}/d`, { meta: { d: '5' } })).body, { meta: { d: '5' } });
  assert.deepEqual((await member('GET', `${path}/d`)).body, { meta: { d: '5' } });
  assert.equal((await member('PUT', `${path}/d`, { meta: { e: '5' } })).status, 400);
  assert.equal((await member('DELETE', `${path}/d`)).status, 204);
  assert.equal((await member('DELETE', `${path}/d`)).status, 404);
  assert.deepEqual((await member('GET', path)).body, { metadata: { b: '3', c: '4' } });
});

test('a protected image stays, and another’s private image is not there', async () => {
  const id = await makeImage('kept');
  await sql`update image set protected = true where id = ${id}`.execute(api.db.database.query);
  assert.equal((await member('DELETE', `/images/${id}`)).status, 403);
  const stranger = callerOf(await testProject(api.db.database));
  for (const [method, path] of [
    ['GET', `/images/${id}`],
    ['DELETE', `/images/${id}`],
    ['GET', `/images/${id}/metadata`],
  ] as const) {
    assert.equal((await api.call(stranger, method, path, { version: 1 })).status, 404);
  }
});

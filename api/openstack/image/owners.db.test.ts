/** Administrators say of whom an image is, as in Glance: of a project here, or of anybody; the second has no rights here, and no quota. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { newId } from '../../../contract/ids.ts';
import { callers, ImageApi } from './testing.ts';

let api: ImageApi;
before(async () => {
  api = await ImageApi.start();
});
after(() => api[Symbol.asyncDispose]());

const formats = { disk_format: 'raw', container_format: 'bare' };
const replace = (path: string, value: unknown) => [{ op: 'replace', path, value }];
const bytes = Buffer.from('bytes of somebody');
const fill = (id: string) =>
  api.call(`admin PUT /images/${id}/file`, bytes, { 'content-type': 'application/octet-stream' });
const create = async (owner: string, more = {}) => {
  const { status, body } = await api.call('admin POST /images', { ...formats, owner, ...more });
  assert.deepEqual([status, body.owner], [201, owner]);
  return body.id as string;
};
/** Who sees it. */
const seenBy = async (id: string) => {
  const names = ['admin', 'alice', 'bob'] as const;
  const seen = await Promise.all(
    names.map(async (name) => (await api.call(`${name} GET /images/${id}`)).status === 200),
  );
  return names.filter((_, index) => seen[index]);
};

test('the owner is as it was given, of any form, and what is listed of it is its own', async () => {
  const uuid = newId();
  for (const owner of [uuid, uuid.replaceAll('-', ''), 'Käthe 小屋', 'x'.repeat(255)]) {
    const id = await create(owner);
    assert.equal((await api.call(`admin GET /images/${id}`)).body.owner, owner);
    const { body } = await api.call(`admin GET /images?owner=${encodeURIComponent(owner)}`);
    assert.deepEqual(
      body.images.map((image: { id: string }) => image.id),
      [id],
    );
  }
  for (const owner of ['x'.repeat(256), 'a\0b', '\ud800']) {
    assert.equal((await api.call('admin POST /images', { ...formats, owner })).status, 400);
  }
});

test('nobody here has rights by it, callers without a project neither; others see it as it is visible', async () => {
  const id = await create('elsewhere', { visibility: 'private' });
  assert.deepEqual(await seenBy(id), ['admin']);
  for (const [visibility, seen] of [
    ['shared', ['admin']],
    ['community', ['admin', 'alice', 'bob']],
  ] as const) {
    assert.equal((await api.call(`admin PATCH /images/${id}`, replace('/visibility', visibility))).status, 200);
    assert.deepEqual(await seenBy(id), seen);
  }
  for (const caller of ['alice', 'homeless']) {
    assert.equal((await api.call(`${caller} PATCH /images/${id}`, replace('/name', 'mine'))).status, 403);
    assert.equal((await api.call(`${caller} DELETE /images/${id}`)).status, 403);
  }
});

test('it goes from a project to anybody and back, and is counted where it is', async () => {
  const used = async () => {
    const { body } = await api.call('alice GET /info/usage');
    return [body.usage.image_count_total.usage, body.usage.image_size_total.usage];
  };
  const [before] = await used();
  const id = await create(callers.alice.projectId!);
  assert.equal((await used())[0], before! + 1);
  const owner = newId().replaceAll('-', '');
  const { body } = await api.call(`admin PATCH /images/${id}`, replace('/owner', owner));
  assert.equal(body.owner, owner);
  assert.deepEqual([await used(), await seenBy(id)], [[before, 0], ['admin']]);
  assert.equal((await fill(id)).status, 204);
  assert.deepEqual((await api.call(`admin GET /images/${id}/file`)).body, bytes);
  const undashed = callers.alice.projectId!.replaceAll('-', '');
  const back = await api.call(`admin PATCH /images/${id}`, replace('/owner', undashed));
  assert.equal(back.body.owner, callers.alice.projectId);
  assert.deepEqual(await seenBy(id), ['admin', 'alice']);
  const other = await create('elsewhere');
  assert.equal((await api.call(`admin DELETE /images/${other}`)).status, 204);
  const { rows } = await sql`select from image where id = ${other} and desired_presence = 'present'`.execute(
    api.db.database.query,
  );
  assert.equal(rows.length, 0);
});

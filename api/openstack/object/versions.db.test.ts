/** Versions by their names: `X-Versions-Enabled`. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { ObjectApi } from './testing.ts';

let api: ObjectApi;
before(async () => {
  api = await ObjectApi.start();
});
after(() => api[Symbol.asyncDispose]());

test('a container with versions keeps what is overwritten and deleted, and gives each back by its id', async () => {
  await api.must(201, 'alice PUT /v', { headers: { 'x-versions-enabled': 'true' } });
  assert.equal((await api.must(204, 'alice HEAD /v')).headers['x-versions-enabled'], 'True');
  const ids: string[] = [];
  for (const body of ['1', '2']) {
    ids.push((await api.must(201, 'alice PUT /v/o', { body })).headers['x-object-version-id']!);
  }
  const marker = (await api.must(204, 'alice DELETE /v/o')).headers['x-object-version-id']!;
  await api.must(404, 'alice GET /v/o');
  await api.must(204, 'alice GET /v');
  for (const [at, id] of ids.entries()) {
    const got = await api.must(200, `alice GET /v/o?version-id=${id}`);
    assert.deepEqual([got.text, got.headers['x-object-version-id']], [String(at + 1), id]);
  }
  const listed = JSON.parse((await api.must(200, 'alice GET /v?versions&format=json')).text);
  assert.deepEqual(
    listed.map((one: Record<string, unknown>) => [one.version_id, one.is_latest, one.bytes]),
    [
      [marker, true, 0],
      [ids[1], false, 1],
      [ids[0], false, 1],
    ],
  );
  assert.equal(listed[0].content_type, 'application/x-deleted;swift_versions_deleted=1');
  await api.must(409, 'alice DELETE /v');
  const back = await api.must(201, `alice PUT /v/o?version-id=${ids[0]}`);
  assert.equal((await api.must(200, 'alice GET /v/o')).text, '1');
  await api.must(400, `alice POST /v/o?version-id=${ids[0]}`, { headers: { 'x-object-meta-a': 'b' } });
  for (const id of [...ids, marker, back.headers['x-object-version-id']]) {
    await api.must(204, `alice DELETE /v/o?version-id=${id}`);
  }
  await api.must(404, `alice GET /v/o?version-id=${ids[0]}`);
  await api.must(204, 'alice POST /v', { headers: { 'x-versions-enabled': 'false' } });
  assert.equal((await api.must(204, 'alice HEAD /v')).headers['x-versions-enabled'], 'False');
  await api.must(204, 'alice DELETE /v');
  const both = { 'x-versions-enabled': 'true', 'x-versions-location': 'other' };
  await api.must(400, 'alice PUT /both', { headers: both });
});

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { newId } from '../../../contract/ids.ts';
import { until } from '../../../test/support/until.ts';
import { callers, ImageApi } from './testing.ts';

let api: ImageApi;
before(async () => {
  api = await ImageApi.start();
});
after(() => api[Symbol.asyncDispose]());

const bytes = Buffer.from('the bytes of an image');
const query = () => api.db.database.query;

test('what is staged has a limit of its own, for announced and for unknown lengths', async () => {
  const projectId = callers.alice.projectId;
  await sql`insert into quota (id, project_id, resource, maximum)
    values (${newId()}, ${projectId}, 'image_staged_bytes', ${bytes.length})`.execute(query());
  try {
    const ids = [await api.create('alice'), await api.create('alice')] as const;
    const stage = async (id: string) => (await api.call(`alice PUT /images/${id}/stage`, bytes)).status;
    assert.equal(await stage(ids[0]), 204);
    const refused = await api.call(`alice PUT /images/${ids[1]}/stage`, bytes);
    assert.equal(refused.status, 413);
    assert.match(JSON.stringify(refused.body), /Resource image_stage_total is over limit of 1 due to current usage 1/);
    assert.equal((await api.call(`alice PUT /images/${ids[1]}/file`, bytes)).status, 204, 'it is not staged');
    await api.call(`alice POST /images/${ids[0]}/import`, { method: { name: 'glance-direct' } });
    assert.equal(await stage(await api.create('alice')), 204, 'what was imported is staged no more');
    const { usage } = (await api.call('alice GET /info/usage')).body;
    assert.deepEqual(usage.image_count_uploading, { limit: -1, usage: 1 });
  } finally {
    await sql`delete from quota where project_id is not null`.execute(query());
  }
});

test('limits hold exactly, however many uploads begin at once', async () => {
  const projectId = callers.bob.projectId;
  for (const [resource, maximum] of [
    ['image_uploads', 3],
    ['image_bytes', 10 * bytes.length],
  ] as const) {
    await sql`insert into quota (id, project_id, resource, maximum)
      values (${newId()}, ${projectId}, ${resource}, ${maximum})`.execute(query());
  }
  try {
    const images = await Promise.all(Array.from({ length: 12 }, () => api.create('bob')));
    const go = Promise.withResolvers<void>();
    api.store.hold = () => go.promise;
    const running = images.map((id) => api.call(`bob PUT /images/${id}/file`, bytes));
    let refused = 0;
    for (const one of running) void one.then(({ status }) => (refused += Number(status === 413)));
    await until('all others to be refused', () => refused === 9);
    go.resolve();
    api.store.hold = undefined;
    const statuses = (await Promise.all(running)).map(({ status }) => status).sort();
    assert.deepEqual(statuses, [...Array(3).fill(204), ...Array(9).fill(413)]);
    await sql`delete from quota where project_id = ${projectId} and resource = 'image_uploads'`.execute(query());
    const all = await Promise.all(images.map((id) => api.call(`bob PUT /images/${id}/file`, bytes)));
    assert.equal(
      all.filter(({ status }) => status === 204).length,
      7,
      'ten of that size are allowed, three were there',
    );
  } finally {
    await sql`delete from quota where project_id is not null`.execute(query());
  }
});

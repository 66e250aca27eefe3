/** Images that became active without digests have all of them a moment later, those of their bytes; what can't be told stays unknown. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { until } from '../../../test/support/until.ts';
import { ImageApi } from './testing.ts';

let api: ImageApi;
const bytes = Buffer.from('what was on a disk');
const query = () => api.db.database.query;
before(async () => {
  api = await ImageApi.start();
});
after(() => api[Symbol.asyncDispose]());

const hex = (algorithm: string) => createHash(algorithm).update(bytes).digest('hex');
const shown = async (id: string) => {
  const { body: image } = await api.call(`alice GET /images/${id}`);
  return [image.status, image.checksum, image.os_hash_algo, image.os_hash_value];
};

/** As a host's capture leaves it, or an older release's; its host does not answer until it is told to. */
async function withoutDigests(sha256: string | null = null): Promise<string> {
  api.store.breakOff = false;
  const id = await api.create('alice', {}, bytes);
  api.store.breakOff = true;
  await sql`update image set md5 = null, sha512 = null, sha256 = ${sha256} where id = ${id}`.execute(query());
  return id;
}

test('an image without digests is asked for until its host knows them', async () => {
  const id = await withoutDigests();
  let asked = 0;
  api.store.digests = () => (++asked < 3 ? null : undefined);
  assert.deepEqual(await shown(id), ['active', null, null, null]);
  api.store.breakOff = false;
  await api.controller.tasks.image(id);
  await until('the digests', async () => (await shown(id))[1] !== null);
  assert.deepEqual(await shown(id), ['active', hex('md5'), 'sha512', hex('sha512')]);
  assert.ok(asked >= 3);
  const { rows } = await sql<{ sha256: string }>`select sha256 from image where id = ${id}`.execute(query());
  assert.equal(rows[0]!.sha256, hex('sha256'));
});

test('one that has SHA-256 alone, of an older release, gets the others; a host’s return is when', async () => {
  const id = await withoutDigests(hex('sha256'));
  api.store.digests = () => undefined;
  await api.controller.tasks.image(id);
  assert.deepEqual((await shown(id)).slice(1), [null, 'sha256', hex('sha256')]);
  api.store.breakOff = false;
  await sql`update host set connected = false`.execute(query());
  await sql`update host set connected = true`.execute(query());
  await until('the digests', async () => (await shown(id))[1] !== null);
  assert.deepEqual(await shown(id), ['active', hex('md5'), 'sha512', hex('sha512')]);
});

test('what a host says of other bytes is not taken, nor what is no answer', async () => {
  const other = { md5: 'a'.repeat(32), sha256: 'b'.repeat(64), sha512: 'c'.repeat(128) };
  const id = await withoutDigests(hex('sha256'));
  api.store.digests = () => other;
  api.store.breakOff = false;
  await api.controller.tasks.image(id);
  api.store.digests = () => ({ ...other, sha512: 'DROP TABLE' });
  await api.controller.tasks.image(id);
  assert.deepEqual((await shown(id)).slice(1), [null, 'sha256', hex('sha256')]);
});

/** An image that lies here already is moved into its place, where nobody can write to it any more; else it is copied. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type ImageId, newId } from '../../contract/ids.ts';
import { silent } from '../logger.ts';
import { intakeDigestSets } from './intake.ts';
import { ImageStore } from './store.ts';
import { takeOverImage } from './take-over.ts';
import { qcow2Image, spoiled } from './testing.ts';
import type { UploadContext } from './upload.ts';

async function place(t: TestContext) {
  const directory = mkdtempSync(join(tmpdir(), 'bothy-take-over-'));
  const dataDirectory = join(directory, 'data');
  mkdirSync(dataDirectory);
  const sets = intakeDigestSets();
  const store = new ImageStore({ dataDirectory, durable: false, guestGid: undefined, log: silent });
  await store.open();
  t.after(() => {
    sets.close();
    rmSync(directory, { recursive: true });
  });
  const context: UploadContext = {
    ...{ store, sets, maxVirtualBytes: 2 ** 40 },
    inspect: async () => {},
    inUse: () => false,
  };
  const from = join(directory, 'made');
  const id = newId<ImageId>();
  const left = () => ({
    made: readdirSync(directory).includes('made'),
    stored: store.ids(),
    incoming: readdirSync(store.paths.incoming),
  });
  const take = (over: Partial<Parameters<typeof takeOverImage>[1]> = {}) =>
    takeOverImage(from, { id, format: 'raw', stillWanted() {}, ...over }, context);
  return { from, id, store, left, take };
}

test('a file that nobody has open is the image itself, at once: its digests are found later', async (t) => {
  for (const size of [512, 3 * 2 ** 20, 10 * 2 ** 20 + 512]) {
    const { from, id, store, left, take } = await place(t);
    const bytes = randomBytes(size);
    writeFileSync(from, bytes);
    const { ino } = statSync(from);
    assert.deepEqual(await take(), { sizeBytes: size, virtualSizeBytes: size });
    const { md5, sha256, sha512 } = store.facts(id)!;
    assert.deepEqual([md5, sha256, sha512], [null, null, null]);
    assert.equal(statSync(store.path(id)).ino, ino);
    assert.equal(statSync(store.path(id)).mode & 0o777, 0o440);
    assert.ok(readFileSync(store.path(id)).equals(bytes));
    assert.deepEqual(left(), { made: false, stored: [id], incoming: [] });
  }
});

test('a file that somebody has open to write is copied: what is written to it later is not in the image', async (t) => {
  const { from, id, store, left, take } = await place(t);
  const bytes = randomBytes(2 * 2 ** 20);
  writeFileSync(from, bytes);
  await using hostile = await open(from, 'r+');
  const { sha256 } = await take();
  await hostile.write(Buffer.alloc(4096, 0xff), 0, 4096, 0);
  assert.equal(sha256, createHash('sha256').update(bytes).digest('hex'));
  assert.ok(readFileSync(store.path(id)).equals(bytes));
  assert.deepEqual(left(), { made: false, stored: [id], incoming: [] });
});

test('a file that names another, or is wanted no more, leaves nothing', async (t) => {
  const { from, left, take } = await place(t);
  const nothing = { made: false, stored: [], incoming: [] };
  const [, , name] = spoiled[0]!;
  writeFileSync(from, qcow2Image(2 ** 20, name));
  await assert.rejects(take({ format: 'qcow2' }), { code: 'invalid' });
  assert.deepEqual(left(), nothing);
  writeFileSync(from, randomBytes(8 * 2 ** 20));
  const stillWanted = () => {
    throw new Error('not any more');
  };
  await assert.rejects(take({ stillWanted }), { message: 'not any more' });
  assert.deepEqual(left(), nothing);
});

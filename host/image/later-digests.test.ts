/** Images that are in their place without digests get them, whatever dies, comes or goes meanwhile; and none that are not theirs. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type ImageId, newId } from '../../contract/ids.ts';
import { until } from '../../test/support/until.ts';
import { silent } from '../logger.ts';
import { LaterDigests } from './later-digests.ts';
import { type ImageFacts, ImageStore } from './store.ts';

const hex = (algorithm: string, bytes: Buffer) => createHash(algorithm).update(bytes).digest('hex');
/** Its threads give way to everybody. */
const patience = { timeoutMs: 60_000 };
const all = (bytes: Buffer) => ({
  md5: hex('md5', bytes),
  sha256: hex('sha256', bytes),
  sha512: hex('sha512', bytes),
});

async function place(t: TestContext) {
  const directory = mkdtempSync(join(tmpdir(), 'bothy-later-digests-'));
  const dataDirectory = join(directory, 'data');
  mkdirSync(dataDirectory);
  t.after(() => rmSync(directory, { recursive: true }));
  /** A process on this directory. */
  const begin = async (found = () => {}) => {
    const store = new ImageStore({ dataDirectory, durable: false, guestGid: undefined, log: silent });
    await store.open();
    const digests = new LaterDigests({ store, found, log: silent });
    t.after(() => digests.close());
    return { store, digests };
  };
  const adopt = async (store: ImageStore, bytes: Buffer, over: Partial<ImageFacts> = {}, id = newId<ImageId>()) => {
    const from = join(directory, 'made');
    writeFileSync(from, bytes);
    const size = { sizeBytes: bytes.length, virtualSizeBytes: bytes.length };
    await store.adopt(id, from, { format: 'raw', ...size, md5: null, sha256: null, origin: 'uploaded', ...over });
    return id;
  };
  return { begin, adopt };
}

test('who asks learns of them when they are known, of any size, and is told that they are', async (t) => {
  const { begin, adopt } = await place(t);
  let told = 0;
  const { store, digests } = await begin(() => told++);
  for (const size of [1, 2 ** 20, 7 * 2 ** 20 + 7]) {
    const bytes = randomBytes(size);
    const id = await adopt(store, bytes);
    assert.equal(digests.find(id), undefined);
    await until('the digests', () => digests.find(id) !== undefined, patience);
    assert.deepEqual(digests.find(id), all(bytes));
    const { format, sizeBytes, virtualSizeBytes, origin, ...known } = JSON.parse(
      String(readFileSync(store.paths.facts(id))),
    );
    assert.deepEqual(known, all(bytes));
  }
  assert.equal(told, 3);
  assert.throws(() => digests.find(newId<ImageId>()), { code: 'not_found' });
});

test('what one process left another begins anew by itself; what has one digest is asked for the others', async (t) => {
  const { begin, adopt } = await place(t);
  const first = await begin();
  const bytes = randomBytes(2 ** 20);
  const none = await adopt(first.store, bytes);
  const one = await adopt(first.store, bytes, { sha256: hex('sha256', bytes) });
  first.digests.find(none);
  await first.digests.close();
  assert.equal(first.store.facts(none)!.sha256, null);
  const { store, digests } = await begin();
  digests.start();
  await until('what was left', () => store.facts(none)!.sha256 !== null);
  assert.equal(store.facts(one)!.md5, null);
  await until('the others', () => digests.find(one) !== undefined);
  assert.deepEqual(digests.find(one), all(bytes));
});

test('of an image that goes, or becomes another, meanwhile nothing is kept that is not true', async (t) => {
  const { begin, adopt } = await place(t);
  const { store, digests } = await begin();
  const [before, after] = [randomBytes(4 * 2 ** 20), randomBytes(2 ** 20)];
  const [gone, other, released] = [await adopt(store, before), await adopt(store, before), await adopt(store, before)];
  for (const id of [gone, other, released]) digests.find(id);
  await Promise.all([store.remove(gone), adopt(store, after, {}, other), store.release(released)]);
  await until('the other’s digests', () => digests.find(other) !== undefined, patience);
  assert.deepEqual(digests.find(other), all(after));
  await until('those of what is a copy now', () => digests.find(released) !== undefined, patience);
  assert.deepEqual([digests.find(released), store.facts(released)!.origin], [all(before), 'copied']);
  assert.deepEqual(
    [store.facts(gone), readdirSync(store.paths.images).some((name) => name.startsWith(gone))],
    [undefined, false],
  );
});

test('bytes that are not those of the known digest are no image’s: who asks is told so', async (t) => {
  const { begin, adopt } = await place(t);
  const { store, digests } = await begin();
  const id = await adopt(store, randomBytes(4096), { sha256: 'a'.repeat(64) });
  digests.find(id);
  const damaged = () => {
    try {
      return digests.find(id) && false;
    } catch (error) {
      return (error as { code?: string }).code === 'image_damaged';
    }
  };
  await until('it to be seen', () => damaged() === true);
  assert.equal(store.facts(id)!.md5, null);
});

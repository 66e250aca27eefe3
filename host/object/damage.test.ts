import assert from 'node:assert/strict';
import { appendFileSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { StoredPlace } from '../../contract/host/index.ts';
import { type BlobId, newId } from '../../contract/ids.ts';
import { blobFileBytes, recordBytes, recordHeaderBytes } from '../../protocols/blobs/index.ts';
import {
  bytesOf,
  newIntent,
  openStore,
  pieces,
  temporaryDirectory,
  wholeOf,
  writeLarge,
  writeSmall,
} from './testing.ts';

async function stored(t: TestContext) {
  const directory = temporaryDirectory(t);
  const store = await openStore(t, directory);
  const intent = newIntent();
  const small = await writeSmall(store, intent, [4096, 100, 200_000, 17, 4096].map(bytesOf));
  const large = await writeLarge(store, intent, bytesOf(2_500_000));
  const empty = await writeLarge(store, intent, bytesOf(0));
  const path = ({ file }: StoredPlace) => join(directory, 'objects/intents', intent, file);
  /** By a process that comes after: what is open for writing is left alone. */
  const found = async () => {
    const next = await openStore(t, directory);
    await next.scrub('default');
    assert.ok(next.scrubbedAt('default')! > 0);
    return next.faults.of('default');
  };
  const read = async (place: StoredPlace) =>
    place.file.endsWith('.pack') ? store.readPacked('default', place) : wholeOf(await store.readFile('default', place));
  return { directory, store, intent, small, large, empty, path, found, read };
}

test('the scrub finds nothing where all is as it was written', async (t) => {
  const { found } = await stored(t);
  assert.deepEqual(await found(), []);
});

test('disks that are read through side by side are not taken for each other', async (t) => {
  const directory = temporaryDirectory(t);
  const names = ['default', 'second'];
  const settings = names.map((name) => ({ name, path: join(directory, name), own: true as const }));
  const store = await openStore(t, directory, { settings, scrub: { bytesPerSecond: 64 * 2 ** 20 } });
  for (const name of names) {
    const wish = { digests: [], maxBytes: 2 ** 40 };
    await store.writeFile(name, newIntent(), newId<BlobId>(), pieces(bytesOf(2_500_000)), wish);
  }
  await Promise.all(names.map((name) => store.scrub(name)));
  for (const name of names) assert.deepEqual(store.faults.of(name), []);
});

test('a bit that flips in a record, its header or its data, is found by read and by scrub, and costs no other record', async (t) => {
  for (const at of [0, 20, 50, recordHeaderBytes, recordHeaderBytes + 199_999]) {
    const { small, path, found, read } = await stored(t);
    const hit = small[2]!.place;
    flip(path(hit), hit.offset + at);
    assert.deepEqual(await found(), [
      { intent: hit.intent, file: hit.file, kind: 'corrupt', offset: hit.offset, length: recordBytes(hit.length) },
    ]);
    await assert.rejects(read(hit), { code: 'corrupt' });
    for (const { place, data } of small.filter((each) => each.place !== hit)) assert.deepEqual(await read(place), data);
  }
});

test('a bit that flips in a file, in its data, its table or its footer, is found by read and by scrub', async (t) => {
  const length = 2_500_000;
  for (const at of [0, length - 1, length + 5, blobFileBytes(length) - 64, blobFileBytes(length) - 1]) {
    const { large, path, found, read } = await stored(t);
    flip(path(large.place), at);
    await assert.rejects(read(large.place), { code: 'corrupt' }, `at ${at}`);
    const [fault] = await found();
    assert.equal(fault?.file, large.place.file);
    assert.equal(fault?.kind, 'corrupt');
  }
});

test('a file that is cut short, empty, or that of another blob is corrupt; one that is gone is missing', async (t) => {
  const { store, intent, large, path, read } = await stored(t);
  const other = await writeLarge(store, intent, bytesOf(2_500_000));
  writeFileSync(path(large.place), readFileSync(path(other.place)));
  await assert.rejects(read(large.place), { code: 'corrupt' });
  truncateSync(path(large.place), 2_000_000);
  await assert.rejects(read(large.place), { code: 'corrupt' });
  truncateSync(path(large.place), 0);
  await assert.rejects(read(large.place), { code: 'corrupt' });
  await assert.rejects(read({ ...large.place, length: 2_499_999 }), { code: 'corrupt' });
  await store.removeFile('default', intent, large.place.file);
  await assert.rejects(read(large.place), { code: 'not_found' });
  assert.equal(store.faults.of('default')[0]?.kind, 'missing');
});

test('a record that is asked for at another place, or as another blob, is not given', async (t) => {
  const { small, read } = await stored(t);
  const [first, second] = [small[0]!.place, small[4]!.place];
  await assert.rejects(read({ ...first, offset: second.offset }), { code: 'corrupt' });
  await assert.rejects(read({ ...first, offset: first.offset + 16 }), { code: 'corrupt' });
  await assert.rejects(read({ ...first, length: first.length - 1 }), { code: 'corrupt' });
  await assert.rejects(read({ ...first, offset: 10_000_000 }), { code: 'corrupt' });
});

test('the torn end of a pack hides no record before it, and is told as nobody’s bytes', async (t) => {
  const { small, path, found, read } = await stored(t);
  const pack = path(small[0]!.place);
  const size = statSync(pack).size;
  // Half of a record that was being written.
  appendFileSync(pack, readFileSync(pack).subarray(0, 1000));
  for (const { place, data } of small) assert.deepEqual(await read(place), data);
  const faults = await found();
  assert.ok(faults.every(({ offset }) => offset >= size));
  assert.equal(faults.length, 1);
});

test('what was seen to is told again only where it is found again', async (t) => {
  const { store, intent, large, path } = await stored(t);
  flip(path(large.place), 7);
  for (let times = 0; times < 2; times++) {
    await store.scrub('default');
    assert.equal(store.faults.of('default').length, 1);
    store.faults.forget('default', intent, large.place.file);
    assert.deepEqual(store.faults.of('default'), []);
  }
});

function flip(path: string, at: number): void {
  const bytes = readFileSync(path);
  bytes[at]! ^= 4;
  writeFileSync(path, bytes);
}

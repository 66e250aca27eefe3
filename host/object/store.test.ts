import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { blobDigestNames } from '../../contract/host/index.ts';
import { type BlobId, newId } from '../../contract/ids.ts';
import { blockBytes } from '../../protocols/blobs/index.ts';
import { checksumOf } from '../../protocols/checksum/index.ts';
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

test('small blobs come back byte for byte, of every length, also by another process', async (t) => {
  const directory = temporaryDirectory(t);
  const store = await openStore(t, directory);
  const intent = newIntent();
  const contents = [0, 1, 15, 16, 17, 4096, 65_537, 262_144].map(bytesOf);
  const written = await writeSmall(store, intent, contents);
  for (const { place, data } of written) assert.deepEqual(await store.readPacked('default', place), data);
  await store.close();
  const next = await openStore(t, directory);
  for (const { place, data } of written) assert.deepEqual(await next.readPacked('default', place), data);
  const [after] = await writeSmall(next, intent, [bytesOf(10)]);
  assert.notEqual(after!.place.file, written[0]!.place.file, 'a new process begins a new pack');
});

test('many batches at once share writes, and each has its own places', async (t) => {
  const store = await openStore(t, temporaryDirectory(t));
  const intent = newIntent();
  const batches = await Promise.all(
    Array.from({ length: 50 }, (_, i) => writeSmall(store, intent, [bytesOf(i * 97), bytesOf(3)])),
  );
  for (const { place, data } of batches.flat()) assert.deepEqual(await store.readPacked('default', place), data);
  assert.equal((await store.listIntent('default', intent)).length, 1);
});

test('a pack that is full is followed by another', async (t) => {
  const store = await openStore(t, temporaryDirectory(t), { packBytes: 10_000 });
  const intent = newIntent();
  const written: Awaited<ReturnType<typeof writeSmall>> = [];
  for (let times = 0; times < 12; times++) written.push(...(await writeSmall(store, intent, [bytesOf(4000)])));
  for (const { place, data } of written) assert.deepEqual(await store.readPacked('default', place), data);
  assert.ok(new Set(written.map(({ place }) => place.file)).size >= 3);
});

test('a large blob has every digest that was asked for, and comes back whole and in ranges over the borders of blocks', async (t) => {
  const store = await openStore(t, temporaryDirectory(t));
  const intent = newIntent();
  for (const length of [0, 1, blockBytes - 1, blockBytes, blockBytes + 1, 524_288, 1_048_576, 3_000_001]) {
    const data = bytesOf(length);
    const blob = newId<BlobId>();
    const wish = { digests: blobDigestNames, maxBytes: length, sizeBytes: length };
    const stored = await store.writeFile('default', intent, blob, pieces(data), wish);
    assert.equal(stored.sizeBytes, length);
    for (const name of blobDigestNames)
      assert.equal(stored.digests[name], checksumOf(name, data).toString('hex'), name);
    const place = { blob, intent, file: stored.file, offset: 0, length };
    assert.deepEqual(await wholeOf(await store.readFile('default', place)), data);
    const borders = [0, 1, blockBytes - 1, blockBytes, blockBytes + 1, length - 1].filter(
      (at) => at >= 0 && at < length,
    );
    for (const first of borders)
      for (const last of borders.filter((at) => at >= first)) {
        const bytes = await wholeOf(await store.readFile('default', place, { first, last }));
        assert.ok(bytes.equals(data.subarray(first, last + 1)), `${first}-${last} of ${length}`);
      }
  }
});

test('many streams at once, some of which stand still, come through', async (t) => {
  const store = await openStore(t, temporaryDirectory(t));
  const intent = newIntent();
  const held: (() => void)[] = [];
  const standing = Array.from({ length: 40 }, () => {
    async function* slow() {
      yield bytesOf(300_000);
      await new Promise<void>((resolve) => held.push(resolve));
      yield bytesOf(300_000);
    }
    return store.writeFile('default', intent, newId<BlobId>(), slow(), { digests: ['md5'], maxBytes: 2 ** 30 });
  });
  const data = Array.from({ length: 20 }, (_, i) => bytesOf(2_000_000 + i));
  const written = await Promise.all(data.map((each) => writeLarge(store, intent, each)));
  for (const { place, data: each } of written)
    assert.ok((await wholeOf(await store.readFile('default', place))).equals(each));
  for (const go of held) go();
  for (const { sizeBytes } of await Promise.all(standing)) assert.equal(sizeBytes, 600_000);
});

test('of a blob that is cut off, too long or of another length than was said nothing stays', async (t) => {
  const directory = temporaryDirectory(t);
  const store = await openStore(t, directory);
  const intent = newIntent();
  const write = (source: AsyncIterable<Buffer>, wish: { maxBytes: number; sizeBytes?: number }) =>
    store.writeFile('default', intent, newId<BlobId>(), source, { digests: ['md5'], ...wish });
  async function* breaking() {
    yield bytesOf(800_000);
    throw new Error('gone');
  }
  await assert.rejects(write(breaking(), { maxBytes: 2 ** 30 }), { code: 'invalid', message: /cut off/ });
  await assert.rejects(write(pieces(bytesOf(700_000)), { maxBytes: 699_999 }), { code: 'too_large' });
  await assert.rejects(write(pieces(bytesOf(7)), { maxBytes: 100, sizeBytes: 8 }), { code: 'invalid' });
  assert.deepEqual(await store.listIntent('default', intent), []);
  assert.deepEqual(readdirSync(join(directory, 'objects', 'intents', intent)), []);
});

test('a blob is written once: who comes with its id again is refused, and the first stays', async (t) => {
  const store = await openStore(t, temporaryDirectory(t));
  const { place, data } = await writeLarge(store, newIntent(), bytesOf(400_000));
  const wish = { digests: [], maxBytes: 10 };
  await assert.rejects(store.writeFile('default', place.intent, place.blob, Readable.from([Buffer.from('x')]), wish), {
    code: 'conflict',
  });
  assert.ok((await wholeOf(await store.readFile('default', place))).equals(data));
});

test('removals may be repeated, and an intent goes when nothing of it is left', async (t) => {
  const directory = temporaryDirectory(t);
  const store = await openStore(t, directory);
  const intent = newIntent();
  const { place: large } = await writeLarge(store, intent, bytesOf(300_000));
  const [small] = await writeSmall(store, intent, [bytesOf(5)]);
  await assert.rejects(store.removeIntent('default', intent), { code: 'conflict' });
  for (let times = 0; times < 2; times++) {
    await store.removeFile('default', intent, large.file);
    await store.removeFile('default', intent, small!.place.file);
    await store.removeIntent('default', intent);
  }
  assert.equal(existsSync(join(directory, 'objects', 'intents', intent)), false);
  await assert.rejects(store.readFile('default', large), { code: 'not_found' });
  await assert.rejects(store.readPacked('default', small!.place), { code: 'not_found' });
});

test('what comes late for an intent that is over is refused, and leaves nothing', async (t) => {
  const directory = temporaryDirectory(t);
  const store = await openStore(t, directory);
  const intent = newIntent();
  const [first] = await writeSmall(store, intent, [bytesOf(10)]);
  await store.removeFile('default', intent, first!.place.file);
  await store.removeIntent('default', intent);
  await assert.rejects(writeSmall(store, intent, [bytesOf(10)]), { code: 'conflict' });
  await assert.rejects(writeLarge(store, intent, bytesOf(300_000)), { code: 'conflict' });
  assert.deepEqual(readdirSync(join(directory, 'objects/intents')), []);
});

test('who writes under an intent whose directory is gone finds it made again', async (t) => {
  const directory = temporaryDirectory(t);
  const store = await openStore(t, directory);
  const intent = newIntent();
  await store.writeFile('default', intent, newId<BlobId>(), pieces(bytesOf(5)), { digests: [], maxBytes: 10 });
  rmSync(join(directory, 'objects', 'intents', intent), { recursive: true });
  await assert.rejects(writeSmall(store, intent, [bytesOf(1)]));
  const [written] = await writeSmall(store, intent, [bytesOf(1)]);
  assert.deepEqual(await store.readPacked('default', written!.place), written!.data);
});

test('a pack that is removed while it is written to takes nothing more', async (t) => {
  const store = await openStore(t, temporaryDirectory(t));
  const intent = newIntent();
  const [first] = await writeSmall(store, intent, [bytesOf(9)]);
  await store.removeFile('default', intent, first!.place.file);
  const [second] = await writeSmall(store, intent, [bytesOf(9)]);
  assert.deepEqual(await store.readPacked('default', second!.place), second!.data);
});

test('the digest of what is read while more is written is that of what was written', async (t) => {
  const store = await openStore(t, temporaryDirectory(t));
  const intent = newIntent();
  const { place, data } = await writeLarge(store, intent, bytesOf(5_000_000));
  const writing = Array.from({ length: 5 }, () => writeLarge(store, intent, bytesOf(1_500_000)));
  const reads = await Promise.all(
    Array.from({ length: 8 }, async () => wholeOf(await store.readFile('default', place))),
  );
  const hash = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
  for (const read of reads) assert.equal(hash(read), hash(data));
  await Promise.all(writing);
});

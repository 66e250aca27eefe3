/** Object disks that are full, read-only or gone, on small file systems of their own. Mounts them, so only as root. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { HostFault } from '../../host/host-error.ts';
import {
  bytesOf,
  newIntent,
  openStore,
  type Written,
  wholeOf,
  writeLarge,
  writeSmall,
} from '../../host/object/testing.ts';

const options = { skip: process.getuid?.() !== 0, timeout: 120_000 };
const name = 'default';

/** A store whose one disk is a file system of so many MiB. */
async function smallDisk(t: TestContext, sizeMiB: number) {
  const directory = mkdtempSync(join(tmpdir(), 'bo 小屋-'));
  const path = join(directory, 'objects');
  mkdirSync(path);
  const mount = () => execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${sizeMiB}m`, 'none', path]);
  const remount = (how: 'ro' | 'rw') => execFileSync('mount', ['-o', `remount,${how}`, path]);
  mount();
  const store = await openStore(t, directory, { settings: [{ name, path }] });
  t.after(() => {
    execFileSync('umount', ['-l', path]);
    rmSync(directory, { recursive: true, force: true });
  });
  const problem = () => store.disks.levels()[0]!.problem;
  const read = async ({ place }: Written) =>
    place.file.endsWith('.pack') ? store.readPacked(name, place) : wholeOf(await store.readFile(name, place));
  return { directory, path, store, mount, remount, problem, read };
}

const isFull = (error: unknown) => error instanceof HostFault && error.code === 'no_capacity';

test(
  'a disk that runs full refuses what it has no room for, keeps what it had answered for, and goes on when there is room',
  options,
  async (t) => {
    const { path, store, read } = await smallDisk(t, 24);
    const intent = newIntent();
    const kept: Written[] = [];
    const refused: unknown[] = [];
    const writing = Array.from({ length: 6 }, async (_, index) => {
      for (let times = 0; times < 60; times++) {
        const done =
          index % 2 === 0
            ? writeSmall(store, intent, [bytesOf(200_000), bytesOf(3)])
            : writeLarge(store, intent, bytesOf(400_000));
        await done.then((written) => kept.push(...[written].flat())).catch((error) => refused.push(error));
      }
    });
    await Promise.all(writing);
    assert.ok(kept.length > 20 && refused.length > 20);
    assert.ok(refused.every(isFull), String(refused.find((each) => !isFull(each))));
    for (const each of kept) assert.ok((await read(each)).equals(each.data));
    // Of what was refused no file stays, and its packs were cut back.
    const files = new Set(kept.map(({ place }) => place.file));
    const known = (await store.listIntent(name, intent)).filter(
      ({ name: file, sizeBytes }) => !files.has(file) && sizeBytes > 0,
    );
    assert.deepEqual(known, []);
    for (const file of files) await store.removeFile(name, intent, file);
    await store.disks.look();
    const { bavail, bsize, blocks } = statfsSync(path);
    assert.ok(bavail * bsize > blocks * bsize - 2 ** 20, 'the space of what was refused is free again');
    const [after] = await writeSmall(store, intent, [bytesOf(1000)]);
    assert.deepEqual(await read(after!), after!.data);
  },
);

test('a disk that is read-only is read and not written, and says so', options, async (t) => {
  const { store, remount, problem, read } = await smallDisk(t, 16);
  const intent = newIntent();
  const [small] = await writeSmall(store, intent, [bytesOf(5000)]);
  const large = await writeLarge(store, intent, bytesOf(500_000));
  // No pack is open for writing: else it can't be remounted.
  await store.close();
  remount('ro');
  await store.disks.look();
  assert.equal(problem(), 'it is read-only');
  const refused = { code: 'unavailable', message: /default.*read-only/ };
  await assert.rejects(writeSmall(store, intent, [bytesOf(1)]), refused);
  await assert.rejects(writeLarge(store, intent, bytesOf(1)), refused);
  assert.deepEqual(await read(small!), small!.data);
  assert.ok((await read(large)).equals(large.data));
  remount('rw');
  await store.disks.look();
  assert.equal(problem(), null);
  await writeSmall(store, intent, [bytesOf(1)]);
});

test(
  'a disk whose file system went away is refused, with nothing written below it, and is well when it is back',
  options,
  async (t) => {
    const { path, store, problem, read, mount } = await smallDisk(t, 16);
    const intent = newIntent();
    const large = await writeLarge(store, intent, bytesOf(300_000));
    const elsewhere = mkdtempSync(join(tmpdir(), 'bo-'));
    execFileSync('mount', ['--make-private', path]);
    execFileSync('mount', ['--move', path, elsewhere]);
    await store.disks.look();
    assert.match(problem()!, /mark .* is gone; is its file system mounted/);
    await assert.rejects(writeLarge(store, intent, bytesOf(9)), { code: 'unavailable' });
    await assert.rejects(read(large), { code: 'unavailable' });
    assert.deepEqual(readdirSync(path), []);
    assert.equal(store.faults.count(name), 0, 'nothing is lost that only is not mounted');

    // Another file system in its place, new or with somebody's files, is not taken for it.
    mount();
    await store.disks.look();
    assert.match(problem()!, /mark .* is gone/);
    writeFileSync(join(path, 'letter'), 'x');
    await store.disks.look();
    assert.deepEqual(readdirSync(path), ['letter']);
    execFileSync('umount', [path]);
    execFileSync('mount', ['--move', elsewhere, path]);
    rmSync(elsewhere, { recursive: true });
    await store.disks.look();
    assert.equal(problem(), null);
    assert.ok((await read(large)).equals(large.data));
  },
);

test('a disk that is full when its host begins is read, and room can be made', options, async (t) => {
  const { directory, path, store } = await smallDisk(t, 16);
  const intent = newIntent();
  const large = await writeLarge(store, intent, bytesOf(3_000_000));
  await store.close();
  writeFileSync(join(path, 'ballast'), Buffer.alloc(statfsSync(path).bavail * statfsSync(path).bsize));
  const next = await openStore(t, directory, { settings: [{ name, path }] });
  assert.equal(next.disks.levels()[0]!.problem, 'it is full');
  await assert.rejects(writeSmall(next, intent, [bytesOf(1)]), isFull);
  assert.ok((await wholeOf(await next.readFile(name, large.place))).equals(large.data));
  await next.removeFile(name, intent, large.place.file);
  await next.disks.look();
  await writeSmall(next, intent, [bytesOf(1)]);
});

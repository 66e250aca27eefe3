import assert from 'node:assert/strict';
import { cpSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type HostId, newId } from '../../contract/ids.ts';
import { keepsObjects, purgeObjectDisks } from './purge.ts';
import { bytesOf, cloudId, hostId, newIntent, openStore, temporaryDirectory, writeSmall } from './testing.ts';

const problemOf = (store: Awaited<ReturnType<typeof openStore>>, name = 'default') =>
  store.disks.levels().find((level) => level.name === name)?.problem;

test('a disk that comes back with what it held earlier is refused, and nothing on it is touched', async (t) => {
  const directory = temporaryDirectory(t);
  const [disk, old] = [join(directory, 'objects'), join(directory, 'old')];
  const first = await openStore(t, directory);
  const intent = newIntent();
  await writeSmall(first, intent, [bytesOf(10)]);
  await first.close();
  cpSync(disk, old, { recursive: true });
  const second = await openStore(t, directory);
  const [written] = await writeSmall(second, intent, [bytesOf(10)]);
  await second.close();
  rmSync(disk, { recursive: true });
  renameSync(old, disk);
  const before = readdirSync(join(disk, 'intents', intent));
  const third = await openStore(t, directory);
  assert.match(problemOf(third)!, /earlier time/);
  await assert.rejects(writeSmall(third, intent, [bytesOf(1)]), {
    code: 'unavailable',
    message: /default.*earlier time/,
  });
  await assert.rejects(third.readPacked('default', written!.place), { code: 'unavailable' });
  await assert.rejects(third.removeIntent('default', intent), { code: 'unavailable' });
  assert.deepEqual(readdirSync(join(disk, 'intents', intent)), before);
});

test('a disk whose mark is gone, that is empty, another host’s or another name’s is refused by name', async (t) => {
  const directory = temporaryDirectory(t);
  const disk = join(directory, 'objects');
  const mark = join(disk, 'bothy-objects.json');
  await (await openStore(t, directory)).close();
  const bytes = readFileSync(mark, 'utf8');
  const reopened = async (changes = {}) => problemOf(await openStore(t, directory, changes));
  rmSync(mark);
  assert.match((await reopened())!, /mark .* is gone; is its file system mounted/);
  rmSync(disk, { recursive: true });
  assert.match((await reopened())!, /mark .* is gone/);
  mkdirSync(disk);
  assert.match((await reopened())!, /mark .* is gone/);
  assert.deepEqual(readdirSync(disk), []);
  writeFileSync(mark, bytes.replace(hostId, newId<HostId>()));
  assert.match((await reopened())!, /belongs to host/);
  writeFileSync(mark, bytes.replace('"default"', '"other"'));
  assert.match((await reopened())!, /is the object disk other/);
  writeFileSync(mark, JSON.stringify({ ...JSON.parse(bytes), id: newId() }));
  assert.match((await reopened())!, /another disk/);
  writeFileSync(mark, 'no JSON');
  assert.match((await reopened())!, /can't be read/);
});

test('a directory with files of somebody else becomes no disk; one that is not there is not made', async (t) => {
  const directory = temporaryDirectory(t);
  const [theirs, absent] = [join(directory, 'theirs'), join(directory, 'absent')];
  mkdirSync(theirs);
  writeFileSync(join(theirs, 'letter'), 'x');
  const settings = [
    { name: 'a', path: theirs },
    { name: 'b', path: absent },
  ];
  const store = await openStore(t, directory, { settings });
  assert.match(problemOf(store, 'a')!, /somebody else/);
  assert.match(problemOf(store, 'b')!, /no directory/);
  assert.deepEqual(readdirSync(theirs), ['letter']);
  await assert.rejects(store.disks.require('c', { toWrite: false }), { code: 'not_found' });
});

test('a process that dies between the mark and what is remembered of it finds the disk to be its own', async (t) => {
  const directory = temporaryDirectory(t);
  await (await openStore(t, directory)).close();
  const mark = join(directory, 'objects/bothy-objects.json');
  const said = JSON.parse(readFileSync(mark, 'utf8'));
  writeFileSync(mark, JSON.stringify({ ...said, uses: said.uses + 1 }));
  const store = await openStore(t, directory);
  assert.equal(problemOf(store), null);
  rmSync(join(directory, 'object-disks.json'));
  assert.equal(problemOf(await openStore(t, directory)), null);
});

test('a disk waits for the cloud that its host belongs to', async (t) => {
  const directory = temporaryDirectory(t);
  let known: string | null = null;
  const store = await openStore(t, directory, { cloudId: () => known });
  assert.match(problemOf(store)!, /not heard from a control/);
  known = cloudId;
  await store.lookAgain();
  assert.equal(problemOf(store), null);
  await writeSmall(store, newIntent(), [bytesOf(1)]);
});

test('what is told of disks is told once, and again where it has changed', async (t) => {
  const directory = temporaryDirectory(t);
  const told: (string | null)[] = [];
  const store = await openStore(t, directory, {
    levels: (levels) => told.push(...levels.map(({ problem }) => problem)),
  });
  await store.lookAgain();
  await store.lookAgain();
  renameSync(join(directory, 'objects'), join(directory, 'away'));
  await store.lookAgain();
  renameSync(join(directory, 'away'), join(directory, 'objects'));
  await store.lookAgain();
  assert.equal(told.length, 3);
  assert.match(told[1]!, /mark .* is gone/);
  assert.equal(told[2], null);
});

test('a purge takes what is this cloud’s and host’s, and leaves the rest', async (t) => {
  const directory = temporaryDirectory(t);
  const store = await openStore(t, directory);
  const owner = { cloudId, hostId };
  assert.equal(await keepsObjects(directory, owner), false);
  await writeSmall(store, newIntent(), [bytesOf(1)]);
  await store.close();
  writeFileSync(join(directory, 'objects/letter'), 'x');
  assert.equal(await keepsObjects(directory, owner), true);
  await purgeObjectDisks(directory, { ...owner, hostId: newId<HostId>() });
  assert.equal(await keepsObjects(directory, owner), true);
  for (let times = 0; times < 2; times++) await purgeObjectDisks(directory, owner);
  assert.deepEqual(readdirSync(join(directory, 'objects')), ['letter']);
});

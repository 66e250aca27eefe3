import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type HostId, type LayerId, newId, newOrderedId } from '../../contract/ids.ts';
import { defaultPool, Pools, type PoolsOptions } from './pool.ts';
import { purgePools } from './purge.ts';

function machine(t: TestContext) {
  const directory = mkdtempSync(join(tmpdir(), 'bp-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const dataDirectory = join(directory, 'data');
  const disk = join(directory, 'disk 小屋');
  mkdirSync(dataDirectory);
  mkdirSync(disk);
  const cloudId: string = newId();
  const hostId = newOrderedId<HostId>();
  const pools = (changes: Partial<PoolsOptions> = {}) =>
    new Pools({
      settings: [{ name: 'fast', tier: 'flash', path: disk }],
      ...{ dataDirectory, hostId, cloudId: () => cloudId, guestGid: undefined, ...changes },
    });
  const opened = async (changes: Partial<PoolsOptions> = {}) => {
    const all = pools(changes);
    await all.open();
    return all;
  };
  return { directory, dataDirectory, disk, cloudId, hostId, opened };
}

/** What is in a pool from the first. */
const ours = ['bothy-pool.json', 'layers', 'opened'];
const problemOf = (pools: Pools) => pools.facts()[0]!.problem;

test('an empty directory is marked as ours and used, and so after every start', async (t) => {
  const { disk, opened, cloudId, hostId } = machine(t);
  const pools = await opened();
  const [fast] = pools.facts();
  assert.deepEqual([fast!.problem, fast!.tier, fast!.totalBytes > fast!.freeBytes], [null, 'flash', true]);
  assert.deepEqual(JSON.parse(readFileSync(join(disk, 'bothy-pool.json'), 'utf8')), { cloudId, hostId, pool: 'fast' });
  assert.equal(await pools.require('fast', { toMake: true }), disk);
  writeFileSync(join(disk, 'something'), '');
  assert.equal(problemOf(await opened()), null);
});

test('the pool that needs no setting is made where it is not there', async (t) => {
  const { dataDirectory, opened } = machine(t);
  const pools = await opened({ settings: [defaultPool(dataDirectory)] });
  assert.deepEqual([problemOf(pools), pools.facts()[0]!.name], [null, 'local']);
  assert.deepEqual(readdirSync(join(dataDirectory, 'volumes')), ours);
});

test('a pool whose file system is not mounted is refused by name, and nothing is written in its place', async (t) => {
  const { disk, directory, opened } = machine(t);
  const pools = await opened();
  renameSync(disk, join(directory, 'unmounted'));
  mkdirSync(disk);
  await assert.rejects(pools.require('fast', { toMake: true }), { code: 'pool_unavailable', message: /fast.*mounted/ });
  assert.match(problemOf(await opened())!, /mounted/);
  assert.deepEqual(readdirSync(disk), []);
  rmSync(disk, { recursive: true });
  renameSync(join(directory, 'unmounted'), disk);
  await pools.require('fast', { toMake: false });
  assert.equal(problemOf(pools), null, 'it came back');
});

test('what is another host’s, another cloud’s, another pool or somebody’s files is left alone', async (t) => {
  const { disk, opened } = machine(t);
  await opened();
  assert.match(problemOf(await opened({ hostId: newOrderedId<HostId>() }))!, /belongs to host/);
  assert.match(problemOf(await opened({ cloudId: () => 'another' }))!, /of cloud/);
  const other = { name: 'slow', tier: 'disk' as const, path: disk };
  assert.match(problemOf(await opened({ settings: [other] }))!, /it is the pool fast/);
  writeFileSync(join(disk, 'bothy-pool.json'), '{');
  assert.match(problemOf(await opened())!, /can't be read/);
});

test('a mark that a process died over keeps no later one from the pool', async (t) => {
  const { disk, opened } = machine(t);
  writeFileSync(join(disk, 'bothy-pool.json.new'), '{"clou');
  assert.equal(problemOf(await opened()), null);
  assert.deepEqual(readdirSync(disk), ours);
});

test('a directory with files of somebody else is no pool', async (t) => {
  const { disk, opened } = machine(t);
  writeFileSync(join(disk, 'thesis.txt'), '');
  const pools = await opened();
  assert.match(problemOf(pools)!, /somebody else/);
  assert.deepEqual(pools.usable(), []);
  assert.deepEqual(readdirSync(disk), ['thesis.txt']);
  await assert.rejects(pools.require('none', { toMake: false }), { code: 'pool_unknown', permanent: true });
});

test('before the cloud is known a pool is looked at and not marked', async (t) => {
  const { disk, opened, cloudId } = machine(t);
  let known: string | null = null;
  const pools = await opened({ cloudId: () => known });
  assert.deepEqual([problemOf(pools), readdirSync(disk)], [null, []]);
  known = cloudId;
  await pools.require('fast', { toMake: true });
  assert.deepEqual(readdirSync(disk), ours);
});

test('a purge takes the layers of its own cloud and host, then the mark, and nothing else', async (t) => {
  const { disk, opened, cloudId, hostId, dataDirectory } = machine(t);
  await opened();
  const id = newOrderedId<LayerId>();
  for (const name of [`${id}.qcow2`, `${id}.qcow2.rebased`, 'notes.txt', 'other.qcow2'])
    for (const directory of [disk, join(disk, 'layers')]) writeFileSync(join(directory, name), '');
  mkdirSync(join(disk, 'opened', newId()));
  const left = () => readdirSync(disk, { recursive: true }).length;
  const before = left();
  await purgePools(dataDirectory, { cloudId, hostId: newOrderedId<HostId>() });
  await purgePools(dataDirectory, { cloudId: 'another', hostId });
  assert.equal(left(), before);
  await purgePools(dataDirectory, { cloudId, hostId });
  await purgePools(dataDirectory, { cloudId, hostId });
  const theirs = ['layers', 'layers/notes.txt', 'layers/other.qcow2', 'notes.txt', 'other.qcow2'];
  assert.deepEqual(readdirSync(disk, { recursive: true }).sort(), theirs);
});

test('a pool that control declares is one, also for the next process while control is away; the settings go before', async (t) => {
  const { disk, directory, opened } = machine(t);
  const other = join(directory, 'other');
  mkdirSync(other);
  const pools = await opened();
  const wanted = { tier: 'disk', kind: 'directory' } as const;
  await pools.declare([
    { name: 'slow', source: other, iopsPerVolume: 90, ...wanted },
    { name: 'fast', source: '/elsewhere', ...wanted },
  ]);
  await pools.look();
  const told = (from: Pools) => from.facts().map(({ name, declared, problem }) => [name, declared, problem]);
  const expected = [
    ['fast', undefined, null],
    ['slow', true, null],
  ];
  assert.deepEqual(told(pools), expected);
  const next = await opened();
  assert.deepEqual(told(next), expected);
  assert.deepEqual([next.iopsPerVolume('slow'), await next.require('fast', { toMake: true })], [90, disk]);
});

test('what control declares no more goes with its mark, and stays as long as layers lie in it', async (t) => {
  const { directory, opened } = machine(t);
  const other = join(directory, 'other');
  mkdirSync(other);
  const pools = await opened();
  await pools.declare([{ name: 'slow', tier: 'disk', kind: 'directory', source: other }]);
  await pools.look();
  const layer = join(other, 'layers', `${newOrderedId<LayerId>()}.qcow2`);
  writeFileSync(layer, '');
  await pools.declare([]);
  await pools.look();
  assert.equal(await pools.require('slow', { toMake: true }), other, 'a layer lies there');
  rmSync(layer);
  // Whoever died in the middle of it: the mark is gone, and that it was leaving is known.
  for (const name of ours) rmSync(join(other, name), { recursive: true });
  const next = await opened();
  assert.deepEqual([next.has('slow'), readdirSync(other)], [false, []]);
  assert.equal((await opened()).has('slow'), false);
});

test('what an older Bothy left in the pool itself is where layers are, and a look that finds it again changes nothing', async (t) => {
  const { disk, opened } = machine(t);
  await opened();
  const names = [newOrderedId<LayerId>(), newOrderedId<LayerId>()].map((id) => `${id}.qcow2`).sort();
  for (const name of names) writeFileSync(join(disk, name), name);
  writeFileSync(join(disk, `${names[0]}.reads0`), '');
  writeFileSync(join(disk, 'notes.txt'), '');
  const pools = await opened();
  await pools.look();
  assert.deepEqual(readdirSync(disk).sort(), [...ours, 'notes.txt', `${names[0]}.reads0`].sort());
  assert.deepEqual(readdirSync(join(disk, 'layers')).sort(), names);
  assert.equal(readFileSync(pools.layerPath('fast', names[1]!.slice(0, -6) as LayerId)!, 'utf8'), names[1]);
});

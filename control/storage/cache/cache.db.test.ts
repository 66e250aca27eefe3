import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import type { CacheUse } from '../../../contract/host/index.ts';
import { type LayerId, newId } from '../../../contract/ids.ts';
import { type TestDatabase, testDatabase } from '../../kit/database/testing.ts';
import { testPool } from '../testing.ts';
import { cacheReport } from '../volume/index.ts';
import { type VolumeCloud, volumeCloud } from '../volume/testing.ts';
import { cacheCloud } from './testing.ts';

let db: TestDatabase;
let cloud: VolumeCloud;
let fast: string;
const specs = { 'bothy:tier': 'disk', 'bothy:cache_pool': 'fast', 'bothy:cache_gib': '1' };
before(async () => {
  db = await testDatabase();
  cloud = await volumeCloud(db.database);
  fast = (await testPool(db.database, { hostId: cloud.hostId, name: 'fast', tier: 'flash' })).id;
  await sql`insert into volume_type (id, name, public, extra_specs) values (${newId()}, 'cached', true, ${JSON.stringify(specs)}::jsonb)`.execute(
    db.database.query,
  );
});
after(() => db[Symbol.asyncDispose]());

const { chainOf, obeyed, attached, fill, detach, layers } = cacheCloud(() => cloud);

const promised = async () => {
  const { rows } = await sql<{
    n: number;
  }>`select coalesce((select promised_bytes from storage_pool_usage where pool_id = ${fast}), 0)::float8 as n`.execute(
    db.database.query,
  );
  return rows[0]!.n;
};

test('a cached volume has its generations while a server has it, and everything sinks when none has', async () => {
  const volume = await cloud.made({ type: 'cached' });
  assert.equal(await promised(), 2 ** 30, 'what a cache may take is reserved');
  assert.equal(await chainOf(volume.id), 'base@local');
  const server = await attached(volume.id);
  assert.equal(await chainOf(volume.id), 'writes@fast base@local');
  assert.equal(await promised(), 2 ** 30, 'a generation takes of what is reserved');
  await fill(volume.id);
  await obeyed(server);
  assert.equal(await chainOf(volume.id), 'writes@fast writes@fast base@local');
  await fill(volume.id);
  await cloud.settle();
  assert.equal(await chainOf(volume.id), 'writes@fast base@local', 'the older one is on its way down');
  await obeyed(server);
  assert.equal(await chainOf(volume.id), 'writes@fast base@local');
  assert.equal(await cloud.status(volume.id), 'in-use');
  await detach(volume.id);
  await obeyed();
  assert.equal(await chainOf(volume.id), 'base@local final@local');
  await cloud.volumes.delete(cloud.member, volume.id, { cascade: false, force: false });
  assert.equal(await promised(), 0);
});

test('what is written through lies in the pool of the volume, and of what is read its host is told where it stays', async () => {
  const through = { ...specs, 'bothy:cache_policy': 'write-through' };
  await sql`insert into volume_type (id, name, public, extra_specs)
    values (${newId()}, 'through', true, ${JSON.stringify(through)}::jsonb)`.execute(db.database.query);
  const volume = await cloud.made({ type: 'through' });
  assert.equal(await promised(), 2 ** 30);
  const server = await attached(volume.id);
  assert.equal(await chainOf(volume.id), 'writes@local base@local');
  const told = await layers().desiredLayers(db.database.query, { hostId: cloud.hostId });
  const reads = { pool: 'fast', bytes: 2 ** 30 };
  assert.deepEqual(
    told.map(({ layer }) => layer.cache).filter((cache) => cache?.role === 'writes'),
    [{ role: 'writes', fullBytes: 2 ** 29, reads }],
  );
  await fill(volume.id);
  await obeyed(server);
  assert.equal(await chainOf(volume.id), 'writes@local writes@local base@local');
  await detach(volume.id);
  await obeyed();
  assert.equal(await chainOf(volume.id), 'base@local final@local');
  await cloud.volumes.delete(cloud.member, volume.id, { cascade: false, force: false });
  assert.equal(await promised(), 0);
});

test('what hosts count of a cache is added up over their lives, and told to whoever sees the volume', async () => {
  const volume = await cloud.made({ type: 'cached' });
  const server = await attached(volume.id);
  const top = async () => {
    const { rows } = await sql<{ id: LayerId; epoch: number; generation: number }>`select l.id, l.epoch, l.generation
      from volume v join volume_layer l on l.id = v.layer_id where v.id = ${volume.id}`.execute(db.database.query);
    return rows[0]!;
  };
  const say = async (use: CacheUse, allocatedBytes = 0) => {
    const observed = {
      ...(await top()),
      state: 'ready' as const,
      sizeBytes: 2 ** 30,
      allocatedBytes,
      step: null,
      error: null,
    };
    await layers().recordReports(cloud.hostId, [{ ...observed, use }], { complete: false });
  };
  const counted: CacheUse = {
    ...{ run: newId(), reads: 1000, misses: 100, promotedBytes: 6_553_600, warmings: 1, lastWarmingMs: 4000 },
    ...{ generations: 3, againBytes: [2_000_000, 1_000_000, 0, 0, 0, 0, 0, 0], freshBytes: 1_000_000 },
  };
  await say(counted);
  await say(counted);
  await say({ ...counted, run: newId(), reads: 500, misses: 50 }, 7 * 65536);
  const report = (await cacheReport(db.database.query, cloud.member, volume.id))!;
  assert.deepEqual(
    [report.reads, report.misses, report.last_warming_ms, report.policy],
    [1500, 150, 4000, 'write-back'],
  );
  assert.deepEqual(
    report.curve.slice(0, 3).map(({ miss_ratio }) => miss_ratio),
    [0.1, 0.05, 0.025],
  );
  assert.deepEqual(report.next_gib, { cache_bytes: 2 ** 31, miss_ratio: 0.025 });
  await assert.rejects(cacheReport(db.database.query, { ...cloud.member, projectId: newId() }, volume.id), {
    code: 'not_found',
  });
  await detach(volume.id);
  await obeyed(server);
  await obeyed();
  assert.equal((await cacheReport(db.database.query, cloud.member, volume.id))!.sunk_bytes, 7 * 65536);
  const plain = await cloud.made();
  assert.equal(await cacheReport(db.database.query, cloud.member, plain.id), null);
  for (const { id } of [volume, plain]) await cloud.volumes.delete(cloud.member, id, { cascade: false, force: false });
});

test('the sweep finds a cache that nobody was woken for, and lets one at rest be', async () => {
  const volume = await cloud.made({ type: 'cached' });
  const found = async () => {
    await sql`delete from graphile_worker._private_jobs`.execute(db.database.query);
    await cloud.controller.sweep();
    const { rows } = await sql`select from graphile_worker.jobs where key = ${`volume:${volume.id}`}`.execute(
      db.database.query,
    );
    return rows.length === 1;
  };
  await cloud.settle();
  const seen = [await found()];
  const server = await attached(volume.id);
  seen.push(await found());
  await fill(volume.id);
  seen.push(await found());
  await obeyed(server);
  await fill(volume.id);
  await obeyed(server);
  seen.push(await found());
  await detach(volume.id);
  seen.push(await found());
  await cloud.settle();
  assert.equal(await chainOf(volume.id), 'base@local writes@fast base@local');
  seen.push(await found());
  await obeyed();
  seen.push(await found());
  assert.deepEqual(seen, [false, false, true, false, true, true, false]);
  await cloud.volumes.delete(cloud.member, volume.id, { cascade: false, force: false });
});

test('control may die after each step of a rotation, a sink, a snapshot and an end, and all comes to the same end', async () => {
  const volume = await cloud.made({ type: 'cached' });
  const server = await attached(volume.id);
  const dying = cloud.dyingController('cache');
  let deaths = 0;
  const settle = async () => {
    await dying.reconcile(volume.id).catch((error: Error) => {
      assert.match(error.message, /^died after/);
      deaths++;
    });
  };
  const chains: string[] = [];
  const lives = async (serverId?: string) => {
    await obeyed(serverId, settle);
    chains.push(await chainOf(volume.id));
  };
  await fill(volume.id);
  await lives(server);
  await fill(volume.id);
  await lives(server);
  const wish = { volumeId: volume.id, name: 'x', description: null, metadata: {}, inUse: true };
  const { id } = await cloud.snapshots.create(cloud.member, wish);
  await lives(server);
  await detach(volume.id);
  await lives();
  assert.deepEqual(chains, [
    'writes@fast writes@fast base@local',
    'writes@fast base@local',
    'writes@fast base@local final@local',
    'base@local final@local final@local',
  ]);
  assert.ok(deaths >= 7, `${deaths}`);
  await cloud.settle();
  assert.notEqual((await cloud.snapshots.get(cloud.member, id)).ready_at, null);
  await cloud.volumes.delete(cloud.member, volume.id, { cascade: true, force: false });
});

test('a volume is in error as long as a generation is lost that has not sunk, also when nobody has it', async () => {
  const volume = await cloud.made({ type: 'cached' });
  await attached(volume.id);
  await detach(volume.id);
  await cloud.settle();
  await cloud.report();
  await cloud.settle();
  assert.equal(await chainOf(volume.id), 'base@local base@local', 'it is on its way down');
  await sql`update volume_layer set observed_error = '{"code": "layer_missing", "message": "gone"}'
    where volume_id = ${volume.id} and cache_role = 'writes'`.execute(db.database.query);
  await cloud.settle();
  assert.equal(await cloud.status(volume.id), 'error');
  assert.match((await cloud.volumes.get(cloud.member, volume.id)).fault!.message, /file no more/);
  await cloud.report();
  await cloud.settle();
  assert.equal(await cloud.status(volume.id), 'available', 'its host has found it again');
  await cloud.volumes.delete(cloud.member, volume.id, { cascade: false, force: false });
});

test('a snapshot of a cached volume is final when what it holds has sunk, and its clone has a cache of its own', async () => {
  const volume = await cloud.made({ type: 'cached' });
  const server = await attached(volume.id);
  const wish = { volumeId: volume.id, name: 'x', description: null, metadata: {}, inUse: true };
  const { id } = await cloud.snapshots.create(cloud.member, wish);
  const statusOf = async () => (await cloud.snapshots.get(cloud.member, id)).ready_at !== null;
  assert.equal(await chainOf(volume.id), 'writes@fast base@local writes@fast base@local');
  await cloud.settle();
  assert.equal(await statusOf(), false);
  await obeyed(server);
  assert.equal(await chainOf(volume.id), 'writes@fast base@local final@local');
  assert.equal(await statusOf(), true);
  const clone = await cloud.made({ snapshotId: id });
  assert.equal(await chainOf(clone.id), 'base@local final@local');
  assert.equal(await promised(), 2 ** 31);
  await detach(volume.id);
  await obeyed();
  await cloud.volumes.delete(cloud.member, volume.id, { cascade: true, force: false });
  assert.equal(await chainOf(clone.id), 'base@local final@local', 'a clone outlives its source');
});

test('a clone of a volume that a server has waits for what is in the cache, and its source goes no sooner', async () => {
  const volume = await cloud.made({ type: 'cached' });
  const server = await attached(volume.id);
  const clone = await cloud.volumes.create(cloud.member, cloud.wish({ sourceVolumeId: volume.id }));
  // Who waits does nothing to what it waits for, however often it is looked at.
  await cloud.controller.reconcile(clone.id);
  await cloud.switchOver(server);
  await cloud.obey();
  await cloud.controller.reconcile(clone.id);
  assert.equal(await cloud.status(clone.id), 'creating');
  assert.equal(await chainOf(volume.id), 'writes@fast base@local writes@fast base@local');
  await detach(volume.id);
  await cloud.volumes.delete(cloud.member, volume.id, { cascade: false, force: false });
  assert.equal(await cloud.status(volume.id), 'deleting');
  await obeyed();
  assert.equal(await cloud.status(clone.id), 'available');
  await assert.rejects(cloud.volumes.get(cloud.member, volume.id), { code: 'not_found' });
  await cloud.volumes.delete(cloud.member, clone.id, { cascade: false, force: false });
});

test('a clone without a cache gets what was in the cache of its source, also when that goes meanwhile', async () => {
  const volume = await cloud.made({ type: 'cached' });
  const server = await attached(volume.id);
  const wish = cloud.wish({ sourceVolumeId: volume.id, type: '__DEFAULT__' });
  const clone = await cloud.volumes.create(cloud.member, wish);
  await cloud.switchOver(server);
  await detach(volume.id);
  await cloud.volumes.delete(cloud.member, volume.id, { cascade: false, force: false });
  await obeyed();
  assert.equal(await cloud.status(clone.id), 'available');
  await assert.rejects(cloud.volumes.get(cloud.member, volume.id), { code: 'not_found' });
  await cloud.volumes.delete(cloud.member, clone.id, { cascade: false, force: false });
});

test('a snapshot on one that is not final yet keeps neither from becoming so', async () => {
  const volume = await cloud.made({ type: 'cached' });
  const server = await attached(volume.id);
  const wish = { volumeId: volume.id, name: 'x', description: null, metadata: {}, inUse: true };
  const taken = [(await cloud.snapshots.create(cloud.member, wish)).id];
  await cloud.switchOver(server);
  await detach(volume.id);
  await obeyed(undefined, async () => {
    // All has sunk, and nobody has noted yet that it is final.
    if (taken.length === 1 && (await chainOf(volume.id)) === 'base@local base@local base@local') {
      taken.push((await cloud.snapshots.create(cloud.member, wish)).id);
    }
    if (taken.length === 1)
      await cloud
        .dyingController('cache')
        .reconcile(volume.id)
        .catch(() => {});
    else await cloud.settle();
  });
  assert.equal(taken.length, 2);
  for (const id of taken) assert.notEqual((await cloud.snapshots.get(cloud.member, id)).ready_at, null);
  await cloud.volumes.delete(cloud.member, volume.id, { cascade: true, force: false });
});

test('what a cached volume held still goes to who waits for it, when the volume is reverted or made of an image meanwhile', async () => {
  for (const act of ['revert', 'reimage'] as const) {
    const volume = await cloud.made({ type: 'cached' });
    const wish = { volumeId: volume.id, name: 'x', description: null, metadata: {}, inUse: true };
    const { id: snapshotId } = await cloud.snapshots.create(cloud.member, wish);
    await obeyed();
    const server = await attached(volume.id);
    const clone = await cloud.volumes.create(cloud.member, cloud.wish({ sourceVolumeId: volume.id }));
    await cloud.switchOver(server);
    await detach(volume.id);
    if (act === 'revert') await cloud.volumes.revert(cloud.member, volume.id, snapshotId);
    else await cloud.volumes.reimage(cloud.member, volume.id, { imageId: cloud.imageId, reserved: false });
    assert.equal(await cloud.status(volume.id), act === 'revert' ? 'reverting' : 'downloading');
    const dying = cloud.dyingController('moved');
    await obeyed(undefined, async () => {
      await dying.reconcile(volume.id).catch((error: Error) => assert.match(error.message, /^died after 'moved'/));
      await cloud.settle();
    });
    assert.deepEqual([await cloud.status(volume.id), await cloud.status(clone.id)], ['available', 'available'], act);
    assert.equal(await chainOf(volume.id), act === 'revert' ? 'base@local final@local' : 'base@local');
    assert.match(await chainOf(clone.id), /^base@local final@local final@local/);
    await cloud.volumes.delete(cloud.member, volume.id, { cascade: true, force: false });
    await cloud.volumes.delete(cloud.member, clone.id, { cascade: false, force: false });
  }
});

test('where no host has a pool for the cache, or too little room in it, the volume says so', async () => {
  for (const [name, over] of [
    ['nowhere', { 'bothy:cache_pool': 'faster' }],
    ['too large', { 'bothy:cache_gib': '5000' }],
  ] as const) {
    await sql`insert into volume_type (id, name, public, extra_specs)
      values (${newId()}, ${name}, true, ${JSON.stringify({ ...specs, ...over })}::jsonb)`.execute(db.database.query);
    const volume = await cloud.made({ type: name });
    assert.match(volume.fault?.message ?? '', /cache/);
  }
});

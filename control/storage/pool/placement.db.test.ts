import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { hasReason } from '../../../contract/errors.ts';
import type { HostPool } from '../../../contract/host/index.ts';
import { newId } from '../../../contract/ids.ts';
import { cloudActor, type Tx } from '../../kit/database/database.ts';
import { type TestDatabase, testDatabase, testProject } from '../../kit/database/testing.ts';
import { freezeLayer, growLayer, insertLayer, releaseLayers } from '../layer/index.ts';
import { testPool, testVolume } from '../testing.ts';
import {
  choose,
  choosePool,
  type PoolWish,
  poolFigures,
  readPools,
  recordLevels,
  recordPoolChoice,
  recordPools,
  requireRoom,
} from './index.ts';

const gib = 2 ** 30;
let db: TestDatabase;
before(async () => {
  db = await testDatabase();
});
after(() => db[Symbol.asyncDispose]());

const inTx = <T>(work: (tx: Tx) => Promise<T>) => db.database.transaction(cloudActor, work);
const promised = async (poolId: string) => {
  const { rows } = await sql<{ promised_bytes: number }>`select promised_bytes::float8 as promised_bytes
    from storage_pool_usage where pool_id = ${poolId}`.execute(db.database.query);
  return (rows[0]?.promised_bytes ?? 0) / gib;
};

/** A volume's layer where there is room for it. */
const make = (wish: PoolWish) =>
  inTx(async (tx) => {
    const found = await choosePool(tx, wish);
    if (!found.pool) return undefined;
    return insertLayer(tx, { volumeId: newId(), pool: found.pool, sizeBytes: wish.sizeBytes, base: null });
  });

test('of many that want the last room at the same moment exactly so many get it as it has', async () => {
  const pool = await testPool(db.database, { totalBytes: gib });
  const made = await Promise.all(
    Array.from({ length: 12 }, () => make({ sizeBytes: 3 * gib, extraSpecs: {}, hostId: pool.host_id })),
  );
  assert.equal(made.filter(Boolean).length, 6, '20 GiB may be promised');
  assert.equal(await promised(pool.id), 18);
});

test('what a pool has promised is counted as layers are made, frozen, grown, let go of and removed', async () => {
  const pool = await testPool(db.database);
  const id = (await make({ sizeBytes: 3 * gib, extraSpecs: {}, poolId: pool.id }))!;
  await inTx((tx) => growLayer(tx, id, 5 * gib));
  await inTx((tx) => growLayer(tx, id, 4 * gib));
  assert.equal(await promised(pool.id), 5);
  await inTx(async (tx) => {
    await freezeLayer(tx, id);
    await insertLayer(tx, { volumeId: newId(), pool, sizeBytes: 5 * gib, base: { parentId: id } });
  });
  assert.equal(await promised(pool.id), 5, 'what nobody writes to grows no more');
  await sql`update volume_layer set desired_presence = 'absent' where pool_id = ${pool.id}`.execute(db.database.query);
  assert.equal(await promised(pool.id), 0);
  await sql`delete from volume_layer where parent_id = ${id}`.execute(db.database.query);
  await sql`delete from volume_layer where id = ${id}`.execute(db.database.query);
  assert.equal(await promised(pool.id), 0);
});

test('what grows where it is needs room there', async () => {
  const pool = await testPool(db.database, { totalBytes: gib });
  await inTx((tx) => requireRoom(tx, pool.id, 20 * gib));
  const refused = (error: unknown) => hasReason(error, 'no_pool') && /promised/.test(error.fields.why);
  await assert.rejects(
    inTx((tx) => requireRoom(tx, pool.id, 21 * gib)),
    refused,
  );
});

test('what a pool holds is somebody’s own, shared, or of nobody any more', async () => {
  const pool = await testPool(db.database);
  const projectId = await testProject(db.database);
  const layer = (parentId?: string) =>
    inTx(async (tx) => {
      const base = parentId === undefined ? null : { parentId };
      const id = await insertLayer(tx, { volumeId: newId(), pool, sizeBytes: gib, base });
      await sql`update volume_layer set observed_allocated_bytes = 100 where id = ${id}`.execute(tx);
      return id;
    });
  const below = await layer();
  await inTx((tx) => freezeLayer(tx, below));
  const tops = [await layer(below), await layer(below), await layer()];
  const volumes = await Promise.all(tops.map((layerId) => testVolume(db.database, { projectId, layerId })));
  await sql`update volume set pool_id = ${pool.id}, size_gib = 2 where id = any(${volumes}::uuid[])`.execute(
    db.database.query,
  );
  const [before] = await poolFigures(db.database.query, [pool.id]);
  assert.deepEqual([before!.volumes, before!.volume_gib, before!.promised_bytes], [3, 6, 3 * gib]);
  assert.deepEqual([before!.own_bytes, before!.shared_bytes, before!.reclaimable_bytes], [300, 100, 0]);
  await inTx(async (tx) => {
    await sql`update volume set desired_presence = 'absent' where id = any(${volumes.slice(1)}::uuid[])`.execute(tx);
    await releaseLayers(tx, tops.slice(1));
  });
  const now = (await poolFigures(db.database.query)).find(({ id }) => id === pool.id)!;
  assert.deepEqual([now.own_bytes, now.shared_bytes, now.reclaimable_bytes], [200, 0, 200]);
});

test('of many pools the one wins that would win if all were looked at; where none fits, all have a say', async () => {
  const wish = { sizeBytes: gib, extraSpecs: { volume_backend_name: 'many' } };
  const pools = await Promise.all(
    Array.from({ length: 40 }, (_, index) =>
      testPool(db.database, { name: 'many', tier: index % 2 ? 'flash' : 'disk', zone: `zone ${index % 3}` }),
    ),
  );
  await sql`insert into storage_pool_usage (pool_id, promised_bytes) select id, (random() * 100)::integer * ${gib}::bigint
    from storage_pool where name = 'many'`.execute(db.database.query);
  await sql`update host set connected = false where id = ${pools[0]!.host_id}`.execute(db.database.query);
  const both = (asked: PoolWish) =>
    inTx(async (tx) => [await choosePool(tx, asked), choose(asked, await readPools(tx, null))] as const);
  for (const over of [
    {},
    { availabilityZone: 'zone 1' },
    { notOnHosts: [pools[3]!.host_id] },
    { hostId: pools[5]!.host_id },
  ]) {
    for (const tier of ['disk', 'flash']) {
      const [found, best] = await both({ ...wish, ...over, extraSpecs: { ...wish.extraSpecs, 'bothy:tier': tier } });
      assert.equal(found.pool?.id, best.pool?.id);
    }
  }
  const [none, all] = await both({ ...wish, extraSpecs: { ...wish.extraSpecs, 'bothy:tier': 'ram' } });
  assert.deepEqual([none.pool, none.pools, none.refusals], [null, all.pools, all.refusals]);
  await sql`update storage_pool set disabled = true where name = 'many'`.execute(db.database.query);
});

test('a choice leaves a why-record for the volume', async () => {
  const projectId = await testProject(db.database);
  const [volumeId, wish] = [newId(), { sizeBytes: gib, extraSpecs: { volume_backend_name: 'nobody' } }];
  await inTx(async (tx) => {
    const found = await choosePool(tx, wish);
    await recordPoolChoice(tx, { projectId, volumeId, wish, found });
  });
  const { rows } = await sql<{ outcome: string; explanation: { message: string; fix: string } }>`
    select outcome, explanation from decision where resource_id = ${volumeId} and resource_type = 'volume'`.execute(
    db.database.query,
  );
  assert.equal(rows[0]?.outcome, 'no_capacity');
  assert.match(rows[0]!.explanation.message, /is not as the volume type asks/);
  assert.match(rows[0]!.explanation.fix, /another volume type/);
});

const said = (name: string, over: Partial<HostPool> = {}): HostPool => ({
  ...{ name, tier: 'flash', kind: 'directory', totalBytes: 100, freeBytes: 50, problem: null },
  ...over,
});
const rowsOf = async (hostId: string) => {
  const { rows } = await sql<
    Record<string, unknown>
  >`select name, tier, total_bytes, free_bytes, problem, over_subscription,
    reserved_percentage, generation from storage_pool where host_id = ${hostId} order by name`.execute(
    db.database.query,
  );
  return rows;
};

test('pools are as their host says, and one that it names no more is kept and takes nothing', async () => {
  const { host_id: hostId } = await testPool(db.database, { name: 'old' });
  const fast = said('fast', { promisedPercentage: 150, reservedPercentage: 7 });
  const record = (pools: HostPool[]) => recordPools(db.database.query, hostId, pools);
  await record([said('old'), fast]);
  await record([said('old'), fast]);
  assert.deepEqual(
    (await rowsOf(hostId)).map((row) => [row.name, row.over_subscription, row.reserved_percentage, row.generation]),
    [
      ['fast', 1.5, 7, 1],
      ['old', 20, 0, 2],
    ],
    'what is said again is not written again',
  );
  await record([said('old')]);
  const [gone] = await rowsOf(hostId);
  assert.match(String(gone!.problem), /no pool of this name/);
  await recordLevels(db.database.query, hostId, [{ name: 'fast', totalBytes: 1, freeBytes: 1, problem: null }]);
  assert.match(String((await rowsOf(hostId))[0]!.problem), /no pool of this name/);
  await recordLevels(db.database.query, hostId, [{ name: 'old', totalBytes: 90, freeBytes: 9, problem: 'full' }]);
  const old = (await rowsOf(hostId))[1]!;
  assert.deepEqual([old.total_bytes, old.free_bytes, old.problem], [90, 9, 'full']);
  await record([said('old'), fast]);
  assert.equal((await rowsOf(hostId))[0]!.problem, null);
});

/** What types promise of reads and writes a second counts against what pools give, in the transaction that decides. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { newId } from '../../../contract/ids.ts';
import { type TestDatabase, testDatabase } from '../../kit/database/testing.ts';
import { cacheCloud } from '../cache/testing.ts';
import { poolFigures, StoragePoolService } from '../pool/index.ts';
import { testPool } from '../testing.ts';
import { type VolumeCloud, volumeCloud } from './testing.ts';

let db: TestDatabase;
let cloud: VolumeCloud;
let flash: string;
before(async () => {
  db = await testDatabase();
  cloud = await volumeCloud(db.database);
  flash = (await testPool(db.database, { hostId: cloud.hostId, name: 'flash', tier: 'flash' })).id;
  const pools = new StoragePoolService(db);
  await pools.update(cloud.admin, cloud.poolId, { iops: 1000, iopsOverSubscription: 1.5 });
  await pools.update(cloud.admin, flash, { iops: 500 });
  await type('slow', {}, 'disk');
  await type('swift', { total_iops_sec: '300' }, 'disk');
  await type('both-ways', { read_iops_sec: '100', write_iops_sec: '50', total_bytes_sec: '1' }, 'disk');
  await type('by-size', { total_iops_sec_per_gb: '100', total_iops_sec_max: '400' }, 'disk');
  await type('swift-flash', { total_iops_sec: '300' }, 'flash');
});
after(() => db[Symbol.asyncDispose]());

async function type(name: string, specs: Record<string, string>, tier: string): Promise<void> {
  const qos = newId();
  await sql`insert into qos_specs (id, name, consumer, specs) values (${qos}, ${name}, 'front-end', ${JSON.stringify(specs)}::jsonb)`.execute(
    db.database.query,
  );
  await sql`insert into volume_type (id, name, public, extra_specs, qos_specs_id)
    values (${newId()}, ${name}, true, ${JSON.stringify({ 'bothy:tier': tier })}::jsonb, ${qos})`.execute(
    db.database.query,
  );
}
const make = (type: string, sizeGib = 1) => cloud.volumes.create(cloud.member, cloud.wish({ type, sizeGib }));
const promised = async (poolId = cloud.poolId) => (await poolFigures(db.database.query, [poolId]))[0]!.promised_iops;
async function removed(): Promise<void> {
  const { rows } = await sql<{ id: string }>`select id from volume`.execute(db.database.query);
  for (const { id } of rows) await cloud.volumes.delete(cloud.admin, id, { cascade: true, force: true });
  assert.deepEqual([await promised(), await promised(flash)], [0, 0], 'what is gone is promised no more');
}

test('of many that want the last reads and writes at the same moment exactly so many get them as there are', async () => {
  const made = await Promise.all(Array.from({ length: 12 }, () => make('swift')));
  assert.equal(made.filter(({ pool_id }) => pool_id !== null).length, 5, '1,500 may be promised');
  assert.equal(await promised(), 1500);
  const [refused] = made.filter(({ pool_id }) => pool_id === null);
  assert.match(
    refused!.fault!.message,
    /promised too many reads and writes a second already: use a volume type with fewer/,
  );
  assert.notEqual((await cloud.volumes.create(cloud.member, cloud.wish({ type: 'slow' }))).pool_id, null);
  await removed();
});

test('both directions count together, and a size that promises more is asked for before it is given', async () => {
  await make('both-ways');
  assert.equal(await promised(), 150);
  const volume = await cloud.made({ type: 'by-size', sizeGib: 2 });
  assert.equal(await promised(), 350);
  await cloud.volumes.extend(cloud.member, volume.id, { sizeGib: 3, inUse: false });
  assert.equal(await promised(), 450);
  await sql`update storage_pool set iops = 310 where id = ${cloud.poolId}`.execute(db.database.query);
  const another = await cloud.made({ type: 'slow', sizeGib: 2 });
  await assert.rejects(
    cloud.volumes.retype(cloud.member, another.id, { type: 'by-size', policy: 'never' }),
    (error: { reason: string; fields: { why: string } }) =>
      error.reason === 'no_pool' && /reads and writes/.test(error.fields.why),
  );
  await sql`update storage_pool set iops = 1000 where id = ${cloud.poolId}`.execute(db.database.query);
  await cloud.volumes.retype(cloud.member, another.id, { type: 'by-size', policy: 'never' });
  assert.equal(await promised(), 650);
  await removed();
});

test('what is on its way to another pool counts there from the moment that it is decided, and follows when specs change', async () => {
  const [one, two] = [await cloud.made({ type: 'swift' }), await cloud.made({ type: 'swift' })];
  const retype = (id: string) => cloud.volumes.retype(cloud.member, id, { type: 'swift-flash', policy: 'on-demand' });
  await retype(one.id);
  assert.deepEqual([await promised(), await promised(flash)], [600, 300]);
  await assert.rejects(retype(two.id), { reason: 'no_pool' });
  await cacheCloud(() => cloud).obeyed();
  assert.equal((await cloud.volumes.get(cloud.member, one.id)).pool_name, 'flash');
  assert.deepEqual([await promised(), await promised(flash)], [300, 300]);
  await sql`update qos_specs set specs = '{"total_iops_sec": "200"}' where name = 'swift-flash'`.execute(
    db.database.query,
  );
  await retype(two.id);
  assert.equal(await promised(flash), 400);
  await removed();
});

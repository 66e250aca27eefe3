import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { sql } from 'kysely';
import pino from 'pino';
import type { ObservedLayer } from '../../../contract/host/index.ts';
import { type LayerId, newId, type VolumeId } from '../../../contract/ids.ts';
import { StreamReplaced } from '../../host/index.ts';
import { testSealer } from '../../identity/testing.ts';
import { cloudActor, type Tx } from '../../kit/database/database.ts';
import { type TestDatabase, testDatabase, testProject } from '../../kit/database/testing.ts';
import { testPool, testVolume } from '../testing.ts';
import { desiredLayers, layerStamps } from './desired.ts';
import {
  findLayer,
  freezeLayer,
  hasFailed,
  hasFailedInSql,
  hostedLayers,
  insertLayer,
  isLost,
  isLostInSql,
  isServed,
  isServedInSql,
  releaseLayers,
  tellDigest,
} from './index.ts';

let db: TestDatabase;
let pool: Awaited<ReturnType<typeof testPool>>;
let projectId: string;
let side: ReturnType<typeof hostedLayers>;
before(async () => {
  db = await testDatabase();
  projectId = await testProject(db.database);
  side = hostedLayers({ database: db.database, sealer: testSealer, log: pino({ level: 'silent' }) });
});
after(() => db[Symbol.asyncDispose]());
beforeEach(async () => {
  pool = await testPool(db.database);
  await sql`delete from graphile_worker._private_jobs`.execute(db.database.query);
});

const inTx = <T>(work: (tx: Tx) => Promise<T>) => db.database.transaction(cloudActor, work);
const row = (id: string) => findLayer(db.database.query, id);

async function volume(base: Parameters<typeof insertLayer>[1]['base'] = null): Promise<{ id: VolumeId; top: LayerId }> {
  const id = newId<VolumeId>();
  const top = await inTx((tx) => insertLayer(tx, { volumeId: id, pool, sizeBytes: 2 ** 30, base }));
  await testVolume(db.database, { projectId, layerId: top, id });
  return { id, top };
}

const observed = (id: LayerId, over: Partial<ObservedLayer> = {}): ObservedLayer => ({
  ...{ id, epoch: 1, generation: 1, state: 'ready', sizeBytes: 2 ** 30, allocatedBytes: 4096, step: null, error: null },
  ...over,
});

/** Whom the queue is to look at. */
async function woken(): Promise<string[]> {
  const { rows } = await sql<{ key: string }>`select key from graphile_worker.jobs order by key`.execute(
    db.database.query,
  );
  return rows.map(({ key }) => key);
}

const documentOf = async (id: LayerId) =>
  (await desiredLayers(db.database.query, { layerIds: [id] })).map(({ layer }) => layer)[0];
const stampOf = async (id: LayerId) =>
  (await layerStamps(db.database.query, [pool.host_id])).get(pool.host_id)!.find((stamp) => stamp.id === id)?.stamp;

test('a report is recorded and wakes the volume and the snapshot that wait for the layer, once', async () => {
  const { id, top } = await volume();
  const shot = newId();
  await sql`insert into volume_snapshot (id, project_id, user_id, volume_id, layer_id, size_gib)
    values (${shot}, ${projectId}, ${newId()}, ${id}, ${top}, 1)`.execute(db.database.query);
  assert.deepEqual(await side.recordReports(pool.host_id, [observed(top)]), []);
  const after = await row(top);
  assert.deepEqual([after?.observed_state, after?.observed_allocated_bytes], ['ready', 4096]);
  assert.deepEqual(await woken(), [`volume:${id}`, `volume_snapshot:${shot}`]);
  await sql`delete from graphile_worker._private_jobs`.execute(db.database.query);
  await side.recordReports(pool.host_id, [observed(top, { allocatedBytes: 8192, step: '1 of 2' })]);
  assert.deepEqual(await woken(), []);
  await side.recordReports(pool.host_id, [observed(top, { allocatedBytes: 8192, step: '1 of 2' })], { complete: true });
  assert.equal((await row(top))?.updated_at.getTime(), (await row(top))?.observed_at?.getTime(), 'written once');
});

test('nobody but the owner is believed', async () => {
  const { top } = await volume();
  const stranger = await testPool(db.database);
  await side.recordReports(stranger.host_id, [observed(top)]);
  assert.equal((await row(top))?.observed_state, 'none');
  const absent = observed(top, { state: 'absent' });
  assert.deepEqual(await side.recordReports(stranger.host_id, [absent]), [top], 'it may forget what is not its own');
  assert.equal((await row(top))?.observed_state, 'none');
});

test('the row of a layer goes with its host’s word, in whichever order parent and child are removed', async () => {
  for (const order of [
    [0, 1],
    [1, 0],
  ]) {
    const { id, top: below } = await volume();
    const top = await inTx(async (tx) => {
      await freezeLayer(tx, below);
      const made = await insertLayer(tx, { volumeId: id, pool, sizeBytes: 2 ** 30, base: { parentId: below } });
      await sql`update volume set layer_id = ${made} where id = ${id}`.execute(tx);
      return made;
    });
    await inTx(async (tx) => {
      await sql`update volume set desired_presence = 'absent' where id = ${id}`.execute(tx);
      assert.deepEqual(await releaseLayers(tx, [top]), [top, below]);
    });
    for (const each of order.map((index) => [below, top][index]!)) {
      const generation = (await row(each))!.generation;
      const said = observed(each, { state: 'absent', generation, sizeBytes: 0, allocatedBytes: 0 });
      assert.deepEqual(await side.recordReports(pool.host_id, [said]), [each]);
      assert.equal(await row(each), undefined);
    }
    const { rows } = await sql`select layer_id from volume where id = ${id}`.execute(db.database.query);
    assert.deepEqual(rows, [{ layer_id: null }]);
    assert.ok((await woken()).includes(`volume:${id}`));
    const again = observed(below, { state: 'absent' });
    assert.deepEqual(await side.recordReports(pool.host_id, [again]), [below], 'what nobody knows may be forgotten');
  }
});

test('a layer that is lost although it shall be there is kept in mind', async () => {
  const { top } = await volume();
  assert.deepEqual(await side.recordReports(pool.host_id, [observed(top, { state: 'absent' })]), []);
  assert.equal(isLost((await row(top))!), true);
});

test('once a file builds on another, what it built on before is released', async () => {
  const { id, top: below } = await volume();
  const top = await inTx(async (tx) => {
    await freezeLayer(tx, below);
    const made = await insertLayer(tx, { volumeId: id, pool, sizeBytes: 2 ** 30, base: { parentId: below } });
    await sql`update volume set layer_id = ${made} where id = ${id}`.execute(tx);
    await sql`update volume_layer set parent_id = null, former_parent_id = ${below} where id = ${made}`.execute(tx);
    assert.deepEqual(await releaseLayers(tx, [below]), []);
    return made;
  });
  await side.recordReports(pool.host_id, [observed(top, { state: 'building' })]);
  assert.equal((await row(below))?.desired_presence, 'present');
  await side.recordReports(pool.host_id, [observed(top)]);
  assert.equal((await row(below))?.desired_presence, 'absent');
  assert.equal((await row(top))?.former_parent_id, null);
});

test('a document says all that the layer shall be, and its stamp is another whenever it says something else', async () => {
  const { top } = await volume();
  const seen = new Set([await stampOf(top)]);
  const first = (await documentOf(top))!;
  assert.equal(first.stamp, await stampOf(top));
  assert.deepEqual([first.pool, first.parentId, first.image, first.readOnly], ['local', null, null, false]);
  for (const change of [
    sql`generation = 2, size_bytes = 2147483648`,
    sql`generation = 3, read_only = true`,
    sql`desired_captures = '[{"image_id": "00000000-0000-4000-8000-000000000001", "format": "raw"}]'`,
    sql`desired_backups = '[{"id": "00000000-0000-4000-8000-000000000002", "name": "b", "parent_name": "a"}]'`,
    sql`desired_source = '{"backup_id": "00000000-0000-4000-8000-000000000003", "name": "c", "sha256": null}'`,
    sql`generation = 4, desired_presence = 'absent'`,
  ]) {
    await sql`update volume_layer set ${change} where id = ${top}`.execute(db.database.query);
    const stamp = await stampOf(top);
    assert.ok(stamp && !seen.has(stamp));
    assert.equal((await documentOf(top))!.stamp, stamp);
    seen.add(stamp);
  }
  const last = (await documentOf(top))!;
  assert.deepEqual([last.presence, last.generation, last.captures], ['absent', 4, undefined]);
});

test('a layer on an image says who has its bytes, and the digest as soon as it is known', async () => {
  const imageId = newId();
  const elsewhere = await testPool(db.database);
  await sql`insert into image (id, project_id, name, status, disk_format, size_bytes) values (${imageId}, ${projectId}, 'i', 'active', 'qcow2', 10)`.execute(
    db.database.query,
  );
  await sql`insert into image_location (image_id, host_id) values (${imageId}, ${elsewhere.host_id})`.execute(
    db.database.query,
  );
  const { top } = await volume({ imageId, image: { format: 'qcow2', size_bytes: 10, sha256: null } });
  const image = (await documentOf(top))!.image!;
  assert.deepEqual([image.sha256, image.sources], [null, [`https://${elsewhere.host_id}:8444`]]);
  const stamp = await stampOf(top);
  const sha256 = 'ab'.repeat(32);
  await sql`update image set sha256 = ${sha256} where id = ${imageId}`.execute(db.database.query);
  await tellDigest(db.database, imageId);
  assert.equal((await documentOf(top))!.image!.sha256, sha256);
  assert.notEqual(await stampOf(top), stamp);
  await sql`delete from image_location where image_id = ${imageId}`.execute(db.database.query);
  await sql`delete from image where id = ${imageId}`.execute(db.database.query);
  assert.equal((await documentOf(top))!.image!.sha256, sha256, 'the image may go: the layer knows what it was');
});

test('how far a layer is says SQL as the code does', async () => {
  const { top } = await volume();
  for (const state of ['none', 'building', 'ready', 'absent', 'failed']) {
    for (const generation of [0, 1]) {
      for (const presence of ['present', 'absent']) {
        await sql`update volume_layer set observed_state = ${state}, observed_generation = ${generation}, observed_epoch = 1,
          desired_presence = ${presence} where id = ${top}`.execute(db.database.query);
        const { rows } =
          await sql`select ${isServedInSql('l')} as served, ${hasFailedInSql('l')} as failed, ${isLostInSql('l')} as lost
          from volume_layer l where id = ${top}`.execute(db.database.query);
        const now = (await row(top))!;
        assert.deepEqual(rows, [{ served: isServed(now), failed: hasFailed(now), lost: isLost(now) }]);
      }
    }
  }
});

test('what was said on a stream that another has replaced changes nothing: its control was frozen meanwhile', async () => {
  const { top } = await volume();
  const [before, now] = [newId(), newId()];
  const speaks = (connectionId: string) =>
    sql`update host set connection_id = ${connectionId} where id = ${pool.host_id}`.execute(db.database.query);
  const say = (state: ObservedLayer['state'], connectionId: string, complete = false) =>
    side.recordReports(pool.host_id, [observed(top, { state })], { complete, connectionId });
  await speaks(before);
  await say('building', before);
  await speaks(now);
  await say('ready', now);
  for (const complete of [false, true]) await assert.rejects(say('building', before, complete), StreamReplaced);
  assert.equal((await row(top))!.observed_state, 'ready');
  assert.deepEqual(await say('ready', now, true), []);
});

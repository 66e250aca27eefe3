import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { hasReason } from '../../../contract/errors.ts';
import { type LayerId, newId, type VolumeId } from '../../../contract/ids.ts';
import { cloudActor, type Tx } from '../../kit/database/database.ts';
import { type TestDatabase, testDatabase, testProject } from '../../kit/database/testing.ts';
import { testPool, testVolume } from '../testing.ts';
import { desiredLayers } from './desired.ts';
import { addCapture, endCapture, findLayer, freezeLayer, insertLayer, releaseLayers } from './index.ts';

let db: TestDatabase;
let pool: Awaited<ReturnType<typeof testPool>>;
let projectId: string;
before(async () => {
  db = await testDatabase();
  pool = await testPool(db.database);
  projectId = await testProject(db.database);
});
after(() => db[Symbol.asyncDispose]());

const inTx = <T>(work: (tx: Tx) => Promise<T>) => db.database.transaction(cloudActor, work);
const present = async (id: string) => (await findLayer(db.database.query, id))?.desired_presence === 'present';

/** A volume with a layer of its own, on the parent where one is given. */
async function volume(parentId?: string): Promise<{ id: VolumeId; top: LayerId }> {
  const id = newId<VolumeId>();
  const base = parentId === undefined ? null : { parentId };
  const top = await inTx((tx) => insertLayer(tx, { volumeId: id, pool, sizeBytes: 2 ** 30, base }));
  await testVolume(db.database, { projectId, layerId: top, id });
  return { id, top };
}

/** A snapshot: the top is frozen, and a new one is on it. */
async function snapshot(of: { id: VolumeId; top: LayerId }): Promise<{ id: string; layer: LayerId }> {
  const [id, layer] = [newId(), of.top];
  of.top = await inTx(async (tx) => {
    await freezeLayer(tx, layer);
    const top = await insertLayer(tx, { volumeId: of.id, pool, sizeBytes: 2 ** 30, base: { parentId: layer } });
    await sql`update volume set layer_id = ${top} where id = ${of.id}`.execute(tx);
    await sql`insert into volume_snapshot (id, project_id, user_id, volume_id, layer_id, size_gib)
      values (${id}, ${projectId}, ${newId()}, ${of.id}, ${layer}, 1)`.execute(tx);
    return top;
  });
  return { id, layer };
}

const remove = (noun: 'volume' | 'volume_snapshot', id: string) =>
  inTx(async (tx) => {
    const { rows } = await sql<{ layer_id: string }>`update ${sql.table(noun)} set desired_presence = 'absent'
      where id = ${id} returning layer_id`.execute(tx);
    return releaseLayers(tx, [rows[0]!.layer_id]);
  });

test('a volume and its snapshots go in any order, and a layer goes when nobody needs it', async () => {
  const source = await volume();
  const [first, second] = [await snapshot(source), await snapshot(source)];
  assert.deepEqual(await remove('volume_snapshot', first.id), [], 'what is above builds on it');
  assert.deepEqual(await remove('volume', source.id), [source.top]);
  assert.deepEqual(await remove('volume_snapshot', second.id), [second.layer, first.layer]);
});

test('a clone outlives its source, and the last of them takes the common layers along', async () => {
  const source = await volume();
  const shot = await snapshot(source);
  const clones = [await volume(shot.layer), await volume(shot.layer)];
  await remove('volume_snapshot', shot.id);
  assert.deepEqual(await remove('volume', source.id), [source.top]);
  assert.deepEqual(await remove('volume', clones[0]!.id), [clones[0]!.top]);
  assert.ok(await present(shot.layer));
  assert.deepEqual(await remove('volume', clones[1]!.id), [clones[1]!.top, shot.layer]);
});

test('of many that let go of one layer at the same moment none leaves it behind, whoever is the last', async () => {
  for (let round = 0; round < 5; round++) {
    const source = await volume();
    const shot = await snapshot(source);
    const clones = await Promise.all(Array.from({ length: 6 }, () => volume(shot.layer)));
    const gone = await Promise.all([
      remove('volume_snapshot', shot.id),
      remove('volume', source.id),
      ...clones.map(({ id }) => remove('volume', id)),
    ]);
    assert.equal(gone.flat().filter((id) => id === shot.layer).length, 1);
    assert.equal(gone.flat().length, clones.length + 2);
  }
});

test('whoever builds on a layer while it is let go of has it, or is told that it is gone', async () => {
  for (let round = 0; round < 10; round++) {
    const source = await volume();
    const shot = await snapshot(source);
    await remove('volume', source.id);
    const [clone] = await Promise.all([
      volume(shot.layer).catch((error) => {
        assert.ok(hasReason(error, 'layer_gone'), String(error));
      }),
      remove('volume_snapshot', shot.id),
    ]);
    assert.equal(await present(shot.layer), clone !== undefined);
  }
});

test('nobody builds on what is still written to, or lies on another host', async () => {
  const source = await volume();
  const gone = (error: unknown) => hasReason(error, 'layer_gone');
  await assert.rejects(volume(source.top), gone);
  const shot = await snapshot(source);
  const elsewhere = await testPool(db.database);
  const base = { parentId: shot.layer };
  await assert.rejects(
    inTx((tx) => insertLayer(tx, { volumeId: newId(), pool: elsewhere, sizeBytes: 1, base })),
    gone,
  );
});

test('a layer of which an image is made stays until that is done', async () => {
  const source = await volume();
  const imageId = newId();
  await inTx((tx) => addCapture(tx, source.top, { image_id: imageId, format: 'raw' }));
  assert.deepEqual(await remove('volume', source.id), []);
  await inTx((tx) => endCapture(tx, source.top, imageId));
  assert.deepEqual(await inTx((tx) => releaseLayers(tx, [source.top])), [source.top]);
});

test('what another host copies stays until the copy is whole, and goes with a copy that is given up', async () => {
  const far = await testPool(db.database);
  const source = await volume();
  const shot = await snapshot(source);
  const copy = (copyOf: LayerId) =>
    inTx((tx) =>
      insertLayer(tx, {
        ...{ volumeId: source.id, pool: far, sizeBytes: 2 ** 30, base: null },
        ...{ source: { copy_of: copyOf }, frozen: true },
      }),
    );
  await assert.rejects(copy(source.top), (error) => hasReason(error, 'layer_gone'), 'it is written to');
  const { generation } = (await findLayer(db.database.query, shot.layer))!;
  const [given, whole] = [await copy(shot.layer), await copy(shot.layer)];
  assert.equal((await findLayer(db.database.query, shot.layer))!.generation, generation + 2, 'its host is told');
  const [told] = await desiredLayers(db.database.query, { layerIds: [shot.layer] });
  assert.deepEqual(told!.layer.copiedBy, [far.host_id]);
  const [wanted] = await desiredLayers(db.database.query, { layerIds: [given] });
  const { host_id: hostId } = (await findLayer(db.database.query, shot.layer))!;
  assert.deepEqual([wanted!.layer.copyOf?.layerId, wanted!.layer.copyOf?.hostId], [shot.layer, hostId]);
  assert.equal(wanted!.layer.copyOf?.replica, undefined);
  await sql`insert into volume_replica (volume_id, rpo_seconds, size_bytes, pool_id)
    values (${source.id}, 60, ${2 ** 30}, ${far.id})`.execute(db.database.query);
  const [ofReplica] = await desiredLayers(db.database.query, { layerIds: [given] });
  assert.equal(ofReplica!.layer.copyOf?.replica, true, 'it waits for no moves');
  await sql`delete from volume_replica where volume_id = ${source.id}`.execute(db.database.query);
  await remove('volume_snapshot', shot.id);
  await remove('volume', source.id);
  assert.ok(await present(shot.layer));
  await sql`update volume_layer set desired_source = null where id = ${whole}`.execute(db.database.query);
  assert.deepEqual(await inTx((tx) => releaseLayers(tx, [given])), [given, shot.layer]);
});

/** What is asked of PostgreSQL about layers reads what it answers, not what the cloud holds. */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import pino from 'pino';
import { newId, type VolumeId } from '../../../contract/ids.ts';
import { testSealer } from '../../identity/testing.ts';
import { cloudActor } from '../../kit/database/database.ts';
import { explainedDatabase } from '../../kit/database/test-plans.ts';
import { type TestDatabase, testDatabase, testProject } from '../../kit/database/testing.ts';
import { testPool, testVolume } from '../testing.ts';
import { freezeLayer, hostedLayers, insertLayer, LayerShortener, releaseLayers } from './index.ts';

let db: TestDatabase;
let explained: ReturnType<typeof explainedDatabase>;
let pool: Awaited<ReturnType<typeof testPool>>;
let projectId: string;
before(async () => {
  db = await testDatabase();
  projectId = await testProject(db.database);
  const crowded = await testPool(db.database);
  pool = await testPool(db.database);
  const query = db.database.query;
  // As a cloud that has lived: volumes with a snapshot each, on another host.
  await sql`insert into volume_layer (id, volume_id, host_id, pool_id, size_bytes, read_only, observed_state, observed_generation)
    select gen_random_uuid(), gen_random_uuid(), ${crowded.host_id}, ${crowded.id}, 1, true, 'ready', 1 from generate_series(1, 2000)`.execute(
    query,
  );
  await sql`insert into volume_layer (id, volume_id, host_id, pool_id, size_bytes, parent_id, observed_state, observed_generation)
    select gen_random_uuid(), volume_id, host_id, pool_id, 1, id, 'ready', 1 from volume_layer`.execute(query);
  await sql`insert into volume (id, project_id, user_id, size_gib, volume_type_id, layer_id)
    select volume_id, ${projectId}, gen_random_uuid(), 1, (select id from volume_type limit 1), id from volume_layer where not read_only`.execute(
    query,
  );
  await sql`insert into volume_snapshot (id, project_id, user_id, volume_id, layer_id, size_gib)
    select gen_random_uuid(), ${projectId}, gen_random_uuid(), volume_id, id, 1 from volume_layer where read_only`.execute(
    query,
  );
  await sql`analyze`.execute(query);
  explained = explainedDatabase(db.url);
});
after(async () => {
  await explained.database.close();
  await db[Symbol.asyncDispose]();
});

test('making, freezing, reporting, releasing and merging of layers reads the layers that it is about', async () => {
  const { database } = explained;
  const deps = { database, log: pino({ level: 'silent' }) };
  const [side, shortener] = [hostedLayers({ ...deps, sealer: testSealer }), new LayerShortener(deps)];
  // Named statements have plans for any value as well: the later runs show those.
  for (let round = 0; round < 8; round++) {
    const volumeId = newId<VolumeId>();
    const top = await database.transaction(cloudActor, async (tx) => {
      const below = await insertLayer(tx, { volumeId, pool, sizeBytes: 1, base: null });
      await freezeLayer(tx, below);
      return insertLayer(tx, { volumeId, pool, sizeBytes: 1, base: { parentId: below } });
    });
    await testVolume(db.database, { projectId, layerId: top, id: volumeId });
    const layers = await side.desiredLayers(database.query, { hostId: pool.host_id });
    assert.equal(layers.length, 2);
    assert.equal((await side.desiredLayers(database.query, { layerIds: [top] })).length, 1);
    assert.equal((await side.layerStamps(database.query, [pool.host_id])).get(pool.host_id)!.length, 2);
    const words = (state: 'ready' | 'absent') =>
      layers.map(({ layer: { id, epoch, generation, sizeBytes } }) => ({
        ...{ id, epoch, generation, sizeBytes, state, allocatedBytes: 1, step: null, error: null },
      }));
    for (const word of words('ready')) await side.recordReports(pool.host_id, [word]);
    await side.recordReports(pool.host_id, words('ready'), { complete: true });
    await shortener.shorten(top);
    await shortener.sweep();
    await database.transaction(cloudActor, async (tx) => {
      await sql`update volume set desired_presence = 'absent' where id = ${volumeId}`.execute(tx);
      assert.equal((await releaseLayers(tx, [top])).length, 2);
    });
    assert.equal((await side.recordReports(pool.host_id, words('absent'))).length, 2);
  }
  assert.deepEqual(explained.waste(100), []);
});

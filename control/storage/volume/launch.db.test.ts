/** A host's word that completes a volume launches it, in its own transaction; whatever else is to be done is the controller's. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import type { HostId, LayerId } from '../../../contract/ids.ts';
import { testSealer } from '../../identity/testing.ts';
import { cloudActor } from '../../kit/database/database.ts';
import { type TestDatabase, testDatabase } from '../../kit/database/testing.ts';
import { hostedLayers } from '../layer/index.ts';
import { launchComplete } from './index.ts';
import { silentLog, type VolumeCloud, volumeCloud } from './testing.ts';

let db: TestDatabase;
let cloud: VolumeCloud;
before(async () => {
  db = await testDatabase();
  cloud = await volumeCloud(db.database);
});
after(() => db[Symbol.asyncDispose]());

/** The host has made the volume's top, and says so. */
async function said(volumeId: string): Promise<void> {
  const deps = { database: db.database, sealer: testSealer, log: silentLog, launch: launchComplete };
  const side = hostedLayers(deps);
  const { rows } = await sql<{ id: LayerId; host_id: HostId }>`select l.id, l.host_id from volume_layer l
    join volume v on v.layer_id = l.id where v.id = ${volumeId}`.execute(db.database.query);
  const { id, host_id: hostId } = rows[0]!;
  const [told] = await side.desiredLayers(db.database.query, { layerIds: [id] });
  const { epoch, generation, sizeBytes } = told!.layer;
  const how = { state: 'ready', allocatedBytes: 1, step: null, error: null } as const;
  await side.recordReports(hostId, [{ id, epoch, generation, sizeBytes, ...how }]);
}

const jobs = async (volumeId: string): Promise<number> => {
  const { rows } = await sql`select from graphile_worker._private_jobs where key = ${`volume:${volumeId}`}`.execute(
    db.database.query,
  );
  return rows.length;
};
const running = async (volumeId: string): Promise<number> => {
  const { rows } = await sql`select from operation where resource_id = ${volumeId} and state = 'running'`.execute(
    db.database.query,
  );
  return rows.length;
};
const create = () => cloud.volumes.create(cloud.member, cloud.wish({ sizeGib: 1 }));

test('a volume whose file is there is available with its host’s word, its creation has ended, and nobody has to look', async () => {
  const { id } = await create();
  assert.deepEqual([await cloud.status(id), await running(id)], ['creating', 1]);
  await said(id);
  assert.deepEqual([await cloud.status(id), await running(id), await jobs(id)], ['available', 0, 0]);
});

test('one that is to be deleted meanwhile, or whose row somebody holds, is left to its controller', async () => {
  const [deleted, held] = [await create(), await create()];
  await sql`update volume set desired_presence = 'absent' where id = ${deleted.id}`.execute(db.database.query);
  await said(deleted.id);
  assert.equal(await jobs(deleted.id), 1);
  await db.database.transaction(cloudActor, async (tx) => {
    await sql`select from volume where id = ${held.id} for update`.execute(tx);
    await said(held.id);
    assert.deepEqual([await cloud.status(held.id), await jobs(held.id)], ['creating', 1]);
  });
  await cloud.settle();
  assert.equal(await cloud.status(held.id), 'available');
});

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { type TestDatabase, testDatabase } from '../../kit/database/testing.ts';
import { snapshotStatus } from '../volume/index.ts';
import { callerOf, oddName, type VolumeCloud, volumeCloud } from '../volume/testing.ts';
import { SnapshotController, type SnapshotStep } from './controller.ts';

let db: TestDatabase;
let cloud: VolumeCloud;
before(async () => {
  db = await testDatabase();
  cloud = await volumeCloud(db.database);
});
after(() => db[Symbol.asyncDispose]());

const create = (volumeId: string, { inUse = false, name = oddName } = {}) =>
  cloud.snapshots.create(cloud.member, { volumeId, name, description: null, metadata: { a: 'b' }, inUse });
const status = async (id: string) => snapshotStatus(await cloud.snapshots.get(cloud.admin, id));
const layersLeft = async (volumeId: string) => {
  const { rows } =
    await sql`select from volume_layer where volume_id = ${volumeId} and desired_presence = 'present'`.execute(
      db.database.query,
    );
  return rows.length;
};

test('a snapshot is the layer that its volume’s top was, and ready when the host knows that nobody writes to it', async () => {
  const volume = await cloud.made();
  const snapshot = await create(volume.id);
  assert.deepEqual([snapshot.layer_id, snapshot.size_gib, snapshot.name], [volume.layer_id, 1, oddName]);
  assert.equal(await status(snapshot.id), 'creating');
  assert.equal(await cloud.status(volume.id), 'available');
  await cloud.obey();
  assert.equal(await status(snapshot.id), 'available');
  await cloud.settle();
  assert.ok((await cloud.snapshots.get(cloud.member, snapshot.id)).ready_at);
  assert.equal(await layersLeft(volume.id), 2);
  await cloud.snapshots.delete(cloud.member, snapshot.id, { force: false });
  assert.equal(await layersLeft(volume.id), 2, 'the volume builds on it');
  await cloud.volumes.delete(cloud.member, volume.id, { cascade: false, force: false });
  assert.equal(await layersLeft(volume.id), 0);
});

test('of a volume in use it takes force, and is ready when the guest writes elsewhere', async () => {
  const volume = await cloud.made();
  const { serverId } = await cloud.attach(volume.id);
  await assert.rejects(create(volume.id), { reason: 'volume_status_unfit' });
  const [first, second] = [await create(volume.id, { inUse: true }), await create(volume.id, { inUse: true })];
  await cloud.obey();
  await cloud.settle();
  assert.deepEqual([await status(first.id), await status(second.id)], ['creating', 'creating']);
  await cloud.switchOver(serverId);
  assert.deepEqual([await status(first.id), await status(second.id)], ['available', 'available']);
});

test('a volume of a snapshot builds on it, and both may go in any order', async () => {
  const volume = await cloud.made({ imageId: cloud.imageId });
  const snapshot = await create(volume.id);
  const wish = cloud.wish({ snapshotId: snapshot.id, sizeGib: null });
  await assert.rejects(cloud.volumes.create(cloud.member, wish), { reason: 'snapshot_status_unfit' });
  await cloud.obey();
  const child = await cloud.volumes.create(cloud.member, wish);
  assert.deepEqual([child.size_gib, child.source_snapshot_id, child.bootable], [1, snapshot.id, true]);
  await cloud.volumes.delete(cloud.member, volume.id, { cascade: true, force: false });
  await cloud.obey();
  assert.equal(await cloud.status(child.id), 'available');
  await cloud.volumes.delete(cloud.member, child.id, { cascade: false, force: false });
  assert.deepEqual([await layersLeft(volume.id), await layersLeft(child.id)], [0, 0]);
});

test('an administrator may say what a snapshot is, a tool how far, and the truth comes back', async () => {
  const volume = await cloud.made();
  const { id } = await create(volume.id);
  await cloud.obey();
  const tell = (to: string) => cloud.snapshots.tell(cloud.member, id, { status: to, progress: '80%' });
  await assert.rejects(tell('error'), { reason: 'snapshot_progress_unfit' });
  await cloud.snapshots.reset(cloud.admin, id, 'creating');
  assert.equal(await status(id), 'creating');
  await tell('error');
  const told = await cloud.snapshots.get(cloud.admin, id);
  assert.deepEqual([snapshotStatus(told), told.fault?.progress], ['error', '80%']);
  await cloud.snapshots.reset(cloud.admin, id, 'available');
  assert.equal(await status(id), 'available');
  await cloud.snapshots.reset(cloud.admin, id, 'error_deleting');
  await assert.rejects(cloud.snapshots.delete(cloud.member, id, { force: false }), { reason: 'snapshot_status_unfit' });
  await cloud.snapshots.delete(cloud.admin, id, { force: true });
});

test('lists filter, sort and page, and show nobody another project’s', async () => {
  const volume = await cloud.made();
  const before = await cloud.snapshots.list(cloud.member, { filter: {}, limit: 100 }, { allProjects: false });
  for (const name of ['x', 'y', 'z']) await create(volume.id, { name });
  const list = async (page: object, filter: object = { volumeId: volume.id }) =>
    (await cloud.snapshots.list(cloud.member, { filter, limit: 10, ...page }, { allProjects: false })).map(
      (s) => s.name,
    );
  assert.deepEqual(await list({}), ['z', 'y', 'x']);
  assert.deepEqual(await list({ sort: [{ key: 'name', descending: false }], limit: 2 }), ['x', 'y']);
  assert.deepEqual(await list({ offset: 1 }), ['y', 'x']);
  const [last] = await cloud.snapshots.list(cloud.member, { filter: { name: 'z' }, limit: 1 }, { allProjects: false });
  assert.deepEqual(await list({ marker: last!.id }), ['y', 'x']);
  assert.deepEqual(await list({}, { status: 'creating', nameLike: 'y' }), ['y']);
  const stranger = callerOf((await volumeCloud(db.database)).projectId);
  assert.deepEqual(await cloud.snapshots.list(stranger, { filter: {}, limit: 10 }, { allProjects: true }), []);
  await assert.rejects(cloud.snapshots.get(stranger, last!.id), { code: 'not_found' });
  await assert.rejects(cloud.volumes.create(stranger, cloud.wish({ snapshotId: last!.id })), { code: 'not_found' });
  const all = await cloud.snapshots.count(cloud.member, {}, { allProjects: false });
  assert.equal(all, before.length + 3);
});

for (const step of ['looked', 'ready', 'failed', 'mended', 'expired'] as const) {
  test(`a snapshot comes to the same end when the controller dies after '${step}'`, async () => {
    const volume = await cloud.made();
    const { id } = await create(volume.id);
    const fails = step === 'failed' || step === 'mended';
    if (step === 'expired')
      await sql`update operation set deadline = now() where resource_id = ${id}`.execute(db.database.query);
    if (fails) {
      await sql`update volume_layer set observed_state = 'failed', observed_generation = generation, observed_epoch = epoch
        where id = ${volume.layer_id}`.execute(db.database.query);
    }
    await dieAndRepeat(step, id);
    assert.equal(await status(id), fails || step === 'expired' ? 'error' : 'creating');
    await cloud.report();
    await dieAndRepeat(step, id);
    assert.equal(await status(id), 'available');
    const { rows } = await sql`select from operation where resource_id = ${id} and state = 'running'`.execute(
      db.database.query,
    );
    assert.equal(rows.length, 0);
  });
}

test('a snapshot whose file is lost is told of, once', async () => {
  const volume = await cloud.made();
  const { id } = await create(volume.id);
  await cloud.report();
  await dieAndRepeat('ready', id);
  await sql`update volume_layer set observed_state = 'absent' where id = ${volume.layer_id}`.execute(db.database.query);
  await dieAndRepeat('failed', id);
  assert.equal(await status(id), 'error');
  const { rows } = await sql`select verb, error_message from storage_message where resource_id = ${id}`.execute(
    db.database.query,
  );
  assert.deepEqual(rows, [{ verb: 'keep', error_message: 'Its host has the snapshot’s file no more.' }]);
});

async function dieAndRepeat(step: SnapshotStep, id: string): Promise<void> {
  const dying = new SnapshotController({
    database: db.database,
    log: { info() {}, warn() {} } as never,
    afterStep(reached) {
      if (reached === step) throw new Error(`died after '${step}'`);
    },
  });
  await dying.reconcile(id).catch((error: Error) => assert.match(error.message, /^died after/));
  await cloud.snapshotController.reconcile(id);
  await cloud.snapshotController.reconcile(id);
}

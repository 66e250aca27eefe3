/** Kills the controller after each of its steps, starts another, and wants the same end. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { type TestDatabase, testDatabase } from '../../kit/database/testing.ts';
import { GroupService } from '../group/index.ts';
import { GroupTypeService } from '../group-type/index.ts';
import type { VolumeStep } from './controller.ts';
import { type VolumeCloud, volumeCloud } from './testing.ts';

let db: TestDatabase;
let cloud: VolumeCloud;
before(async () => {
  db = await testDatabase();
  cloud = await volumeCloud(db.database);
});
after(() => db[Symbol.asyncDispose]());

/** A process that dies after the step, if it comes to it, and then another that lives; twice, since repeats must not hurt. */
async function dieAndRepeat(step: VolumeStep, id: string): Promise<void> {
  await cloud
    .dyingController(step)
    .reconcile(id)
    .catch((error: Error) => assert.match(error.message, /^died after/));
  await cloud.controller.reconcile(id);
  await cloud.controller.reconcile(id);
}

const running = async (id: string) => {
  const { rows } = await sql`select from operation where resource_id = ${id} and state = 'running'`.execute(
    db.database.query,
  );
  return rows.length;
};

for (const step of ['looked', 'launched'] as const) {
  test(`a volume is launched when the controller dies after '${step}'`, async () => {
    const { id } = await cloud.volumes.create(cloud.member, cloud.wish());
    await cloud.report();
    await dieAndRepeat(step, id);
    assert.ok((await cloud.volumes.get(cloud.member, id)).launched_at);
    assert.equal(await running(id), 0);
  });
}

for (const step of ['looked', 'task ended'] as const) {
  test(`a volume has grown when the controller dies after '${step}'`, async () => {
    const { id } = await cloud.made();
    await cloud.controller.reconcile(id);
    await cloud.volumes.extend(cloud.member, id, { sizeGib: 2, inUse: false });
    await dieAndRepeat(step, id);
    assert.equal(await cloud.status(id), 'extending');
    await cloud.report();
    await dieAndRepeat(step, id);
    assert.deepEqual([await cloud.status(id), await running(id)], ['available', 0]);
  });

  test(`an image of a volume is there, once, when the controller dies after '${step}'`, async () => {
    const { id } = await cloud.made();
    const { imageId } = await cloud.volumes.upload(cloud.member, id, {
      ...{
        name: 'x',
        diskFormat: 'raw',
        containerFormat: 'bare',
        force: false,
        visibility: 'private',
        protected: false,
      },
    });
    await cloud.report();
    await dieAndRepeat(step, id);
    const { rows } = await sql<{ status: string }>`select status from image where id = ${imageId}`.execute(
      db.database.query,
    );
    assert.deepEqual([rows, await cloud.status(id), await running(id)], [[{ status: 'active' }], 'available', 0]);
  });
}

for (const step of ['looked', 'failed', 'mended'] as const) {
  test(`a failure is told and mended when the controller dies after '${step}'`, async () => {
    const { id } = await cloud.volumes.create(cloud.member, cloud.wish());
    await sql`update volume_layer set observed_state = 'failed', observed_generation = generation, observed_epoch = epoch
      where volume_id = ${id}`.execute(db.database.query);
    await dieAndRepeat(step, id);
    assert.deepEqual([await cloud.status(id), await running(id)], ['error', 0]);
    await cloud.report();
    await dieAndRepeat(step, id);
    assert.equal(await cloud.status(id), 'available');
  });
}

for (const step of ['looked', 'failed'] as const) {
  test(`a volume whose file is lost is told of, once, when the controller dies after '${step}'`, async () => {
    const { id } = await cloud.made();
    await cloud.controller.reconcile(id);
    await sql`update volume_layer set observed_state = 'absent' where volume_id = ${id}`.execute(db.database.query);
    await dieAndRepeat(step, id);
    assert.equal(await cloud.status(id), 'error');
    const { rows } = await sql`select project_id, resource_type, verb, error_message from storage_message
      where resource_id = ${id}`.execute(db.database.query);
    const error_message = 'Its host has the volume’s file no more.';
    assert.deepEqual(rows, [{ project_id: cloud.projectId, resource_type: 'volume', verb: 'keep', error_message }]);
  });
}

for (const step of ['looked', 'expired'] as const) {
  test(`what is late is an error that says what was waited for when the controller dies after '${step}'`, async () => {
    const { id } = await cloud.volumes.create(cloud.member, cloud.wish());
    await sql`update operation set deadline = now() where resource_id = ${id}`.execute(db.database.query);
    await dieAndRepeat(step, id);
    assert.equal(await cloud.status(id), 'error');
    assert.match((await cloud.volumes.get(cloud.member, id)).fault!.message, /waiting for the host to make the volume/);
    await cloud.report();
    await dieAndRepeat(step, id);
    assert.equal(await cloud.status(id), 'available', 'late, but there');
  });
}

for (const step of ['looked', 'removed'] as const) {
  test(`a volume that shall go with its server goes when the controller dies after '${step}'`, async () => {
    const { id } = await cloud.made();
    const { serverId } = await cloud.attach(id);
    await sql`update volume set desired_presence = 'absent' where id = ${id}`.execute(db.database.query);
    await dieAndRepeat(step, id);
    assert.equal(await cloud.status(id), 'deleting');
    await sql`delete from volume_attachment where server_id = ${serverId}`.execute(db.database.query);
    await dieAndRepeat(step, id);
    await assert.rejects(cloud.volumes.get(cloud.member, id), { code: 'not_found' });
    const { rows } =
      await sql`select from volume_layer where volume_id = ${id} and desired_presence = 'present'`.execute(
        db.database.query,
      );
    assert.equal(rows.length, 0);
  });
}

/** Of its layers those that shall be there, the top first. */
const layersOf = async (id: string) => {
  const { rows } = await sql<{ id: string; parent_id: string | null; image_id: string | null }>`
    select l.id, l.parent_id, l.image_id from volume_layer l join volume v on v.id = l.volume_id
    where v.id = ${id} and l.desired_presence = 'present' order by l.id = v.layer_id desc`.execute(db.database.query);
  return rows;
};

for (const step of ['looked', 'task ended'] as const) {
  test(`a volume holds what an image does, and that alone, when the controller dies after '${step}'`, async () => {
    const { id } = await cloud.made();
    await cloud.volumes.reimage(cloud.member, id, { imageId: cloud.imageId, reserved: false });
    await dieAndRepeat(step, id);
    assert.deepEqual([await cloud.status(id), await running(id)], ['downloading', 1]);
    await cloud.report();
    await dieAndRepeat(step, id);
    assert.deepEqual([await cloud.status(id), await running(id)], ['available', 0]);
    const layers = await layersOf(id);
    assert.deepEqual(
      layers.map(({ image_id }) => image_id),
      [cloud.imageId],
    );
  });

  test(`a volume is put back to its snapshot when the controller dies after '${step}'`, async () => {
    const { id } = await cloud.made();
    const asked = { volumeId: id, name: '', description: null, metadata: {}, inUse: false };
    const snapshot = await cloud.snapshots.create(cloud.member, asked);
    await cloud.obey();
    await cloud.volumes.revert(cloud.member, id, snapshot.id);
    await dieAndRepeat(step, id);
    assert.deepEqual([await cloud.status(id), await running(id)], ['reverting', 1]);
    await cloud.report();
    await dieAndRepeat(step, id);
    assert.deepEqual([await cloud.status(id), await running(id)], ['available', 0]);
    const [top, kept, ...others] = await layersOf(id);
    assert.deepEqual([kept?.id, top?.parent_id, others], [snapshot.layer_id, snapshot.layer_id, []]);
  });
}

for (const step of ['looked', 'failed'] as const) {
  test(`a volume that gets no image is in error, and gets it when it is asked again, when the controller dies after '${step}'`, async () => {
    const { id } = await cloud.made();
    const reimage = () => cloud.volumes.reimage(cloud.member, id, { imageId: cloud.imageId, reserved: false });
    await reimage();
    await sql`update volume_layer set observed_state = 'failed', observed_generation = generation, observed_epoch = epoch
      where volume_id = ${id} and desired_presence = 'present'`.execute(db.database.query);
    await dieAndRepeat(step, id);
    assert.deepEqual([await cloud.status(id), await running(id)], ['error', 0]);
    await reimage();
    await cloud.report();
    await dieAndRepeat(step, id);
    assert.deepEqual([await cloud.status(id), await running(id)], ['available', 0]);
    assert.equal((await layersOf(id)).length, 1);
  });
}

for (const step of ['looked', 'launched'] as const) {
  test(`a group made of a group is whole when the controller dies after '${step}' at each of its volumes`, async () => {
    const groupTypes = new GroupTypeService({ database: db.database });
    const groups = new GroupService({ database: db.database, images: cloud.images, groupTypes });
    const wish = { name: '組', description: null };
    const type = await groupTypes.create(cloud.admin, { ...wish, name: step, public: true, specs: {} });
    const group = await groups.create(cloud.member, {
      ...{ ...wish, type: type.id, volumeTypes: ['__DEFAULT__'], zone: null },
    });
    for (let count = 0; count < 2; count++) await cloud.made({ groupId: group.id, type: '__DEFAULT__' });
    const { id } = await groups.createFrom(cloud.member, { groupId: group.id }, wish);
    const { volume_ids } = await groups.get(cloud.member, id);
    assert.equal(volume_ids.length, 2);
    for (const volumeId of volume_ids) await dieAndRepeat(step, volumeId);
    assert.equal((await groups.get(cloud.member, id)).status, 'creating');
    await cloud.report();
    for (const [at, volumeId] of volume_ids.entries()) {
      await dieAndRepeat(step, volumeId);
      assert.equal((await groups.get(cloud.member, id)).status, at === 0 ? 'creating' : 'available');
      assert.equal(await running(volumeId), 0);
    }
  });
}

test('the sweep finds a volume of which no host says a word', async () => {
  const { id } = await cloud.volumes.create(cloud.member, cloud.wish());
  await cloud.controller.sweep();
  const { rows } = await sql`select from graphile_worker.jobs where key = ${`volume:${id}`}`.execute(db.database.query);
  assert.equal(rows.length, 1);
});

/** Kills the controller after each of its steps, starts another, and wants the same end. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { type TestDatabase, testDatabase } from '../../kit/database/testing.ts';
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

test('the sweep finds a volume of which no host says a word', async () => {
  const { id } = await cloud.volumes.create(cloud.member, cloud.wish());
  await cloud.controller.sweep();
  const { rows } = await sql`select from graphile_worker.jobs where key = ${`volume:${id}`}`.execute(db.database.query);
  assert.equal(rows.length, 1);
});

/** Kills the controller after each of its steps, starts another, and wants the same end. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { type TestDatabase, testDatabase } from '../../kit/database/testing.ts';
import { type VolumeCloud, volumeCloud } from '../volume/testing.ts';
import type { BackupStep } from './controller.ts';
import { type BackupCloud, backupCloud } from './testing.ts';

let db: TestDatabase;
let cloud: VolumeCloud;
let own: BackupCloud;
before(async () => {
  db = await testDatabase();
  cloud = await volumeCloud(db.database);
  own = backupCloud(cloud);
});
after(() => db[Symbol.asyncDispose]());

async function dieAndRepeat(step: BackupStep, id: string): Promise<void> {
  await own
    .dyingController(step)
    .reconcile(id)
    .catch((error: Error) => assert.match(error.message, /^died after/));
  await own.controller.reconcile(id);
  await own.controller.reconcile(id);
}

const running = async (id: string) => {
  const { rows } = await sql`select from operation where resource_id = ${id} and state = 'running'`.execute(
    db.database.query,
  );
  return rows.length;
};
const begun = async () => {
  const volume = await cloud.made();
  const { id } = await own.backups.create(cloud.member, own.wish(volume.id));
  return { id, volume };
};
const end = async (id: string, volumeId: string) => [
  (await own.backups.get(cloud.admin, id)).status,
  await cloud.status(volumeId),
  await running(id),
];

for (const step of ['looked', 'made'] as const) {
  test(`a backup is whole, and its volume free, when the controller dies after '${step}'`, async () => {
    const { id, volume } = await begun();
    await dieAndRepeat(step, id);
    assert.deepEqual(await end(id, volume.id), ['creating', 'backing-up', 1]);
    await own.obey();
    await dieAndRepeat(step, id);
    assert.deepEqual(await end(id, volume.id), ['available', 'available', 0]);
  });
}

for (const step of ['looked', 'failed'] as const) {
  test(`a failure is told, and the volume free, when the controller dies after '${step}'`, async () => {
    const { id, volume } = await begun();
    await own.obey({ code: 'x', message: 'no' });
    await dieAndRepeat(step, id);
    assert.deepEqual(await end(id, volume.id), ['error', 'available', 0]);
  });

  test(`what is late is an error when the controller dies after '${step}'`, async () => {
    const { id, volume } = await begun();
    await sql`update operation set deadline = now() where resource_id = ${id}`.execute(db.database.query);
    await dieAndRepeat(step, id);
    assert.deepEqual(await end(id, volume.id), ['error', 'available', 0]);
  });
}

for (const step of ['looked', 'given up', 'bytes removed', 'removed'] as const) {
  test(`what shall not be is gone, file and row, when the controller dies after '${step}'`, async () => {
    const { id, volume } = await begun();
    await own.backups.delete(cloud.admin, id, { force: true });
    await dieAndRepeat(step, id);
    await assert.rejects(own.backups.get(cloud.admin, id), { code: 'not_found' });
    assert.ok(own.removed.includes(`${id}.qcow2`));
    assert.deepEqual([await cloud.status(volume.id), await running(id)], ['available', 0]);
  });
}

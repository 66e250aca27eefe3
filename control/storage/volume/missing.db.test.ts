/** What becomes of volumes whose content is gone, and what memory pools of tier ram take of their host. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { type TestDatabase, testDatabase } from '../../kit/database/testing.ts';
import { MessageService } from '../message/index.ts';
import { testPool } from '../testing.ts';
import { type VolumeCloud, volumeCloud } from './testing.ts';

let db: TestDatabase;
let cloud: VolumeCloud;
before(async () => {
  db = await testDatabase();
  cloud = await volumeCloud(db.database);
});
after(() => db[Symbol.asyncDispose]());

const missing = { code: 'layer_missing', message: 'its file was made on this host and is not there any more' };

test('a volume in memory whose host was restarted is in error, says why, and is well if it comes back after all', async () => {
  await sql`update storage_pool set tier = 'ram' where id = ${cloud.poolId}`.execute(db.database.query);
  const { id } = await cloud.made();
  await cloud.settle();
  assert.equal(await cloud.status(id), 'available');
  const { serverId } = await cloud.attach(id);
  await sql`update volume_layer set observed_state = 'building', observed_error = ${JSON.stringify(missing)}::jsonb`.execute(
    db.database.query,
  );
  await cloud.settle();
  await cloud.settle();
  assert.equal(await cloud.status(id), 'error');
  const { fault } = await cloud.volumes.get(cloud.member, id);
  assert.match(fault!.message, /pool local lies in memory/);
  const messages = await new MessageService({ ...db, keepDays: 1 }).list(cloud.member);
  assert.deepEqual(
    messages.map(({ resource_id, error_message }) => [resource_id, error_message === fault!.message]),
    [[id, true]],
  );
  const { rows } = await sql<{
    key: string;
  }>`select key from graphile_worker.jobs where key like '%' || ${serverId}`.execute(db.database.query);
  assert.equal(rows.length, 1, 'its server is looked at');
  await cloud.obey();
  await cloud.settle();
  assert.equal(await cloud.status(id), 'in-use');
});

/** What its host says of it, and its controller makes of that. */
async function lost(id: string): Promise<void> {
  await sql`update volume_layer set observed_state = 'building', observed_generation = generation, observed_epoch = epoch,
    observed_error = ${JSON.stringify(missing)}::jsonb where id = (select layer_id from volume where id = ${id})`.execute(
    db.database.query,
  );
  await cloud.settle();
}

const layersOf = async (id: string) => {
  const { rows } = await sql<{ id: string }>`select id from volume_layer
    where volume_id = ${id} and desired_presence = 'present'`.execute(db.database.query);
  return rows.length;
};

test('an image of a volume that is lost comes to nothing with it, and holds no layer', async () => {
  for (const inUse of [false, true]) {
    const { id } = await cloud.made();
    if (inUse) await cloud.attach(id);
    const { imageId } = await cloud.volumes.upload(cloud.member, id, {
      ...{ name: 'x', diskFormat: 'qcow2', containerFormat: 'bare', force: inUse },
      ...({ visibility: 'private', protected: false } as const),
    });
    await lost(id);
    assert.equal(await cloud.status(id), 'error');
    const { rows } = await sql<{ desired_presence: string }>`select desired_presence from image
      where id = ${imageId}`.execute(db.database.query);
    assert.deepEqual(rows, [{ desired_presence: 'absent' }], 'nobody waits for it for ever');
    await sql`delete from volume_attachment where volume_id = ${id}`.execute(db.database.query);
    await cloud.volumes.delete(cloud.member, id, { cascade: false, force: false });
    assert.equal(await layersOf(id), 0);
  }
});

test('one that was on its way out of the cloud when it was lost goes, and leaves no layer', async () => {
  const { id } = await cloud.made();
  await cloud.volumes.unmanage(cloud.admin, id);
  await lost(id);
  assert.equal(await cloud.status(id), 'error');
  await cloud.volumes.delete(cloud.member, id, { cascade: false, force: false });
  assert.equal(await layersOf(id), 0);
});

test('what pools of tier ram hold is no memory for guests, whatever becomes of the pool', async () => {
  const taken = async (hostId: string) => {
    const { rows } = await sql<{
      memory_mib: number;
    }>`select memory_mib from host_usage where host_id = ${hostId}`.execute(db.database.query);
    return rows[0]?.memory_mib ?? 0;
  };
  const { host_id: hostId, id } = await testPool(db.database, { tier: 'ram', totalBytes: 3 * 2 ** 30 });
  await testPool(db.database, { hostId, name: 'disk', totalBytes: 2 ** 40 });
  assert.equal(await taken(hostId), 3072);
  const change = (to: ReturnType<typeof sql>) =>
    sql`update storage_pool set ${to} where id = ${id}`.execute(db.database.query);
  await change(sql`total_bytes = ${2 ** 30 + 1}`);
  assert.equal(await taken(hostId), 1025);
  await change(sql`tier = 'flash'`);
  assert.equal(await taken(hostId), 0);
  await change(sql`tier = 'ram'`);
  await sql`delete from storage_pool where id = ${id}`.execute(db.database.query);
  assert.equal(await taken(hostId), 0);
});

/** A volume that nobody has goes to a pool of another host; the controller may die after each step. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { sql } from 'kysely';
import { cloudActor } from '../../kit/database/database.ts';
import { type TestDatabase, testDatabase } from '../../kit/database/testing.ts';
import { freezeLayer } from '../layer/index.ts';
import { testPool } from '../testing.ts';
import type { VolumeStep } from './controller.ts';
import { type VolumeCloud, volumeCloud } from './testing.ts';
import { migrationStatus } from './volume.ts';

let db: TestDatabase;
let cloud: VolumeCloud;
let far: { id: string; host_id: string };
before(async () => {
  db = await testDatabase();
});
after(() => db[Symbol.asyncDispose]());
beforeEach(async () => {
  await sql`update storage_pool set disabled = true`.execute(db.database.query);
  cloud = await volumeCloud(db.database);
  far = await testPool(db.database, { tier: 'flash' });
  await sql`update storage_pool set disabled = true where id = ${far.id}`.execute(db.database.query);
  await sql`insert into volume_type (id, name, extra_specs) values (gen_random_uuid(), 'fast', '{"bothy:tier": "flash"}')
    on conflict do nothing`.execute(db.database.query);
});

const open = () => sql`update storage_pool set disabled = false where id = ${far.id}`.execute(db.database.query);
const get = (id: string) => cloud.volumes.get(cloud.admin, id);
const migrate = async (id: string) => {
  await open();
  await cloud.volumes.migrate(cloud.admin, id, { backend: `host-${far.host_id}@local`, cluster: null });
};
const unfit = (why: string) => (error: { reason: string; fields: { why: string } }) => {
  assert.deepEqual([error.reason, error.fields.why], ['volume_migration_unfit', why]);
  return true;
};

interface Layer {
  id: string;
  host_id: string;
  parent_id: string | null;
  copy_of: string | null;
  read_only: boolean;
}
const layers = async (hostId: string): Promise<Layer[]> =>
  (
    await sql<Layer>`select id, host_id, parent_id, desired_source ->> 'copy_of' as copy_of, read_only from volume_layer
      where host_id = ${hostId} and desired_presence = 'present' order by read_only desc, id`.execute(db.database.query)
  ).rows;
const promised = async (poolId: string): Promise<number> =>
  (
    await sql<{ n: number }>`select coalesce(sum(promised_bytes), 0)::float8 as n from storage_pool_usage
      where pool_id = ${poolId}`.execute(db.database.query)
  ).rows[0]!.n;
const operation = async (id: string) =>
  (
    await sql<{ state: string; error_message: string | null }>`select state, error_message from operation
      where resource_id = ${id} order by created_at desc limit 1`.execute(db.database.query)
  ).rows[0]!;

async function dieAndRepeat(step: VolumeStep, id: string): Promise<void> {
  await cloud
    .dyingController(step)
    .reconcile(id)
    .catch((error: Error) => assert.match(error.message, /^died after/));
  await cloud.controller.reconcile(id);
}

/** On a layer that another volume builds on, too. */
async function clone(): Promise<{ id: string; source: string }> {
  const { id: source } = await cloud.made();
  const { id } = await cloud.made({ sourceVolumeId: source });
  return { id, source };
}

for (const step of ['looked', 'moved', 'task ended'] as const) {
  test(`a volume goes to another host with all that it builds on when the controller dies after '${step}'`, async () => {
    const { id, source } = await clone();
    const [shared] = await layers(cloud.hostId);
    await migrate(id);
    await dieAndRepeat(step, id);
    const under = await get(id);
    assert.deepEqual([await cloud.status(id), migrationStatus(under)], ['maintenance', 'migrating']);
    assert.equal(under.host_id, cloud.hostId, 'it is where it was until all of it is there');
    const [lower, top] = await layers(far.host_id);
    assert.deepEqual([lower!.copy_of, top!.copy_of], [shared!.id, under.layer_id]);
    assert.deepEqual([lower!.parent_id, top!.parent_id], [null, lower!.id]);
    assert.deepEqual([lower!.read_only, top!.read_only], [true, false]);
    assert.equal(await promised(far.id), 2 ** 30);
    await cloud.obey();
    await dieAndRepeat(step, id);
    const there = await get(id);
    assert.deepEqual([await cloud.status(id), migrationStatus(there)], ['available', 'success']);
    assert.deepEqual([there.host_id, there.pool_id, there.layer_id], [far.host_id, far.id, top!.id]);
    assert.equal((await operation(id)).state, 'succeeded');
    const left = await layers(cloud.hostId);
    assert.deepEqual(
      left.map((layer) => layer.id).sort(),
      [shared!.id, (await get(source)).layer_id].sort(),
      'what the other builds on stays',
    );
  });
}

test('what could not be copied stays where it was, may be written to again, and leaves nothing', async () => {
  const { id, layer_id: old } = await cloud.made();
  await migrate(id);
  await sql`update volume_layer set observed_state = 'failed', observed_generation = generation, observed_epoch = epoch,
    observed_error = '{"code": "no_capacity", "message": "the pool is full"}' where host_id = ${far.host_id}`.execute(
    db.database.query,
  );
  await cloud.controller.reconcile(id);
  const { state, error_message } = await operation(id);
  assert.deepEqual([state, /the pool is full/.test(error_message!)], ['failed', true]);
  const after = await get(id);
  assert.deepEqual(
    [await cloud.status(id), after.host_id, migrationStatus(after)],
    ['available', cloud.hostId, 'error'],
  );
  assert.deepEqual(await layers(far.host_id), []);
  const top = (await layers(cloud.hostId)).find((layer) => layer.id === after.layer_id)!;
  assert.deepEqual([top.parent_id, top.read_only], [old, false]);
});

test('one whose chain others are at work in is copied when they are done', async () => {
  const { id, layer_id } = await clone().then(({ id }) => get(id));
  await db.database.transaction(cloudActor, (tx) => freezeLayer(tx, layer_id!));
  await sql`update volume_layer set former_parent_id = parent_id where id = ${layer_id}`.execute(db.database.query);
  await migrate(id);
  assert.deepEqual(await layers(far.host_id), []);
  await sql`update volume_layer set former_parent_id = null where id = ${layer_id}`.execute(db.database.query);
  await cloud.controller.reconcile(id);
  assert.equal((await layers(far.host_id)).length, 2);
});

test('one that is deleted on its way leaves nothing on either host', async () => {
  const { id } = await cloud.made();
  await migrate(id);
  await cloud.volumes.delete(cloud.admin, id, { cascade: false, force: true });
  assert.deepEqual([await layers(far.host_id), await layers(cloud.hostId)], [[], []]);
});

test('what can not leave its host is refused by name', async () => {
  const { id } = await cloud.made();
  await sql`update host set facts = facts - 'layerCopies' where id = ${far.host_id}`.execute(db.database.query);
  await assert.rejects(migrate(id), unfit('host_too_old'));
  await sql`update host set facts = facts || '{"layerCopies": true}' where id = ${far.host_id}`.execute(
    db.database.query,
  );
  await sql`update storage_pool set total_bytes = 1 where id = ${far.id}`.execute(db.database.query);
  await assert.rejects(migrate(id), { reason: 'no_pool' });
  await cloud.controller.reconcile(id);
  await cloud.attach(id);
  await assert.rejects(migrate(id), unfit('with_server'));
  assert.deepEqual(await layers(far.host_id), []);
});

test('a retype goes to another host where no pool of its own is as the type asks', async () => {
  const { id } = await cloud.made();
  await open();
  await cloud.volumes.retype(cloud.member, id, { type: 'fast', policy: 'on-demand' });
  assert.equal(await cloud.status(id), 'retyping');
  await cloud.obey();
  await cloud.controller.reconcile(id);
  const there = await get(id);
  assert.deepEqual([await cloud.status(id), there.type_name, there.host_id], ['available', 'fast', far.host_id]);
});

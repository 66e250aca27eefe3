/** A volume goes to another pool of its host, by retype or by an administrator's word; the controller may die after each step. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { sql } from 'kysely';
import { cloudActor } from '../../kit/database/database.ts';
import { isOneOf } from '../../kit/database/one-of.ts';
import { type TestDatabase, testDatabase } from '../../kit/database/testing.ts';
import { releaseLayers } from '../layer/index.ts';
import { testPool } from '../testing.ts';
import { TypeEncryptionService, VolumeTypeService } from '../volume-type/index.ts';
import type { VolumeStep } from './controller.ts';
import type { VolumeWish } from './create.ts';
import { silentLog, type VolumeCloud, volumeCloud } from './testing.ts';
import { migrationStatus } from './volume.ts';

let db: TestDatabase;
let cloud: VolumeCloud;
let flash: string;
let host: string;
let foreign: string[];
before(async () => {
  db = await testDatabase();
});
after(() => db[Symbol.asyncDispose]());
beforeEach(async () => {
  foreign = (await sql<{ id: string }>`select id from volume_key`.execute(db.database.query)).rows.map(({ id }) => id);
  // Volumes of the one before lie on another host.
  await sql`update storage_pool set disabled = true`.execute(db.database.query);
  cloud = await volumeCloud(db.database);
  host = `host-${cloud.hostId}`;
  flash = (await testPool(db.database, { hostId: cloud.hostId, name: 'flash', tier: 'flash' })).id;
  await sql`insert into volume_type (id, name, extra_specs) values (gen_random_uuid(), 'fast', '{"bothy:tier": "flash"}')
    on conflict do nothing`.execute(db.database.query);
});

const open = (pool: string, takes: boolean) =>
  sql`update storage_pool set disabled = ${!takes} where id = ${pool}`.execute(db.database.query);
/** In the slower pool. */
async function made(over: Partial<VolumeWish> = {}) {
  await open(flash, false);
  const volume = await cloud.made(over);
  await open(flash, true);
  return volume;
}

const get = (id: string) => cloud.volumes.get(cloud.admin, id);
const retype = (id: string, policy: 'never' | 'on-demand' = 'on-demand', type = 'fast') =>
  cloud.volumes.retype(cloud.member, id, { type, policy });
const keyOf = async (id: string) => (await get(id)).key_id;
/** A type whose volumes are encrypted, in a pool of that tier; any will do where none is said. */
const sealedType = (name: string, tier?: string) =>
  sql`with made as (insert into volume_type (id, name, extra_specs)
      values (gen_random_uuid(), ${name}, ${JSON.stringify(tier ? { 'bothy:tier': tier } : {})}::jsonb)
      on conflict do nothing returning id)
    insert into volume_type_encryption (volume_type_id, id, provider, control_location, cipher, key_size)
    select id, gen_random_uuid(), 'luks', 'front-end', 'aes-xts-plain64', 256 from made`.execute(db.database.query);
/** Those that came with this test's volumes. */
const keys = async (): Promise<string[]> =>
  (
    await sql<{ id: string }>`select id from volume_key where not ${isOneOf(sql`id`, foreign)}`.execute(
      db.database.query,
    )
  ).rows.map((row) => row.id);
const migrate = (id: string, backend: string | null, cluster: string | null = null) =>
  cloud.volumes.migrate(cloud.admin, id, { backend, cluster });
const refused =
  (reason: string, fields: object = {}) =>
  (error: { reason: string; fields: object }) => {
    assert.equal(error.reason, reason);
    assert.deepEqual({ ...error.fields, ...fields }, error.fields);
    return true;
  };

interface Layer {
  id: string;
  pool_id: string;
  key_id: string | null;
  image_id: string | null;
  parent_id: string | null;
  former_parent_id: string | null;
}
/** Those that shall be, from the oldest on. */
const layersOf = async (id: string): Promise<Layer[]> =>
  (
    await sql<Layer>`select id, pool_id, key_id, image_id, parent_id, former_parent_id from volume_layer
    where volume_id = ${id} and desired_presence = 'present' order by created_at, parent_id nulls first`.execute(
      db.database.query,
    )
  ).rows;
const promised = async (poolId: string): Promise<number> =>
  (
    await sql<{ n: number }>`select coalesce(sum(promised_bytes), 0)::float8 as n from storage_pool_usage
    where pool_id = ${poolId}`.execute(db.database.query)
  ).rows[0]!.n;
/** The host has said that files build on what they shall (layer/apply-report.ts), and has removed what shall not be. */
async function merged(): Promise<void> {
  await cloud.obey();
  await db.database.transaction(cloudActor, async (tx) => {
    const { rows } = await sql<{ id: string }>`with merged as (select id, former_parent_id from volume_layer
        where former_parent_id is not null)
      update volume_layer l set former_parent_id = null from merged m where m.id = l.id returning m.former_parent_id as id`.execute(
      tx,
    );
    await releaseLayers(
      tx,
      rows.map((row) => row.id),
    );
  });
}
/** Its host gave up, and the merge is put back (layer/apply-report.ts). */
const putBack = (id: string) =>
  sql`update volume_layer set parent_id = former_parent_id, former_parent_id = null, generation = generation + 1,
    observed_error = '{"code": "disk_full", "message": "the pool is full"}' where volume_id = ${id} and former_parent_id is not null`.execute(
    db.database.query,
  );
const operation = async (id: string) =>
  (
    await sql<{
      verb: string;
      state: string;
      error_message: string | null;
    }>`select verb, state, error_message from operation
    where resource_id = ${id} order by created_at desc limit 1`.execute(db.database.query)
  ).rows[0];

async function dieAndRepeat(step: VolumeStep, id: string): Promise<void> {
  await cloud
    .dyingController(step)
    .reconcile(id)
    .catch((error: Error) => assert.match(error.message, /^died after/));
  await cloud.controller.reconcile(id);
  await cloud.controller.reconcile(id);
}

for (const step of ['looked', 'moved', 'task ended'] as const) {
  test(`a volume that nobody has is retyped into another pool when the controller dies after '${step}'`, async () => {
    const { id, layer_id: old } = await made();
    await retype(id);
    await dieAndRepeat(step, id);
    const under = await get(id);
    assert.deepEqual(
      [await cloud.status(id), migrationStatus(under), under.pool_name],
      ['retyping', 'migrating', 'local'],
    );
    await cloud.obey();
    await dieAndRepeat(step, id);
    const [top] = (await layersOf(id)).filter((layer) => layer.id !== old);
    assert.deepEqual([top!.pool_id, top!.parent_id, top!.former_parent_id], [flash, null, old]);
    assert.equal(await cloud.status(id), 'retyping', 'its content is not there yet');
    await merged();
    await dieAndRepeat(step, id);
    const there = await get(id);
    assert.deepEqual([await cloud.status(id), migrationStatus(there)], ['available', 'success']);
    assert.deepEqual([there.pool_name, there.type_name], ['flash', 'fast']);
    assert.deepEqual([await promised(cloud.poolId), await promised(flash)], [0, 2 ** 30]);
    assert.equal((await operation(id))!.state, 'succeeded');
  });
}

test('what a guest writes to moves when it writes to the new top, and not before', async () => {
  const { id } = await made({ imageId: cloud.imageId });
  await cloud.controller.reconcile(id);
  const { serverId } = await cloud.attach(id);
  await retype(id);
  await cloud.obey();
  await cloud.controller.reconcile(id);
  const [, before] = await layersOf(id);
  assert.equal(before!.former_parent_id, null, 'its guest has the old top open');
  await cloud.switchOver(serverId);
  await cloud.controller.reconcile(id);
  const { rows } = await sql<{ image_id: string | null; parent_id: string | null }>`select image_id, parent_id
    from volume_layer where id = ${before!.id}`.execute(db.database.query);
  assert.deepEqual(rows, [{ image_id: cloud.imageId, parent_id: null }], 'the image is in the host’s store already');
  await merged();
  await cloud.controller.reconcile(id);
  assert.deepEqual([await cloud.status(id), (await get(id)).pool_name], ['in-use', 'flash']);
});

for (const step of ['looked', 'moved', 'task ended'] as const) {
  test(`what could not move comes back with all that was written when the controller dies after '${step}'`, async () => {
    const { id, layer_id: old } = await made();
    const { serverId } = await cloud.attach(id);
    await retype(id);
    await cloud.obey();
    await cloud.switchOver(serverId);
    await cloud.controller.reconcile(id);
    await putBack(id);
    await dieAndRepeat(step, id);
    const { state, error_message } = (await operation(id))!;
    assert.deepEqual([state, /the pool is full/.test(error_message!)], ['failed', true]);
    assert.equal((await layersOf(id)).length, 3, 'what was written meanwhile is kept');
    await cloud.obey();
    await cloud.switchOver(serverId);
    await dieAndRepeat(step, id);
    await merged();
    await dieAndRepeat(step, id);
    const { layer_id, pool_name, type_name, ...after } = await get(id);
    const top = (await layersOf(id)).find((layer) => layer.id === layer_id)!;
    assert.deepEqual([top.pool_id, top.parent_id, pool_name, type_name], [cloud.poolId, old, 'local', '__DEFAULT__']);
    assert.deepEqual([await cloud.status(id), after.move_outcome], ['in-use', 'error']);
  });
}

for (const step of ['looked', 'moved', 'task ended'] as const) {
  test(`a volume becomes encrypted in its pool, and clear again, when the controller dies after '${step}'`, async () => {
    await sealedType('sealed');
    const { id, layer_id: old, type_name } = await made({ imageId: cloud.imageId });
    await cloud.controller.reconcile(id);
    await assert.rejects(retype(id, 'never', 'sealed'), refused('volume_type_unfit', { why: 'other_encryption' }));
    await retype(id, 'on-demand', 'sealed');
    assert.equal(await keyOf(id), null, 'its content is in the clear still');
    assert.equal((await keys()).length, 1);
    await cloud.obey();
    await dieAndRepeat(step, id);
    const [top] = (await layersOf(id)).filter((layer) => layer.id !== old);
    assert.deepEqual(
      [top!.pool_id, top!.parent_id, top!.image_id, top!.former_parent_id, [top!.key_id]],
      [cloud.poolId, null, null, old, await keys()],
      'no image in the clear is below it',
    );
    await merged();
    await dieAndRepeat(step, id);
    const there = await get(id);
    assert.deepEqual([there.key_id, there.type_name, await cloud.status(id)], [top!.key_id, 'sealed', 'available']);

    await retype(id, 'on-demand', type_name);
    assert.equal(await keyOf(id), top!.key_id, 'it is encrypted still');
    await cloud.obey();
    await dieAndRepeat(step, id);
    await merged();
    await dieAndRepeat(step, id);
    await cloud.obey();
    const clear = await get(id);
    assert.deepEqual([clear.key_id, clear.type_name, await cloud.status(id)], [null, type_name, 'available']);
    assert.deepEqual(await keys(), [], 'its key is gone with the last layer that had it');
    const [layer] = await layersOf(id);
    assert.deepEqual([layer!.key_id, layer!.image_id, layer!.parent_id], [null, null, null]);
  });

  test(`what could not become encrypted is in the clear again when the controller dies after '${step}'`, async () => {
    await sealedType('sealed and fast', 'flash');
    const { id, layer_id: old } = await made();
    const { serverId } = await cloud.attach(id);
    await retype(id, 'on-demand', 'sealed and fast');
    await cloud.obey();
    await cloud.switchOver(serverId);
    await cloud.controller.reconcile(id);
    await putBack(id);
    await dieAndRepeat(step, id);
    await cloud.obey();
    await cloud.switchOver(serverId);
    await dieAndRepeat(step, id);
    await merged();
    await dieAndRepeat(step, id);
    await cloud.obey();
    const { layer_id, key_id, pool_name } = await get(id);
    const top = (await layersOf(id)).find((layer) => layer.id === layer_id)!;
    assert.deepEqual([top.key_id, top.parent_id, key_id, pool_name], [null, old, null, 'local']);
    assert.deepEqual(await keys(), []);
  });
}

test('the type that a volume is on its way to stays as it is', async () => {
  await sealedType('sealed');
  const { id } = await made();
  await retype(id, 'on-demand', 'sealed');
  const deps = { database: db.database, log: silentLog };
  const { rows } = await sql<{ id: string }>`select id from volume_type where name = 'sealed'`.execute(
    db.database.query,
  );
  await assert.rejects(new TypeEncryptionService(deps).delete(cloud.admin, rows[0]!.id), { code: 'conflict' });
  await assert.rejects(new VolumeTypeService(deps).delete(cloud.admin, rows[0]!.id), { code: 'conflict' });
});

test('an encrypted volume goes to another pool with its key', async () => {
  await sealedType('sealed');
  const { id, key_id } = await made({ type: 'sealed' });
  await migrate(id, `${host}@flash`);
  await cloud.obey();
  await cloud.controller.reconcile(id);
  await merged();
  await cloud.controller.reconcile(id);
  await cloud.obey();
  const [layer] = await layersOf(id);
  assert.deepEqual([layer!.key_id, layer!.pool_id, await keys()], [key_id, flash, [key_id]]);
  await cloud.volumes.delete(cloud.member, id, { cascade: false, force: false });
  await cloud.obey();
});

test('where the other pool can’t even begin, the volume is at once where it was', async () => {
  const { id, layer_id: old } = await made();
  await retype(id);
  await sql`update volume_layer set observed_state = 'failed', observed_generation = generation, observed_epoch = epoch,
    observed_error = '{"code": "pool_gone", "message": "the pool is gone"}' where pool_id = ${flash}`.execute(
    db.database.query,
  );
  await cloud.controller.reconcile(id);
  assert.deepEqual(
    (await layersOf(id)).map((layer) => [layer.pool_id, layer.parent_id]),
    [
      [cloud.poolId, null],
      [cloud.poolId, old],
    ],
  );
  assert.match((await operation(id))!.error_message!, /the pool is gone/);
  await cloud.obey();
  assert.deepEqual([await cloud.status(id), migrationStatus(await get(id))], ['available', 'error']);
  assert.equal(await promised(flash), 0);
});

test('an administrator names the pool, as Cinder does, and the type stays', async () => {
  const { id, type_name } = await made();
  await migrate(id, `${host}@flash#flash`);
  assert.equal(await cloud.status(id), 'maintenance');
  await cloud.obey();
  await cloud.controller.reconcile(id);
  await merged();
  await cloud.controller.reconcile(id);
  const there = await get(id);
  assert.deepEqual([await cloud.status(id), there.pool_name, there.type_name], ['available', 'flash', type_name]);
  const list = (status: string) =>
    cloud.volumes.list(cloud.member, { filter: { migrationStatus: status }, limit: 9 }, { allProjects: false });
  assert.deepEqual([(await list('success')).length, (await list('migrating')).length], [1, 0]);
});

test('what holds a volume in its pool, and where it can’t go, is said', async () => {
  const { id } = await made();
  const other = await testPool(db.database);
  const unfit = (why: string) => refused('volume_migration_unfit', { why });
  await assert.rejects(migrate(id, 'nowhere@flash'), unfit('unknown'));
  await assert.rejects(migrate(id, null), unfit('unknown'));
  await assert.rejects(migrate(id, `${host}@local#local`), unfit('same'));
  await sql`update host set facts = facts - 'layerCopies' where id = ${other.host_id}`.execute(db.database.query);
  await assert.rejects(migrate(id, `host-${other.host_id}@local`), unfit('host_too_old'));
  await assert.rejects(migrate(id, null, 'a cluster'), unfit('cluster'));
  await assert.rejects(cloud.volumes.migrate(cloud.member, id, { backend: `${host}@flash`, cluster: null }), {
    code: 'forbidden',
  });
  await assert.rejects(retype(id, 'never'), refused('volume_type_unfit', { why: 'other_pool' }));
  await sql`update storage_pool set problem = 'pool_gone' where id = ${flash}`.execute(db.database.query);
  await assert.rejects(retype(id), refused('no_pool'));
  await sql`update storage_pool set problem = null where id = ${flash}`.execute(db.database.query);
  await cloud.snapshots.create(cloud.member, {
    ...{ volumeId: id, name: '', description: null, metadata: {}, inUse: false },
  });
  await cloud.obey();
  await cloud.settle();
  await assert.rejects(retype(id), unfit('snapshots'));
  await assert.rejects(migrate(id, `${host}@flash`), unfit('snapshots'));
  assert.equal(await cloud.status(id), 'available');
});

test('on its way a volume counts for both types, and nothing else is done to it', async () => {
  const { id } = await made();
  const second = await made();
  await sql`insert into quota (id, project_id, resource, maximum) values (gen_random_uuid(), ${cloud.projectId}, 'volumes_fast', 1)`.execute(
    db.database.query,
  );
  await retype(id);
  await assert.rejects(retype(second.id), { code: 'quota_exceeded' });
  await assert.rejects(retype(id), refused('volume_status_unfit'));
  await assert.rejects(migrate(id, `${host}@flash`), refused('volume_status_unfit'));
  await assert.rejects(
    cloud.volumes.delete(cloud.member, id, { cascade: false, force: false }),
    refused('volume_status_unfit'),
  );
  await cloud.volumes.delete(cloud.admin, id, { cascade: false, force: true });
  await cloud.obey();
  await retype(second.id);
});

/** Second copies that each write of a guest waits for: when one is in sync, and that it is so no more before anybody may write without it. */
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { sql } from 'kysely';
import { hasReason } from '../../../contract/errors.ts';
import { type HostId, newId } from '../../../contract/ids.ts';
import { cloudActor } from '../../kit/database/database.ts';
import { type TestDatabase, testDatabase } from '../../kit/database/testing.ts';
import { desiredVolumesOf, volumeDocument } from '../attachment/index.ts';
import { desiredLayers } from '../layer/desired.ts';
import { testPool } from '../testing.ts';
import { silentLog, type VolumeCloud, volumeCloud } from '../volume/testing.ts';
import { lateReplicas, promoteReplica, ReplicaController, ReplicaService, type ReplicaStep } from './index.ts';

let db: TestDatabase;
let cloud: VolumeCloud;
let far: { id: string; host_id: HostId };
let controller: ReplicaController;
let replicas: ReplicaService;
const query = () => db.database.query;
before(async () => {
  db = await testDatabase();
  cloud = await volumeCloud(db.database);
  far = await testPool(db.database, { name: 'far' });
  await sql`update host set facts = facts || '{"secondCopies": true}'`.execute(query());
  // Volumes lie there, however many.
  await sql`update storage_pool set total_bytes = ${2 ** 50}, free_bytes = ${2 ** 50} where id = ${cloud.poolId}`.execute(
    query(),
  );
  controller = new ReplicaController({ database: db.database, log: silentLog });
  replicas = new ReplicaService(db);
  const specs = { replication_enabled: '<is> True', replication_type: '<in> sync' };
  await sql`insert into volume_type (id, name, public, extra_specs) values (${newId()}, 'synchronous', true, ${JSON.stringify(specs)}::jsonb)`.execute(
    query(),
  );
});
after(() => db[Symbol.asyncDispose]());
afterEach(async () => {
  await sql`update host set connected = true`.execute(query());
  await sql`delete from volume_attachment`.execute(query());
  const { rows } = await sql<{ id: string }>`select id from volume`.execute(query());
  for (const { id } of rows) await cloud.volumes.delete(cloud.admin, id, { cascade: true, force: true });
  const left = await sql`select from volume_layer where desired_presence = 'present'`.execute(query());
  assert.equal(left.rows.length, 0, 'nothing is kept of volumes that are gone');
  for (const table of ['volume_layer', 'server']) await sql`delete from ${sql.table(table)}`.execute(query());
});

const rowOf = async (id: string) =>
  (await query().selectFrom('volume_replica').selectAll().where('volume_id', '=', id).executeTakeFirst())!;
const shown = async (id: string) => (await replicas.get(cloud.admin, id))!;
const tend = (id: string) => controller.reconcile(id);
/** All hosts have done what they were told; that of a copy takes writes at a port. */
async function obeyed(): Promise<void> {
  await cloud.report();
  await sql`update volume_layer set desired_source = null where desired_source ? 'copy_of'`.execute(query());
  await sql`update volume_layer set observed_written = false where not read_only and observed_written is null`.execute(
    query(),
  );
  await sql`update volume_layer l set observed_receiver = case when not l.read_only and l.desired_presence = 'present' then '{"address": "::1", "port": 49152}'::jsonb end
    where exists (select from volume_replica r where r.copy_layer_id = l.id)`.execute(query());
}
const written = (id: string) =>
  sql`update volume_layer set observed_written = true, written_at = now() where id = (select layer_id from volume where id = ${id})`.execute(
    query(),
  );
/** What the volume's host says of a copy. */
const says = (copyId: string | null, state: 'copying' | 'ready' | 'lost', error: object | null = null) =>
  sql`update volume_attachment set observed_copy_id = ${copyId}, observed_copy = ${JSON.stringify({ state, error })}::jsonb
    where volume_id in (select volume_id from volume_replica where copy_layer_id = ${copyId})`.execute(query());
/** The copy that the host is told of. */
async function documentOf(serverId: string) {
  const { rows } = await sql<{
    volumes: Parameters<typeof volumeDocument>[0][] | null;
  }>`select ${desiredVolumesOf(sql`${serverId}::uuid`)} as volumes`.execute(query());
  return (rows[0]!.volumes ?? []).map(volumeDocument)[0]?.copy;
}

/** A volume whose guest runs, and whose replica is whole. */
async function running(): Promise<{ id: string; serverId: string }> {
  const { id } = await cloud.made({ type: 'synchronous' });
  await cloud.controller.reconcile(id);
  await tend(id);
  await obeyed();
  await tend(id);
  assert.equal((await rowOf(id)).rounds, 1);
  const { serverId } = await cloud.attach(id);
  await sql`update server set observed_on_lease_end = 'pause' where id = ${serverId}`.execute(query());
  await cloud.reportSwitch(serverId);
  return { id, serverId };
}
async function copying(): Promise<{ id: string; serverId: string; copyId: string }> {
  const { id, serverId } = await running();
  await tend(id);
  await obeyed();
  await tend(id);
  await cloud.reportSwitch(serverId);
  const { copy_layer_id, copy_state } = await rowOf(id);
  assert.equal(copy_state, 'copying');
  return { id, serverId, copyId: copy_layer_id! };
}
async function inSync(): Promise<{ id: string; serverId: string; copyId: string }> {
  const all = await copying();
  await says(all.copyId, 'ready');
  await tend(all.id);
  await cloud.reportSwitch(all.serverId);
  await written(all.id);
  assert.equal((await rowOf(all.id)).copy_state, 'in_sync');
  return all;
}
const promoted = (id: string) => db.database.transaction(cloudActor, (tx) => promoteReplica(tx, id, cloudActor));

test('a guest that runs has a second copy, which is in sync when its host says that it has all of it, and not before', async () => {
  const { id, serverId } = await running();
  await tend(id);
  const begun = await rowOf(id);
  assert.equal(begun.copy_state, 'preparing');
  assert.equal(await documentOf(serverId), undefined, 'nobody takes writes yet');
  const [layer] = await desiredLayers(query(), { layerIds: [begun.copy_layer_id as never] });
  assert.deepEqual([layer?.hostId, layer?.layer.parentId], [far.host_id, begun.layer_id]);
  assert.match(layer!.layer.receives!.key, /^[0-9a-f]{64}$/);
  await obeyed();
  await tend(id);
  const copy = await documentOf(serverId);
  assert.deepEqual(
    { ...copy, key: '' },
    { id: begun.copy_layer_id, address: '::1', port: 49152, key: '', inSync: false },
  );
  assert.equal(copy!.key, layer!.layer.receives!.key);
  await written(id);
  await says(begun.copy_layer_id, 'copying');
  await tend(id);
  assert.deepEqual([(await shown(id)).in_sync, (await shown(id)).status], [false, 'enabling']);
  await says(begun.copy_layer_id, 'ready');
  await tend(id);
  const after = await shown(id);
  assert.deepEqual([after.in_sync, after.status, after.age_seconds], [true, 'enabled', 0]);
  assert.equal((await documentOf(serverId))!.inSync, true);
  assert.equal((await rowOf(id)).next_at, null, 'a copy that is in sync has no rounds');
});

test('what is promoted in sync is what the guest wrote to', async () => {
  const { id, copyId } = await inSync();
  await sql`update host set connected = false where id = ${cloud.hostId}`.execute(query());
  const promotion = await promoted(id);
  assert.equal(promotion.age_seconds, 0);
  const { layer_id: top, host_id } = await cloud.volumes.get(cloud.admin, id);
  assert.equal(host_id, far.host_id);
  const { rows } = await sql<{ parent_id: string; frozen: boolean }>`select t.parent_id, c.read_only as frozen
    from volume_layer t join volume_layer c on c.id = t.parent_id where t.id = ${top}`.execute(query());
  assert.deepEqual(rows, [{ parent_id: copyId, frozen: true }]);
  const row = await rowOf(id);
  assert.deepEqual([row.copy_state, row.copy_layer_id], [null, null]);
});

test('a guest that runs on without a lease is not said to have all there: its host may not have been heard', async () => {
  const { id, serverId } = await inSync();
  await sql`update server set observed_on_lease_end = null where id = ${serverId}`.execute(query());
  await sql`update host set connected = false, last_seen_at = now() - interval '60 seconds', lease_ends_at = now() - interval '42 seconds' where id = ${cloud.hostId}`.execute(
    query(),
  );
  const { age_seconds: age } = await shown(id);
  assert.ok(age! >= 59, String(age));
});

test('what its host can not vouch for is given up before the host hears that it may go on, and told', async () => {
  const { id, serverId, copyId } = await inSync();
  await says(copyId, 'lost', { code: 'copy_stalled', message: 'what was written has not got there for 8 s' });
  assert.equal((await documentOf(serverId))?.id, copyId, 'until control has written it down it is named');
  await tend(id);
  assert.equal(await documentOf(serverId), undefined);
  const after = await shown(id);
  assert.deepEqual([after.in_sync, after.status], [false, 'error']);
  assert.match(after.fault!.message, /second copy .* given up: what was written has not got there for 8 s/);
  assert.equal((await lateReplicas(db.database)).out_of_sync, 1);
  const { rows } =
    await sql`select from operation where resource_id = ${id} and error_message like '%second copy%'`.execute(query());
  assert.equal(rows.length, 1, 'its owner has a message');
  // What it had when it ended is newer than what any round has brought.
  await written(id);
  const { as_of } = await rowOf(id);
  const before = await shown(id);
  assert.ok(before.as_of! > as_of! && before.as_of! < new Date());
  await says(copyId, 'ready');
  await tend(id);
  assert.equal((await shown(id)).in_sync, false, 'one that was given up is never taken up again');
});

test('a copy whose disk answered with an error is kept for nobody', async () => {
  const { id, copyId } = await inSync();
  await says(copyId, 'lost', { code: 'copy_failed', message: 'QEMU could not write to it: No space left on device' });
  await tend(id);
  assert.equal((await rowOf(id)).copy_layer_id, null);
  const { rows } = await sql`select from volume_layer where id = ${copyId} and desired_presence = 'present'`.execute(
    query(),
  );
  assert.equal(rows.length, 0);
});

const failed = { code: 'copy_failed', message: 'QEMU could not write to it: No space left on device' };

test('one whose host has said that a write is not in it is kept for nobody, also where something else ends it first', async () => {
  const { id, copyId } = await inSync();
  await says(copyId, 'lost', failed);
  await cloud.snapshots.create(cloud.member, { volumeId: id, name: 's', description: null, metadata: {}, inUse: true });
  assert.deepEqual([(await rowOf(id)).copy_state, (await rowOf(id)).copy_as_of], ['ended', null]);
  await tend(id);
  assert.equal((await rowOf(id)).copy_layer_id, null);
});

test('nor is such a one promoted, before anybody has looked at it', async () => {
  const { id, copyId } = await inSync();
  await sql`update volume_replica set as_of = now() - interval '100 seconds' where volume_id = ${id}`.execute(query());
  await says(copyId, 'lost', failed);
  assert.equal((await shown(id)).in_sync, false);
  await sql`update host set connected = false where id = ${cloud.hostId}`.execute(query());
  const { age_seconds: age } = await promoted(id);
  assert.ok(age >= 99, String(age));
  const { rows } =
    await sql`select from volume v join volume_layer l on l.id = v.layer_id where v.id = ${id} and l.parent_id = ${copyId}`.execute(
      query(),
    );
  assert.equal(rows.length, 0);
});

test('what stands still for longer than QEMU waits for it is in it no more', async () => {
  const { id, copyId } = await inSync();
  await says(copyId, 'lost', { code: 'copy_stalled', message: 'x' });
  await sql`update volume_attachment set updated_at = now() - interval '41 seconds' where volume_id = ${id}`.execute(
    query(),
  );
  assert.equal((await shown(id)).in_sync, false);
  await tend(id);
  assert.equal((await rowOf(id)).copy_layer_id, null);
});

test('after one was lost a round comes first, and then another copy, which clears the fault when it is in sync', async () => {
  const { id, serverId, copyId } = await inSync();
  await says(copyId, 'lost', { code: 'copy_stalled', message: 'x' });
  await tend(id);
  await sql`update volume_replica set copy_failures = 0, next_at = now()`.execute(query());
  await cloud.reportSwitch(serverId);
  await tend(id);
  assert.ok((await rowOf(id)).round_began_at, 'a round');
  await cloud.reportSwitch(serverId);
  await tend(id);
  await obeyed();
  await tend(id);
  const again = await rowOf(id);
  assert.deepEqual([again.rounds, again.copy_state], [2, 'preparing']);
  assert.notEqual(again.copy_layer_id, copyId);
  await obeyed();
  await tend(id);
  await cloud.reportSwitch(serverId);
  await says(again.copy_layer_id, 'ready');
  await tend(id);
  assert.deepEqual([(await shown(id)).status, (await shown(id)).fault], ['enabled', null]);
});

for (const [what, act] of [
  [
    'a snapshot',
    (id) =>
      cloud.snapshots.create(cloud.member, { volumeId: id, name: 's', description: null, metadata: {}, inUse: true }),
  ],
  ['a new size', (id) => cloud.volumes.extend(cloud.member, id, { sizeGib: 2, inUse: true })],
  [
    'a detach',
    (id) => sql`update volume_attachment set desired_presence = 'absent' where volume_id = ${id}`.execute(query()),
  ],
  [
    'anything that holds the volume',
    (id) =>
      sql`update volume set desired_task = '{"kind": "transfer", "transfer_id": "x"}' where id = ${id}`.execute(
        query(),
      ),
  ],
] as [string, (id: string) => Promise<unknown>][])
  test(`${what} ends it in the same transaction, and what it had is kept until a round has more`, async () => {
    const { id, serverId, copyId } = await inSync();
    await act(id);
    assert.deepEqual([(await rowOf(id)).copy_state, await documentOf(serverId)], ['ended', undefined]);
    assert.equal((await shown(id)).in_sync, false);
    await written(id);
    const { age_seconds: age } = await shown(id);
    assert.ok(age! < 5, 'what it had is there');
    await tend(id);
    const row = await rowOf(id);
    assert.deepEqual([row.copy_state, row.copy_layer_id], ['kept', copyId]);
    assert.notEqual(row.fault?.code, 'out_of_sync', 'nothing has gone wrong');
    await sql`update volume set desired_task = null where id = ${id}`.execute(query());
    assert.equal((await promoted(id)).age_seconds < 10, true);
    const { rows } =
      await sql`select from volume v join volume_layer l on l.id = v.layer_id where v.id = ${id} and l.parent_id = ${copyId}`.execute(
        query(),
      );
    assert.equal(rows.length, 1);
  });

test('a copy whose daemon is another one, or whose host has it no more, is given up', async () => {
  for (const change of [
    sql`update volume_layer set observed_receiver = '{"address": "::1", "port": 49153}' where id in (select copy_layer_id from volume_replica)`,
    sql`update volume_layer set observed_state = 'absent' where id in (select copy_layer_id from volume_replica)`,
  ]) {
    const { id } = await inSync();
    await change.execute(query());
    await tend(id);
    assert.equal((await shown(id)).in_sync, false);
  }
});

test('a volume that no guest has is in sync when a round has brought what there is, which waits for nothing', async () => {
  const { id } = await cloud.made({ type: 'synchronous' });
  await cloud.controller.reconcile(id);
  await tend(id);
  await obeyed();
  await tend(id);
  assert.deepEqual([(await shown(id)).in_sync, (await shown(id)).status], [true, 'enabled']);
  await written(id);
  await tend(id);
  assert.ok((await rowOf(id)).round_began_at);
});

test('a guest that is off leaves its copy in sync, without anybody writing to it', async () => {
  const { id, serverId } = await inSync();
  await sql`update volume_attachment set observed_state = null, observed_layer_id = null, observed_copy_id = null, observed_copy = null where volume_id = ${id}`.execute(
    query(),
  );
  await sql`update server set observed_state = 'stopped' where id = ${serverId}`.execute(query());
  await tend(id);
  assert.equal((await shown(id)).in_sync, true);
  assert.equal((await documentOf(serverId))!.inSync, true, 'who starts it has to ask first');
});

test('a copy that is being made for a guest that is off is nobody’s any more, and no fault', async () => {
  const { id, copyId } = await copying();
  await sql`update volume_attachment set observed_state = null, observed_layer_id = null where volume_id = ${id}`.execute(
    query(),
  );
  await tend(id);
  const row = await rowOf(id);
  assert.deepEqual([row.copy_layer_id === copyId, row.fault, row.copy_failures], [false, null, 0]);
});

test('with a host of an older release there is none, and that is told', async () => {
  const { id, serverId } = await running();
  await sql`update host set facts = facts - 'secondCopies' where id = ${far.host_id}`.execute(query());
  await tend(id);
  const { status, fault } = await shown(id);
  assert.deepEqual([status, (await rowOf(id)).copy_state], ['error', null]);
  assert.match(fault!.message, /release that knows of no second copies/);
  await sql`update host set facts = facts || '{"secondCopies": true}'`.execute(query());
  await tend(id);
  await obeyed();
  await tend(id);
  await cloud.reportSwitch(serverId);
  await says((await rowOf(id)).copy_layer_id, 'ready');
  await tend(id);
  assert.deepEqual([(await shown(id)).status, (await shown(id)).fault], ['enabled', null]);
});

test('the controller may die after each step', async () => {
  const { id, serverId } = await running();
  const steps: ReplicaStep[] = [];
  const dying = new ReplicaController({
    ...{ database: db.database, log: silentLog },
    afterStep: (step) => {
      steps.push(step);
      throw new Error('dead');
    },
  });
  for (let n = 0; n < 40 && (await rowOf(id)).copy_state !== 'in_sync'; n++) {
    await dying.reconcile(id).catch((error) => assert.equal(error.message, 'dead'));
    await obeyed();
    await cloud.reportSwitch(serverId);
    const { copy_layer_id: copyId, copy_state: state } = await rowOf(id);
    if (state === 'copying') await says(copyId, 'ready');
  }
  assert.deepEqual(steps, ['copy begun', 'copy connected', 'in sync']);
});

test('a type can not ask for a second copy and a cache, nor for a way of replication that there is not', async () => {
  const { requireOwnWords } = await import('../volume-type/own-words.ts');
  for (const specs of [
    { replication_type: '<in> sync', 'bothy:cache_pool': 'fast', 'bothy:cache_gib': '1' },
    { replication_type: 'synchronous' },
    { replication_type: '<in> metro' },
  ])
    assert.throws(
      () => requireOwnWords(specs as Record<string, string>),
      (error) => hasReason(error, 'volume_type_word_unfit'),
    );
  requireOwnWords({ replication_type: '<in> async' });
  requireOwnWords({ replication_type: '<in> sync' });
});

/** Replicas of volumes: rounds, ages, failovers; the controller dies after every step. */
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { sql } from 'kysely';
import pino from 'pino';
import { hasReason } from '../../../contract/errors.ts';
import { type HostId, newId } from '../../../contract/ids.ts';
import { cloudActor } from '../../kit/database/database.ts';
import { type TestDatabase, testDatabase } from '../../kit/database/testing.ts';
import { desiredLayers } from '../layer/desired.ts';
import { testPool } from '../testing.ts';
import { silentLog, type VolumeCloud, volumeCloud } from '../volume/testing.ts';
import { lateReplicas, promoteReplica, ReplicaController, ReplicaService, type ReplicaStep } from './index.ts';

let db: TestDatabase;
let cloud: VolumeCloud;
let far: { id: string; host_id: HostId };
let controller: ReplicaController;
let replicas: ReplicaService;
before(async () => {
  db = await testDatabase();
  cloud = await volumeCloud(db.database);
  far = await testPool(db.database, { name: 'far' });
  controller = new ReplicaController({ database: db.database, log: silentLog });
  replicas = new ReplicaService(db);
  const specs = { replication_enabled: '<is> True', 'bothy:replication_rpo_seconds': '100' };
  await sql`insert into volume_type (id, name, public, extra_specs) values (${newId()}, 'replicated', true, ${JSON.stringify(specs)}::jsonb)`.execute(
    db.database.query,
  );
});
after(() => db[Symbol.asyncDispose]());
afterEach(async () => {
  await sql`update host set connected = true`.execute(db.database.query);
  await sql`delete from volume_attachment`.execute(db.database.query);
  const { rows } = await sql<{ id: string }>`select id from volume`.execute(db.database.query);
  for (const { id } of rows) await cloud.volumes.delete(cloud.admin, id, { cascade: true, force: true });
  const left = await sql`select from volume_layer where desired_presence = 'present'`.execute(db.database.query);
  assert.equal(left.rows.length, 0, 'nothing is kept of volumes that are gone');
  await sql`delete from volume_layer`.execute(db.database.query);
  await sql`delete from server`.execute(db.database.query);
});

/** All hosts have done what they were told, and say of new tops that nothing was written to them. */
async function obeyed(): Promise<void> {
  await cloud.report();
  await sql`update volume_layer set desired_source = null where desired_source ? 'copy_of'`.execute(db.database.query);
  await sql`update volume_layer set observed_written = false where not read_only and observed_written is null`.execute(
    db.database.query,
  );
}
const written = (id: string) =>
  sql`update volume_layer set observed_written = true, written_at = now() where id = (select layer_id from volume where id = ${id})`.execute(
    db.database.query,
  );
/** All that was, was so much earlier. */
async function pass(seconds: number): Promise<void> {
  const by = sql`${seconds} * interval '1 second'`;
  await sql`update volume_replica set as_of = as_of - ${by}, round_began_at = round_began_at - ${by}, created_at = created_at - ${by},
    next_at = next_at - ${by}, failed_over_at = failed_over_at - ${by}`.execute(db.database.query);
  await sql`update volume_layer set written_at = written_at - ${by}`.execute(db.database.query);
}
const rowOf = async (id: string) =>
  (await db.database.query.selectFrom('volume_replica').selectAll().where('volume_id', '=', id).executeTakeFirst())!;
/** The layers of each host from the top down, as the number of those that shall be. */
async function layersOn(hostId: string): Promise<number> {
  const { rows } = await sql<{ n: number }>`select count(*)::integer as n from volume_layer
    where host_id = ${hostId} and desired_presence = 'present'`.execute(db.database.query);
  return rows[0]!.n;
}
/** A volume with a whole replica. */
async function replicated(): Promise<string> {
  const { id } = await cloud.made({ type: 'replicated' });
  await cloud.controller.reconcile(id);
  await round(id);
  return id;
}
async function round(id: string, tend: (id: string) => Promise<void> = (each) => controller.reconcile(each)) {
  await tend(id);
  await obeyed();
  await tend(id);
}
const shown = async (id: string) => (await replicas.get(cloud.admin, id))!;
const service = () => replicas;

test('both places of a replicated volume are chosen when it is made, on two hosts, and room is promised in both', async () => {
  const { id } = await cloud.made({ type: 'replicated' });
  const volume = await cloud.volumes.get(cloud.admin, id);
  const { pool_id } = await rowOf(id);
  assert.deepEqual(new Set([volume.pool_id, pool_id]), new Set([cloud.poolId, far.id]));
  const { rows } = await sql<{ promised_bytes: number }>`select promised_bytes::float8 from storage_pool_usage
    where pool_id in (${cloud.poolId}, ${far.id})`.execute(db.database.query);
  assert.deepEqual(
    rows.map(({ promised_bytes }) => promised_bytes),
    [2 ** 30, 2 ** 30],
  );
  assert.equal((await shown(id)).status, 'enabling');
});

test('where no other host has room for the replica the volume says so, and takes nothing', async () => {
  await sql`update storage_pool set disabled = true where id = ${far.id}`.execute(db.database.query);
  const { fault } = await cloud.volumes.create(cloud.member, cloud.wish({ type: 'replicated' }));
  await sql`update storage_pool set disabled = false where id = ${far.id}`.execute(db.database.query);
  assert.match(fault!.message, /no pool on another host takes its replica/);
  assert.equal(await layersOn(cloud.hostId), 0);
});

test('the first round copies all, the next ones what was written, and where nothing is written there is none', async () => {
  const id = await replicated();
  const first = await rowOf(id);
  assert.deepEqual([first.rounds, first.next_at], [1, null], 'at rest');
  assert.deepEqual([(await shown(id)).status, (await shown(id)).idle], ['enabled', true]);
  await pass(1000);
  await controller.sweep();
  await controller.reconcile(id);
  assert.equal((await rowOf(id)).rounds, 1);
  assert.ok((await shown(id)).age_seconds! <= 11, 'an idle volume is as old as its host’s last look');
  await written(id);
  await controller.reconcile(id);
  assert.equal((await rowOf(id)).round_began_at, null, 'half of what is allowed is for more to come together');
  assert.ok((await rowOf(id)).next_at! > new Date());
  await pass(60);
  await round(id);
  const second = await rowOf(id);
  assert.equal(second.rounds, 2);
  const { rows } = await sql<{
    parent_id: string;
  }>`select parent_id from volume_layer where id = ${second.layer_id}`.execute(db.database.query);
  assert.equal(rows[0]!.parent_id, first.layer_id, 'one layer for what was written');
  assert.equal(
    (await layersOn(far.host_id)) + (await layersOn(cloud.hostId)),
    5,
    'two frozen ones and their copies, and a top',
  );
});

test('what is frozen is copied only when its guest writes to it no more', async () => {
  const id = await replicated();
  const { serverId } = await cloud.attach(id);
  await sql`update server set host_id = (select host_id from volume where id = ${id}) where id = ${serverId}`.execute(
    db.database.query,
  );
  await written(id);
  await pass(60);
  await round(id);
  assert.equal((await rowOf(id)).round_layer_id, null, 'it still writes to it');
  await cloud.reportSwitch(serverId);
  await round(id);
  assert.equal((await rowOf(id)).rounds, 2);
});

test('a volume that was reverted is copied from the beginning, and its replica is whole meanwhile', async () => {
  const { id } = await cloud.made({ type: 'replicated' });
  await cloud.controller.reconcile(id);
  const wish = { volumeId: id, name: 'x', description: null, metadata: {}, inUse: false };
  const snapshot = await cloud.snapshots.create(cloud.member, wish);
  await obeyed();
  await cloud.settle();
  await written(id);
  await round(id);
  const before = await rowOf(id);
  await cloud.volumes.revert(cloud.member, id, snapshot.id);
  await obeyed();
  await cloud.settle();
  assert.equal((await shown(id)).idle, false, 'it is not what the replica has');
  await pass(60);
  await controller.reconcile(id);
  const during = await rowOf(id);
  assert.deepEqual([during.round_full, during.layer_id], [true, before.layer_id]);
  await obeyed();
  await controller.reconcile(id);
  assert.deepEqual([(await rowOf(id)).rounds, (await shown(id)).idle], [2, true]);
});

test('a copy that comes to nothing leaves the replica as it was, and the next one is of all', async () => {
  const id = await replicated();
  const { layer_id } = await rowOf(id);
  await written(id);
  await pass(60);
  await controller.reconcile(id);
  const { round_layer_id } = await rowOf(id);
  await sql`update volume_layer set observed_state = 'failed', observed_generation = generation, observed_epoch = epoch,
    observed_error = '{"code": "layer_damaged", "message": "it is damaged"}' where id = ${round_layer_id}`.execute(
    db.database.query,
  );
  await controller.reconcile(id);
  const after = await rowOf(id);
  assert.deepEqual([after.layer_id, after.round_began_at, after.failures], [layer_id, null, 1]);
  assert.match(after.fault!.message, /it is damaged/);
  await obeyed();
  await pass(60);
  await round(id);
  assert.deepEqual([(await rowOf(id)).rounds, (await rowOf(id)).fault], [2, null]);
  assert.equal((await layersOn(far.host_id)) + (await layersOn(cloud.hostId)) > 4, true);
});

test('a replica that its host has lost is made anew', async () => {
  const id = await replicated();
  const { layer_id } = await rowOf(id);
  await sql`update volume_layer set observed_error = '{"code": "layer_missing", "message": "gone"}' where id = ${layer_id}`.execute(
    db.database.query,
  );
  await controller.reconcile(id);
  assert.equal((await shown(id)).as_of, null);
  await obeyed();
  await controller.reconcile(id);
  const again = await rowOf(id);
  assert.notEqual(again.layer_id, layer_id);
  assert.deepEqual([again.rounds, again.fault], [2, null]);
});

const layerOf = async (which: string | null) =>
  (await db.database.query.selectFrom('volume_layer').selectAll().where('id', '=', which!).executeTakeFirst())!;
const missing = (id: string | null, error: object | null = { code: 'layer_missing', message: 'gone' }) =>
  sql`update volume_layer set observed_error = ${error && JSON.stringify(error)}::jsonb where id = ${id}`.execute(
    db.database.query,
  );
const setHost = (id: string, connected: boolean) =>
  sql`update host set connected = ${connected}, last_seen_at = now() - interval '5 seconds'
    where id = (select host_id from volume where id = ${id})`.execute(db.database.query);

test('what nobody has said counts as written, also while a host that is frozen counts as connected, and when it is given up', async () => {
  const id = await replicated();
  await pass(100);
  const host = (change: ReturnType<typeof sql>) =>
    sql`update host set ${change} where id = (select host_id from volume where id = ${id})`.execute(db.database.query);
  const age = async () => Math.round((await shown(id)).age_seconds!);
  await host(sql`lease_ends_at = now() + interval '13 seconds'`);
  assert.equal(await age(), 10, 'it speaks');
  await host(sql`lease_ends_at = now() + interval '1 second'`);
  assert.equal(await age(), 27, 'it may have spoken last when it asked for that lease');
  await host(sql`connected = false, last_seen_at = now()`);
  assert.equal(await age(), 27, 'that it was given up is no word of it');
  await host(sql`last_seen_at = now() - interval '40 seconds'`);
  assert.equal(await age(), 50);
  await host(sql`lease_ends_at = null, last_seen_at = now()`);
  assert.equal(await age(), 28);
  await written(id);
  await host(sql`connected = true, connected_at = now() - interval '1 hour'`);
  assert.equal(await age(), 10, 'it was heard in time');
  await host(sql`connected_at = now()`);
  assert.equal(await age(), 100, 'it was away, and nobody knows since when that is so');
  await host(sql`connected_at = null, lease_ends_at = null`);
});

test('what is left of a replica that is lost stays until there is a whole one', async () => {
  const id = await replicated();
  const { layer_id } = await rowOf(id);
  await missing(layer_id);
  await controller.reconcile(id);
  const during = await rowOf(id);
  assert.deepEqual([during.layer_id, during.round_full, during.fault!.code], [layer_id, true, 'replica_lost']);
  assert.equal((await layerOf(layer_id)).desired_presence, 'present');
  await obeyed();
  await missing(layer_id);
  await controller.reconcile(id);
  assert.equal((await layerOf(layer_id)).desired_presence, 'absent');
  assert.deepEqual([(await shown(id)).status, (await rowOf(id)).fault], ['enabled', null]);
});

test('a replica that is lost while the host of its volume is away is kept, takes no place, and does when it is found again', async () => {
  const id = await replicated();
  const { layer_id, source_layer_id } = await rowOf(id);
  await setHost(id, false);
  await missing(layer_id);
  await controller.reconcile(id);
  const lost = await rowOf(id);
  assert.deepEqual([lost.layer_id, lost.source_layer_id, lost.round_began_at], [layer_id, source_layer_id, null]);
  assert.equal((await layerOf(layer_id)).desired_presence, 'present');
  assert.deepEqual([(await shown(id)).as_of, lost.fault!.code], [null, 'replica_lost']);
  await assert.rejects(promote(id), (error) => hasReason(error, 'volume_replica_missing'));
  await missing(layer_id, null);
  await controller.reconcile(id);
  await promote(id);
  assert.equal((await layerOf((await cloud.volumes.get(cloud.admin, id)).layer_id)).parent_id, layer_id);
});

test('rounds of a host that is away do not keep others from theirs', async () => {
  const ids = [await replicated(), await replicated(), await replicated()];
  for (const id of ids) await written(id);
  await pass(60);
  for (const id of ids.slice(0, 2)) await controller.reconcile(id);
  const third = ids[2]!;
  await controller.reconcile(third);
  assert.equal((await rowOf(third)).round_began_at, null, 'it is not its turn');
  const away = await testPool(db.database, { name: 'away' });
  const home = (await cloud.volumes.get(cloud.admin, third)).host_id;
  const move = (hostId: string | null) =>
    sql`update volume set host_id = ${hostId} where id in (${ids[0]}, ${ids[1]})`.execute(db.database.query);
  await move(away.host_id);
  await sql`update host set connected = false where id = ${away.host_id}`.execute(db.database.query);
  await pass(60);
  await controller.reconcile(third);
  assert.notEqual((await rowOf(third)).round_began_at, null);
  await move(home);
  await sql`update storage_pool set disabled = true where id = ${away.id}`.execute(db.database.query);
});

test('a round that comes no further is thrown away, and the next one copies what differs', async () => {
  const id = await replicated();
  const { layer_id, source_layer_id } = await rowOf(id);
  await written(id);
  await pass(60);
  await controller.reconcile(id);
  const { round_layer_id } = await rowOf(id);
  const still = async (minutes: number) => {
    await sql`update volume_replica set round_moved_at = round_moved_at - ${minutes} * interval '1 minute',
      round_began_at = round_began_at - ${minutes} * interval '1 minute' where volume_id = ${id}`.execute(
      db.database.query,
    );
    await controller.reconcile(id);
  };
  await still(14);
  assert.notEqual((await rowOf(id)).round_began_at, null);
  await sql`update volume_layer set observed_allocated_bytes = 4096 where id = ${round_layer_id}`.execute(
    db.database.query,
  );
  await controller.reconcile(id);
  await still(14);
  assert.notEqual((await rowOf(id)).round_began_at, null, 'something has come');
  await still(2);
  const after = await rowOf(id);
  assert.deepEqual([after.round_began_at, after.layer_id, after.source_layer_id], [null, layer_id, source_layer_id]);
  assert.match(after.fault!.message, /came no further for 15 minutes/);
  await pass(60);
  await controller.reconcile(id);
  assert.equal((await rowOf(id)).round_full, false);
  await obeyed();
  await controller.reconcile(id);
  assert.deepEqual([(await rowOf(id)).rounds, (await rowOf(id)).fault], [2, null]);
});

test('a round whose guest does not leave what was frozen is thrown away, and nothing is frozen again before it has', async () => {
  const id = await replicated();
  const { serverId } = await cloud.attach(id);
  await sql`update server set host_id = (select host_id from volume where id = ${id}) where id = ${serverId}`.execute(
    db.database.query,
  );
  await cloud.reportSwitch(serverId);
  await written(id);
  await pass(60);
  await controller.reconcile(id);
  const { layer_id: top } = await cloud.volumes.get(cloud.admin, id);
  await sql`update volume_replica set round_moved_at = round_moved_at - interval '16 minutes',
    round_began_at = round_began_at - interval '16 minutes' where volume_id = ${id}`.execute(db.database.query);
  await controller.reconcile(id);
  assert.equal((await rowOf(id)).round_began_at, null);
  await pass(60);
  await controller.reconcile(id);
  assert.equal((await cloud.volumes.get(cloud.admin, id)).layer_id, top);
  assert.match((await rowOf(id)).fault!.message, /still writes/);
  await cloud.reportSwitch(serverId);
  await pass(60);
  await controller.reconcile(id);
  assert.notEqual((await rowOf(id)).round_began_at, null);
});

test('a round is thrown away where what is copied is lost, or the copy is no more', async () => {
  const id = await replicated();
  const { layer_id } = await rowOf(id);
  await written(id);
  await pass(60);
  await controller.reconcile(id);
  await missing((await rowOf(id)).round_source_layer_id);
  await controller.reconcile(id);
  const first = await rowOf(id);
  assert.deepEqual([first.layer_id, first.round_began_at, first.failures], [layer_id, null, 1]);
  await obeyed();
  await pass(60);
  await controller.reconcile(id);
  await sql`update volume_replica set round_layer_id = ${newId()} where volume_id = ${id}`.execute(db.database.query);
  await controller.reconcile(id);
  const second = await rowOf(id);
  assert.deepEqual([second.layer_id, second.round_began_at, second.failures], [layer_id, null, 2]);
  await sql`update volume_layer set desired_presence = 'absent'
    where volume_id = ${id} and desired_source ? 'copy_of'`.execute(db.database.query);
});

test('where a volume has moved to the host of its replica, that goes to another one', async () => {
  const id = await replicated();
  const { pool_id } = await rowOf(id);
  const { host_id } = await cloud.volumes.get(cloud.admin, id);
  await sql`update volume set host_id = (select host_id from storage_pool where id = ${pool_id}) where id = ${id}`.execute(
    db.database.query,
  );
  // It is not frozen yet: its layers are not there.
  await sql`update host set connected = false where id <> ${host_id}`.execute(db.database.query);
  await controller.reconcile(id);
  const { rows } = await sql<{
    host_id: string;
  }>`select p.host_id from volume_replica r join storage_pool p on p.id = r.pool_id
    where r.volume_id = ${id}`.execute(db.database.query);
  assert.equal(rows[0]!.host_id, host_id);
  await sql`update volume set host_id = ${host_id} where id = ${id}`.execute(db.database.query);
});

test('of one host two rounds are under way at once', async () => {
  const ids = [await replicated(), await replicated(), await replicated()];
  for (const id of ids) await written(id);
  await pass(60);
  for (const id of ids) await controller.reconcile(id);
  const begun = async () => (await Promise.all(ids.map(rowOf))).filter(({ round_began_at }) => round_began_at).length;
  assert.equal(await begun(), 2);
  await obeyed();
  for (const id of ids) await controller.reconcile(id);
  await obeyed();
  for (const id of ids) await controller.reconcile(id);
  assert.deepEqual(
    (await Promise.all(ids.map(rowOf))).map(({ rounds }) => rounds),
    [2, 2, 2],
  );
});

test('who brings a replica up to date waits for none that is copied whole, of which two are under way, too', async () => {
  const id = await replicated();
  const others = await Promise.all([1, 2, 3].map(() => cloud.made({ type: 'replicated' })));
  for (const other of others) {
    await cloud.controller.reconcile(other.id);
    await controller.reconcile(other.id);
  }
  const whole = (await Promise.all(others.map((other) => rowOf(other.id)))).map(({ round_full }) => round_full);
  assert.deepEqual(whole, [true, true, false]);
  await written(id);
  await pass(60);
  await controller.reconcile(id);
  const { round_began_at, round_full, round_layer_id } = await rowOf(id);
  assert.deepEqual([round_began_at !== null, round_full], [true, false]);
  const documents = await desiredLayers(db.database.query, {});
  const copyOf = (layerId: string | null) => documents.find(({ layer }) => layer.id === layerId)!.layer.copyOf!;
  const first = await rowOf(others[0]!.id);
  assert.deepEqual([copyOf(first.round_layer_id).replica, copyOf(first.round_layer_id).whole], [true, true]);
  assert.deepEqual([copyOf(round_layer_id).replica, copyOf(round_layer_id).whole], [true, undefined]);
});

test('a replica that is older than it shall be is told once, with the reason, until it is not', async () => {
  const id = await replicated();
  await written(id);
  await sql`update host set connected = false, last_seen_at = now() where id = (select p.host_id from volume_replica r
    join storage_pool p on p.id = r.pool_id where r.volume_id = ${id})`.execute(db.database.query);
  await pass(200);
  await controller.reconcile(id);
  const lines: { why?: string }[] = [];
  const log = pino({ level: 'warn' }, { write: (line: string) => void lines.push(JSON.parse(line)) });
  const telling = new ReplicaController({ database: db.database, log });
  for (const _ of [1, 2]) await telling.sweep();
  assert.deepEqual(
    lines.map(({ why }) => why),
    ['The host of the replica is away.'],
  );
  assert.deepEqual(await lateReplicas(db.database), {
    ...{ replicas: 1, late: 1, out_of_sync: 0 },
    why: 'The host of the replica is away.',
  });
  const { rows } = await sql<{
    error_message: string;
  }>`select error_message from storage_message where resource_id = ${id}`.execute(db.database.query);
  assert.match(rows[0]!.error_message, /2\d\d s old, and 100 s are allowed. The host of the replica is away./);
  assert.equal((await shown(id)).status, 'error');
  await sql`update host set connected = true`.execute(db.database.query);
  await pass(60);
  await round(id);
  await telling.sweep();
  assert.equal((await lateReplicas(db.database)).late, 0);
});

const promote = (id: string) => db.database.transaction(cloudActor, (tx) => promoteReplica(tx, id, cloudActor));

test('a replica takes the place of its volume; what that held is frozen under a new epoch and kept until there is a replica again', async () => {
  const id = await replicated();
  const before = await cloud.volumes.get(cloud.admin, id);
  const { layer_id: copy, pool_id } = await rowOf(id);
  const old = (
    await sql<{ epoch: number }>`select epoch from volume_layer where id = ${before.layer_id}`.execute(
      db.database.query,
    )
  ).rows[0]!;
  await pass(60);
  await sql`update host set connected = false, last_seen_at = now() - interval '20 seconds', lease_ends_at = now() - interval '8 seconds'
    where id = ${before.host_id}`.execute(db.database.query);
  const { age_seconds } = await promote(id);
  assert.ok(age_seconds >= 20 && age_seconds < 40, `${age_seconds}`);
  const now = await cloud.volumes.get(cloud.admin, id);
  assert.equal(now.pool_id, pool_id);
  assert.notEqual(now.host_id, before.host_id);
  const layer = async (which: string) =>
    (await db.database.query.selectFrom('volume_layer').selectAll().where('id', '=', which).executeTakeFirst())!;
  assert.equal((await layer(now.layer_id!)).parent_id, copy);
  const frozen = await layer(before.layer_id!);
  assert.deepEqual([frozen.read_only, frozen.epoch, frozen.desired_presence], [true, old.epoch + 1, 'present']);
  await controller.reconcile(id);
  assert.equal((await rowOf(id)).fault!.code, 'no_pool');
  assert.equal((await shown(id)).former_kept, true);
  await assert.rejects(promote(id), (error) => hasReason(error, 'volume_replica_missing'));
  await sql`update host set connected = true`.execute(db.database.query);
  await obeyed();
  await round(id);
  await round(id);
  assert.deepEqual([(await shown(id)).status, (await shown(id)).former_kept], ['enabled', false]);
  assert.notEqual((await layer(before.layer_id!))?.desired_presence, 'present', 'it is never merged into anything');
});

test('a volume that no server has is failed over by hand, by evidence alone', async () => {
  const id = await replicated();
  const lost = async () => ({ evidence: { kind: 'administrator' } });
  await assert.rejects(service().failOver(cloud.member, id, lost), { code: 'forbidden' });
  const unproven = async () => ({ why: 'in_use' as const, host: 'a' });
  await assert.rejects(service().failOver(cloud.admin, id, unproven), (error) =>
    hasReason(error, 'volume_failover_unproven'),
  );
  await cloud.attach(id);
  await assert.rejects(service().failOver(cloud.admin, id, lost), (error) =>
    hasReason(error, 'volume_failover_attached'),
  );
  await sql`delete from volume_attachment`.execute(db.database.query);
  assert.equal((await service().failOver(cloud.admin, id, lost)).volume_id, id);
  await service().giveUpFormer(cloud.admin, id);
  assert.equal((await shown(id)).former_kept, false);
});

test('a retype gives a volume a replica, and takes it', async () => {
  const { id } = await cloud.made();
  await cloud.controller.reconcile(id);
  const retype = (type: string) => cloud.volumes.retype(cloud.member, id, { type, policy: 'never' });
  await retype('replicated');
  await round(id);
  assert.equal((await shown(id)).status, 'enabled');
  await retype('__DEFAULT__');
  assert.equal(await replicas.get(cloud.admin, id), null);
  const { rows } = await sql<{ n: number }>`select count(*)::integer as n from volume_layer
    where volume_id = ${id} and desired_presence = 'present' and host_id <> (select host_id from volume where id = ${id})`.execute(
    db.database.query,
  );
  assert.equal(rows[0]!.n, 0);
});

test('what may be all that there is of a volume is not given up: neither by a retype nor for a new one, while its host is away', async () => {
  const id = await replicated();
  const { layer_id, pool_id } = await rowOf(id);
  const beside = pool_id === far.id ? far.host_id : cloud.hostId;
  const connected = (up: boolean, which = sql`true`) =>
    sql`update host set connected = ${up} where ${which}`.execute(db.database.query);
  await connected(false);
  const retype = () => cloud.volumes.retype(cloud.member, id, { type: '__DEFAULT__', policy: 'never' });
  const alone = (error: unknown) => hasReason(error, 'volume_replica_alone');
  await assert.rejects(retype(), alone);
  await assert.rejects(service().resync(cloud.admin, id), alone);
  const still = await rowOf(id);
  assert.deepEqual([still.layer_id, still.pool_id], [layer_id, pool_id]);
  assert.ok((await layersOn(beside)) > 0);
  // That of the replica is back: all of it is asked for anew, and what it has stays.
  await connected(true, sql`id = ${beside}`);
  await service().resync(cloud.admin, id);
  assert.equal((await rowOf(id)).layer_id, layer_id);
  await assert.rejects(retype(), alone);
  await connected(true);
  await retype();
  assert.equal(await layersOn(beside), 0);
});

test('a volume with a cache has no replica', async () => {
  const specs = { replication_enabled: '<is> True', 'bothy:cache_pool': 'x', 'bothy:cache_gib': '1' };
  await sql`insert into volume_type (id, name, public, extra_specs) values (${newId()}, 'both', true, ${JSON.stringify(specs)}::jsonb)`.execute(
    db.database.query,
  );
  await assert.rejects(cloud.volumes.create(cloud.member, cloud.wish({ type: 'both' })), (error) =>
    hasReason(error, 'volume_type_unfit'),
  );
});

test('a replica whose host does not come back is made on another one when an administrator says so', async () => {
  const id = await replicated();
  const { layer_id, pool_id } = await rowOf(id);
  const other = await testPool(db.database, { name: 'third' });
  await sql`update host set connected = false where id = (select host_id from storage_pool where id = ${pool_id})`.execute(
    db.database.query,
  );
  await service().resync(cloud.admin, id);
  await controller.reconcile(id);
  assert.equal((await rowOf(id)).pool_id, other.id);
  await obeyed();
  await controller.reconcile(id);
  const again = await rowOf(id);
  assert.deepEqual([again.rounds, again.layer_id === layer_id], [2, false]);
  await sql`update storage_pool set disabled = true where id = ${other.id}`.execute(db.database.query);
});

for (const step of ['placed', 'frozen', 'copying', 'complete', 'thrown away', 'begun anew'] as ReplicaStep[]) {
  test(`control may die after '${step}', and a volume comes to the same replica`, async () => {
    let deaths = 0;
    const dying = new ReplicaController({
      ...{ database: db.database, log: silentLog },
      afterStep(reached) {
        if (reached !== step) return;
        deaths++;
        throw new Error('died');
      },
    });
    const tend = async (id: string) => {
      await dying.reconcile(id).catch((error: Error) => assert.equal(error.message, 'died'));
      await controller.reconcile(id);
    };
    const { id } = await cloud.made({ type: 'replicated' });
    await cloud.controller.reconcile(id);
    if (step === 'placed') await sql`update volume_replica set pool_id = null`.execute(db.database.query);
    await round(id, tend);
    await written(id);
    await pass(60);
    if (step === 'thrown away' || step === 'begun anew') {
      await controller.reconcile(id);
      const { round_layer_id, layer_id } = await rowOf(id);
      const error = step === 'thrown away' ? 'layer_damaged' : 'layer_missing';
      await sql`update volume_layer set observed_state = 'failed', observed_generation = generation, observed_epoch = epoch,
        observed_error = ${JSON.stringify({ code: error, message: 'x' })}::jsonb
        where id = ${step === 'thrown away' ? round_layer_id : layer_id}`.execute(db.database.query);
      await tend(id);
      await obeyed();
      await pass(60);
    }
    await round(id, tend);
    await obeyed();
    await tend(id);
    assert.ok(deaths >= 1);
    const { rounds, round_began_at, fault } = await rowOf(id);
    assert.deepEqual([rounds, round_began_at, fault], [2, null, null]);
    assert.equal((await shown(id)).idle, true);
  });
}

/** Replicas of the volumes that one server has: on one host, and of one moment. */
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { sql } from 'kysely';
import { type HostId, newId } from '../../../contract/ids.ts';
import { cloudActor } from '../../kit/database/database.ts';
import { type TestDatabase, testDatabase } from '../../kit/database/testing.ts';
import { desiredLayers } from '../layer/desired.ts';
import { testPool } from '../testing.ts';
import { silentLog, type VolumeCloud, volumeCloud } from '../volume/testing.ts';
import {
  promoteForServer,
  ReplicaController,
  ReplicaService,
  type ReplicaStep,
  replicaMomentSql,
  replicasOfServers,
} from './index.ts';

let db: TestDatabase;
let cloud: VolumeCloud;
/** Two hosts beside that of the volumes. */
let far: { id: string; host_id: HostId };
let third: { id: string; host_id: HostId };
let controller: ReplicaController;
let service: ReplicaService;
before(async () => {
  db = await testDatabase();
  cloud = await volumeCloud(db.database);
  [far, third] = [await testPool(db.database, { name: 'far' }), await testPool(db.database, { name: 'third' })];
  // Volumes lie there, however many.
  await sql`update storage_pool set total_bytes = ${2 ** 50}, free_bytes = ${2 ** 50} where id = ${cloud.poolId}`.execute(
    query(),
  );
  controller = new ReplicaController({ database: db.database, log: silentLog });
  service = new ReplicaService(db);
  const specs = { replication_enabled: '<is> True', 'bothy:replication_rpo_seconds': '100' };
  await sql`insert into volume_type (id, name, public, extra_specs) values (${newId()}, 'replicated', true, ${JSON.stringify(specs)}::jsonb)`.execute(
    query(),
  );
});
after(() => db[Symbol.asyncDispose]());

const query = () => db.database.query;
const only = (pool: { id: string }) =>
  sql`update storage_pool set disabled = id not in (${cloud.poolId}, ${pool.id})`.execute(query());
beforeEach(async () => {
  await sql`update host set connected = true`.execute(query());
  await only(far);
});

afterEach(async () => {
  await sql`delete from volume_attachment`.execute(query());
  const { rows } = await sql<{ id: string }>`select id from volume`.execute(query());
  for (const { id } of rows) await cloud.volumes.delete(cloud.admin, id, { cascade: true, force: true });
  const left = await sql`select from volume_layer where desired_presence = 'present'`.execute(query());
  assert.equal(left.rows.length, 0, 'nothing is kept of volumes that are gone');
  for (const table of ['volume_layer', 'server']) await sql`delete from ${sql.table(table)}`.execute(query());
});

const rowOf = async (id: string) =>
  (await query().selectFrom('volume_replica').selectAll().where('volume_id', '=', id).executeTakeFirst())!;
async function obeyed(): Promise<void> {
  await cloud.report();
  await sql`update volume_layer set observed_written = false where not read_only and observed_written is null`.execute(
    query(),
  );
}
const written = (id: string) =>
  sql`update volume_layer set observed_written = true, written_at = now() - interval '1 hour'
    where id = (select layer_id from volume where id = ${id})`.execute(query());
async function pass(seconds: number): Promise<void> {
  const by = sql`${seconds} * interval '1 second'`;
  await sql`update volume_replica set as_of = as_of - ${by}, next_at = next_at - ${by}, late_since = null`.execute(
    query(),
  );
}
const tend = (id: string) => controller.reconcile(id);
const all = (ids: readonly string[]) => Promise.all(ids.map(rowOf));

/** A volume with a whole replica in the pool. */
async function replicated(pool = far): Promise<string> {
  await only(pool);
  const { id } = await cloud.made({ type: 'replicated', sameHost: [] });
  assert.equal((await rowOf(id)).pool_id, pool.id);
  await cloud.controller.reconcile(id);
  await tend(id);
  await obeyed();
  await tend(id);
  assert.equal((await rowOf(id)).rounds, 1);
  return id;
}

/** A server that has them, as its host says. */
async function serverWith(ids: readonly string[]): Promise<string> {
  const { serverId } = await cloud.attach(ids[0]!);
  for (const [n, id] of ids.slice(1).entries())
    await sql`insert into volume_attachment (id, project_id, volume_id, server_id, slot, device, observed_state, observed_layer_id, attached_at)
      select ${newId()}, project_id, id, ${serverId}, ${n + 1}, '/dev/vdx', 'attached', layer_id, now() from volume where id = ${id}`.execute(
      query(),
    );
  await cloud.reportSwitch(serverId);
  return serverId;
}
/** Its host has switched its guest to the new tops, and all hosts have what they were told. */
async function roundTrip(serverId: string, ids: readonly string[]): Promise<void> {
  await cloud.reportSwitch(serverId);
  for (const id of ids) await tend(id);
  await obeyed();
}
async function momentOf(serverId: string): Promise<Date | null> {
  const { rows } = await sql<{
    moment: Date | null;
  }>`select ${replicaMomentSql} as moment from server s where s.id = ${serverId}`.execute(query());
  return rows[0]!.moment;
}
const topsOf = async (ids: readonly string[]) => {
  const documents = await desiredLayers(query(), {});
  const volumes = await Promise.all(ids.map((id) => cloud.volumes.get(cloud.admin, id)));
  return volumes.map(({ layer_id }) => documents.find(({ layer }) => layer.id === layer_id)!.layer);
};

test('all volumes of a server are frozen in one moment when one of them is due, and their replicas are whole together', async () => {
  const ids = [await replicated(), await replicated(), await replicated()];
  const server = await serverWith(ids);
  assert.equal(await momentOf(server), null, 'each was frozen by itself');
  await written(ids[1]!);
  await pass(60);
  await tend(ids[1]!);
  const begun = await all(ids);
  const moment = begun[0]!.round_moment;
  assert.ok(moment);
  assert.deepEqual(
    begun.map(({ round_moment }) => round_moment),
    [moment, moment, moment],
  );
  assert.equal(new Set(begun.map(({ round_began_at }) => round_began_at?.getTime())).size, 1);
  assert.deepEqual(
    (await topsOf(ids)).map((layer) => layer.moment),
    [moment, moment, moment],
    'their host is told so',
  );
  await cloud.reportSwitch(server);
  for (const id of ids) await tend(id);
  // Two of the three are there.
  const last = (await rowOf(ids[2]!)).round_layer_id;
  await cloud.report();
  await sql`update volume_layer set observed_state = 'building', observed_generation = 0 where id = ${last}`.execute(
    query(),
  );
  for (const id of ids) await tend(id);
  assert.deepEqual(
    (await all(ids)).map(({ rounds }) => rounds),
    [1, 1, 1],
  );
  await obeyed();
  await tend(ids[0]!);
  const after = await all(ids);
  assert.deepEqual(
    after.map(({ rounds, moment: of, round_moment }) => [rounds, of, round_moment]),
    Array(3).fill([2, moment, null]),
  );
  assert.equal((await momentOf(server))!.getTime(), after[1]!.as_of!.getTime());
});

test('a server is restarted from all replicas of one moment, also while those of the next one are half there', async () => {
  const ids = [await replicated(), await replicated()];
  const server = await serverWith(ids);
  const round = async () => {
    for (const id of ids) await written(id);
    await pass(60);
    await tend(ids[0]!);
    await roundTrip(server, ids);
  };
  await round();
  for (const id of ids) await tend(id);
  const wholeAtMs = (await momentOf(server))!.getTime();
  const whole = await all(ids);
  await round();
  // Only the first one has come.
  await sql`update volume_layer set observed_state = 'building', observed_generation = 0 where id = ${(await rowOf(ids[1]!)).round_layer_id}`.execute(
    query(),
  );
  for (const id of ids) await tend(id);
  await db.database.transaction(cloudActor, async (tx) => {
    const found = (await replicasOfServers(tx, [server])).get(server)!;
    assert.equal(found.hostId, far.host_id);
    assert.equal(found.moment!.getTime(), wholeAtMs - 60_000, 'which was so much earlier');
  });
  assert.deepEqual(
    (await all(ids)).map(({ layer_id }) => layer_id),
    whole.map(({ layer_id }) => layer_id),
  );
});

test('where one of them comes to nothing all of the moment do, and the next round is of one moment again', async () => {
  const ids = [await replicated(), await replicated()];
  const server = await serverWith(ids);
  const before = await all(ids);
  await written(ids[0]!);
  await pass(60);
  await tend(ids[0]!);
  await roundTrip(server, ids);
  await sql`update volume_layer set observed_state = 'failed', observed_error = '{"code": "layer_damaged", "message": "it is damaged"}'
    where id = ${(await rowOf(ids[1]!)).round_layer_id}`.execute(query());
  await tend(ids[1]!);
  const after = await all(ids);
  assert.deepEqual(
    after.map(({ round_began_at, round_moment, failures }) => [round_began_at, round_moment, failures]),
    Array(2).fill([null, null, 1]),
  );
  assert.deepEqual(
    after.map(({ layer_id }) => layer_id),
    before.map(({ layer_id }) => layer_id),
  );
  assert.match(
    after[0]!.fault!.message,
    new RegExp(`that of volume ${ids[1]}, which was frozen with it: it is damaged`),
  );
  assert.equal(after[0]!.source_layer_id, before[0]!.source_layer_id, 'what was right of it is copied as a difference');
  await obeyed();
  await pass(60);
  // The one whose copy was damaged is copied as a whole, and so by itself.
  await tend(ids[1]!);
  await cloud.reportSwitch(server);
  await tend(ids[1]!);
  await obeyed();
  await tend(ids[1]!);
  await written(ids[0]!);
  await pass(60);
  await tend(ids[0]!);
  assert.ok((await rowOf(ids[1]!)).round_moment);
  await roundTrip(server, ids);
  await tend(ids[1]!);
  assert.ok(await momentOf(server));
});

test('who is hindered, or has no whole replica yet, keeps no other from its round', async () => {
  const ids = [await replicated(), await replicated(), await replicated()];
  const server = await serverWith(ids);
  await sql`update volume set fault = '{"code": "x", "message": "x", "generation": 1}' where id = ${ids[1]}`.execute(
    query(),
  );
  await service.resync(cloud.admin, ids[2]!);
  await written(ids[0]!);
  await pass(60);
  await tend(ids[0]!);
  const [first, hindered, anew] = await all(ids);
  assert.ok(first!.round_began_at);
  assert.deepEqual([first!.round_moment, hindered!.round_began_at, anew!.round_began_at], [null, null, null]);
  await roundTrip(server, ids);
  await tend(ids[0]!);
  assert.equal(await momentOf(server), null, 'that they are of several moments is told');
  await sql`update volume set fault = null where id = ${ids[1]}`.execute(query());
});

test('a volume that a running guest has not got yet is not frozen with the others: it is written to from its own moment on', async () => {
  const ids = [await replicated(), await replicated()];
  const server = await serverWith(ids);
  await sql`update server set observed_started_at = now() where id = ${server}`.execute(query());
  await sql`update volume_attachment set observed_state = null, observed_layer_id = null where volume_id = ${ids[1]}`.execute(
    query(),
  );
  for (const each of ids) {
    await written(each);
    await pass(60);
    await tend(each);
    const { round_began_at, round_moment } = await rowOf(each);
    assert.deepEqual([round_began_at !== null, round_moment], [true, null]);
  }
  await roundTrip(server, ids);
  for (const id of ids) await tend(id);
  await sql`update volume_attachment set observed_state = 'attached' where volume_id = ${ids[1]}`.execute(query());
  await cloud.reportSwitch(server);
  await written(ids[0]!);
  await pass(60);
  await tend(ids[0]!);
  const moments = (await all(ids)).map(({ round_moment }) => round_moment);
  assert.ok(moments[0] !== null && moments[0] === moments[1]);
});

test('a round of several volumes of a server is one round of its hosts', async () => {
  const [ids, others, more] = [
    [await replicated(), await replicated(), await replicated()],
    [await replicated(), await replicated()],
    [await replicated()],
  ];
  for (const each of [ids, others, more]) await serverWith(each);
  for (const id of [...ids, ...others, ...more]) await written(id);
  await pass(60);
  for (const id of [...ids, ...others, ...more]) await tend(id);
  const begun = async (of: string[]) => (await all(of)).every(({ round_began_at }) => round_began_at !== null);
  assert.deepEqual([await begun(ids), await begun(others), await begun(more)], [true, true, false]);
});

test('the replica of a volume that a server gets goes to where that of the first one is, and stays what it was until it is there', async () => {
  const [one, other] = [await replicated(far), await replicated(third)];
  await sql`update storage_pool set disabled = false`.execute(query());
  const server = await serverWith([one, other]);
  const host = async () =>
    db.database.transaction(cloudActor, async (tx) => (await replicasOfServers(tx, [server])).get(server)?.hostId);
  assert.equal(await host(), undefined);
  const before = await rowOf(other);
  await controller.sweep();
  const { rows: woken } = await sql`select from graphile_worker.jobs where key like ${`%${other}%`}`.execute(query());
  assert.equal(woken.length, 1, 'nothing is written to it, and it goes all the same');
  await tend(other);
  const going = await rowOf(other);
  assert.deepEqual(
    [going.round_pool_id, going.pool_id, going.layer_id, going.round_moment],
    [far.id, third.id, before.layer_id, null],
  );
  const { rows: promised } = await sql<{
    id: string;
    bytes: number;
  }>`select pool_id as id, promised_bytes::float8 as bytes from storage_pool_usage
    where pool_id in (${far.id}, ${third.id})`.execute(query());
  const bytes = (of: string) => promised.find(({ id }) => id === of)!.bytes;
  const replicas = async (pool: string) =>
    (await sql`select from volume_replica where ${pool} in (pool_id, round_pool_id)`.execute(query())).rows.length;
  for (const { id } of [far, third])
    assert.equal(bytes(id), (await replicas(id)) * 2 ** 30, 'both promise its room meanwhile');
  await roundTrip(server, [one, other]);
  await tend(other);
  const there = await rowOf(other);
  assert.deepEqual([there.pool_id, there.round_pool_id, there.rounds], [far.id, null, 2]);
  const { rows } = await sql<{
    host_id: string;
  }>`select host_id from volume_layer where id = ${there.layer_id}`.execute(query());
  assert.equal(rows[0]!.host_id, far.host_id);
  const { rows: old } = await sql<{
    desired_presence: string;
  }>`select desired_presence from volume_layer where id = ${before.layer_id}`.execute(query());
  assert.notEqual(old[0]?.desired_presence, 'present');
  assert.equal(await host(), far.host_id);
});

test('a replica stays where it is while the pool of the others has no room, and where the host to which it goes is lost', async () => {
  const [one, other] = [await replicated(far), await replicated(third)];
  await serverWith([one, other]);
  await sql`update storage_pool set disabled = id = ${far.id}`.execute(query());
  await tend(other);
  const refused = await rowOf(other);
  assert.deepEqual([refused.round_began_at, refused.pool_id], [null, third.id]);
  assert.ok(refused.next_at! > new Date(), 'it is tried again');
  await sql`update storage_pool set disabled = false`.execute(query());
  await tend(other);
  assert.equal((await rowOf(other)).round_pool_id, far.id);
  await sql`update host set connected = false where id = ${far.host_id}`.execute(query());
  await tend(other);
  const cut = await rowOf(other);
  assert.deepEqual(
    [cut.round_began_at, cut.round_pool_id, cut.pool_id, cut.layer_id],
    [null, null, third.id, refused.layer_id],
  );
  assert.equal(cut.source_layer_id, refused.source_layer_id, 'the next round where it is copies what differs');
});

test('no replica goes to the others’ host while that is closed: it shall be emptied', async () => {
  const [one, other] = [await replicated(far), await replicated(third)];
  await serverWith([one, other]);
  await sql`update storage_pool set disabled = false`.execute(query());
  const closed = (is: boolean) => sql`update host set enabled = ${!is} where id = ${far.host_id}`.execute(query());
  await closed(true);
  await tend(other);
  assert.equal((await rowOf(other)).round_pool_id, null);
  await sql`update host set connected = false where id = ${third.host_id}`.execute(query());
  await service.resync(cloud.admin, other);
  await tend(other);
  assert.deepEqual([(await rowOf(other)).pool_id, (await rowOf(other)).fault?.code], [null, 'no_pool']);
  await closed(false);
  await tend(other);
  assert.equal((await rowOf(other)).pool_id, far.id);
});

test('a replica that can not be copied to where the others are goes on where it is, by what differs', async () => {
  const [one, other] = [await replicated(far), await replicated(third)];
  await sql`update storage_pool set disabled = false`.execute(query());
  const server = await serverWith([one, other]);
  const before = await rowOf(other);
  await tend(other);
  await cloud.reportSwitch(server);
  await tend(other);
  const going = await rowOf(other);
  assert.equal(going.round_pool_id, far.id);
  await sql`update volume_layer set observed_state = 'failed', observed_generation = generation, observed_epoch = epoch,
    observed_error = '{"code": "pool_unknown", "message": "it has no such pool"}' where id = ${going.round_layer_id}`.execute(
    query(),
  );
  await tend(other);
  const stays = await rowOf(other);
  assert.deepEqual(
    [stays.round_began_at, stays.pool_id, stays.layer_id, stays.source_layer_id, stays.failures],
    [null, third.id, before.layer_id, before.source_layer_id, 1],
  );
  assert.match(stays.fault!.message, /it has no such pool/);
});

test('after a failover the replicas of a server go to one host again, whichever is the first to get one', async () => {
  const ids = [await replicated(far), await replicated(far)];
  const server = await serverWith(ids);
  await db.database.transaction(cloudActor, async (tx) => {
    const found = (await replicasOfServers(tx, [server])).get(server)!;
    assert.equal((await promoteForServer(tx, server, found, cloudActor)).length, 2);
  });
  await sql`update storage_pool set disabled = id <> ${third.id}`.execute(query());
  await tend(ids[1]!);
  // The emptiest by far is another one now.
  await sql`update storage_pool set disabled = false`.execute(query());
  await tend(ids[0]!);
  assert.deepEqual(
    (await all(ids)).map(({ pool_id }) => pool_id),
    [third.id, third.id],
  );
});

for (const step of ['frozen', 'copying', 'complete', 'thrown away'] as ReplicaStep[]) {
  test(`control may die after '${step}', and volumes of a server come to replicas of one moment`, async () => {
    let deaths = 0;
    const dying = new ReplicaController({
      ...{ database: db.database, log: silentLog },
      afterStep(reached) {
        if (reached !== step || deaths > 0) return;
        deaths++;
        throw new Error('died');
      },
    });
    const ids = [await replicated(), await replicated()];
    const server = await serverWith(ids);
    await written(ids[0]!);
    await pass(60);
    const each = async () => {
      for (const id of ids) await dying.reconcile(id).catch((error: Error) => assert.equal(error.message, 'died'));
      await cloud.reportSwitch(server);
    };
    await each();
    await each();
    if (step === 'thrown away')
      await sql`update volume_layer set observed_state = 'failed', observed_generation = generation, observed_epoch = epoch,
        observed_error = '{"code": "layer_damaged", "message": "x"}' where id = ${(await rowOf(ids[1]!)).round_layer_id}`.execute(
        query(),
      );
    else await obeyed();
    await each();
    // One whose copy was damaged is copied as a whole by itself first.
    for (let n = 0; n < 6 && (await momentOf(server)) === null; n++) {
      await obeyed();
      await written(ids[0]!);
      await pass(60);
      await each();
    }
    assert.equal(deaths, 1);
    const [one, other] = await all(ids);
    assert.ok(one!.moment, JSON.stringify([one, other]));
    assert.equal(one!.moment, other!.moment);
    assert.ok(await momentOf(server));
  });
}

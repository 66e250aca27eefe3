/** Servers that shall be beside others, or away from them (Nova's hints same_host and different_host), with two control processes that place at once. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { type HostId, newId, type ServerId } from '../../../contract/ids.ts';
import { cloudActor } from '../../kit/database/database.ts';
import { type TestDatabase, testDatabase } from '../../kit/database/testing.ts';
import { ServerController } from './controller.ts';
import { type MoveWish, placeMove } from './moving.ts';
import { type ServerCloud, serverCloud, silentLog } from './testing.ts';

let db: TestDatabase;
let cloud: ServerCloud;
let controllers: ServerController[];
let flavor: string;
before(async () => {
  db = await testDatabase();
  cloud = await serverCloud(db.database);
  const deps = { database: db.database, ports: cloud.ports, log: silentLog, hostAwayMs: 1 };
  controllers = [new ServerController(deps), new ServerController(deps)];
  flavor = await cloud.addFlavor();
  await sql`update quota set maximum = -1 where project_id is null`.execute(db.database.query);
});
after(() => db[Symbol.asyncDispose]());

type HintedHosts = { sameHost?: string[]; differentHost?: string[] };
/** In a zone of their own, so that tests don't see each other's. */
async function hosts(...vcpus: number[]): Promise<string> {
  const zone = newId();
  for (const each of vcpus) await cloud.addHost({ vcpus: each, memoryMiB: 200_000, zone });
  return zone;
}
async function make(availabilityZone: string, hints: HintedHosts = {}, caller = cloud.member): Promise<ServerId> {
  const { ids } = await cloud.service.create(caller, cloud.wish({ flavor, availabilityZone, ...hints }));
  return ids[0]!;
}
async function placed(...asked: Parameters<typeof make>): Promise<ServerId> {
  const id = await make(...asked);
  await cloud.controller.reconcile(id);
  return id;
}
const found = async (id: ServerId) => {
  const { host_id, fault } = await cloud.service.get(cloud.admin, id);
  return { host: host_id as HostId | null, fault: fault?.message ?? null };
};
const hostOf = async (id: ServerId) => (await found(id)).host;
const move = (wish: MoveWish) => db.database.transaction(cloudActor, (tx) => placeMove(tx, wish));

test('a server is on the host of one of those that it names, or on none of theirs', async () => {
  const zone = await hosts(100, 100, 100);
  const [one, other] = [await placed(zone), await placed(zone)];
  assert.notEqual(await hostOf(one), await hostOf(other));
  for (let n = 0; n < 4; n++) assert.equal(await hostOf(await placed(zone, { sameHost: [one] })), await hostOf(one));
  const apart = await hostOf(await placed(zone, { differentHost: [one, other] }));
  assert.ok(apart !== null && ![await hostOf(one), await hostOf(other)].includes(apart));
  const both = await hostOf(await placed(zone, { sameHost: [one, other], differentHost: [one] }));
  assert.equal(both, await hostOf(other));
});

test('where that can not be it says so, by the name of the hint, and what is not there is beside nobody', async () => {
  const zone = await hosts(100);
  const one = await placed(zone);
  const apart = await found(await placed(zone, { differentHost: [one] }));
  assert.equal(apart.host, null);
  assert.match(apart.fault!, /shall not be beside \(hint different_host\)/);
  const beside = await found(await placed(zone, { sameHost: [newId()] }));
  assert.equal(beside.host, null);
  assert.match(beside.fault!, /shall be beside \(hint same_host\)/);
  assert.notEqual(await hostOf(await placed(zone, { differentHost: [newId()] })), null);
});

test('of servers of another project nothing is learnt: they are beside nobody', async () => {
  const zone = await hosts(100);
  const one = await placed(zone);
  const stranger = { ...cloud.member, projectId: newId<NonNullable<typeof cloud.member.projectId>>() };
  await sql`insert into project (id, domain_id, name) select ${stranger.projectId}, domain_id, 'stranger' from project
    where id = ${cloud.member.projectId}`.execute(db.database.query);
  assert.notEqual(await hostOf(await placed(zone, { differentHost: [one] }, stranger)), null);
  assert.equal(await hostOf(await placed(zone, { sameHost: [one] }, stranger)), null);
});

test('forty servers of which each is to be away from the one before, made and placed at once by two controls, are so', async () => {
  const zone = await hosts(100, 100);
  const ids: ServerId[] = [];
  for (let n = 0; n < 40; n++) ids.push(await make(zone, n === 0 ? {} : { differentHost: [ids[n - 1]!] }));
  await Promise.all(ids.toReversed().map((id, n) => controllers[n % 2]!.reconcile(id)));
  const where = await Promise.all(ids.map(hostOf));
  for (const [n, host] of where.entries()) assert.ok(host !== null && host !== where[n - 1], `${n}`);
});

test('a server that names one without a host waits for it, whoever has that one’s job', async () => {
  const zone = await hosts(100, 100);
  const first = await make(zone);
  await sql`update graphile_worker._private_jobs set run_at = now() + interval '1 hour' where key = ${`server:${first}`}`.execute(
    db.database.query,
  );
  const [beside, apart] = [await placed(zone, { sameHost: [first] }), await placed(zone, { differentHost: [first] })];
  const waits = { host: null, fault: null };
  assert.deepEqual([await found(beside), await found(apart)], [waits, waits]);
  const { rows } = await sql<{
    waiting_for: string;
  }>`select waiting_for from operation where resource_id = ${apart}`.execute(db.database.query);
  assert.equal(rows[0]!.waiting_for, 'a server that it names in a hint to have a host');
  for (const id of [first, beside, apart]) await controllers[1]!.reconcile(id);
  const host = await hostOf(first);
  assert.ok(host !== null && (await hostOf(apart)) !== null);
  assert.deepEqual([await hostOf(beside), (await hostOf(apart)) === host], [host, false]);
});

test('a server that moves keeps to it, by those that are on their way, too', async () => {
  const zone = await hosts(100, 100, 100);
  const one = await placed(zone);
  const away = await placed(zone, { differentHost: [one] });
  const third = (await move({ serverId: one })).host!.id;
  assert.ok(![await hostOf(one), await hostOf(away)].includes(third as HostId));
  // The one is promised there, and still where it was: nothing is left.
  const stays = await move({ serverId: away });
  assert.equal(stays.host, null);
  assert.deepEqual(stays.refusals, { beside_servers: 2, excluded: 1, other_zone: stays.hosts - 3 });
});

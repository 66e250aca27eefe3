/** Server groups in placement, with two control processes that place at once. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import type { ServerId } from '../../../contract/ids.ts';
import { type TestDatabase, testDatabase } from '../../kit/database/testing.ts';
import { ServerGroupService, type ServerGroupWish } from '../server-group/index.ts';
import { ServerController } from './controller.ts';
import { type ServerCloud, serverCloud, silentLog } from './testing.ts';

let db: TestDatabase;
let cloud: ServerCloud;
let controllers: ServerController[];
let flavor: string;
const hostCount = 6;
before(async () => {
  db = await testDatabase();
  cloud = await serverCloud(db.database);
  const deps = { database: db.database, ports: cloud.ports, log: silentLog, hostAwayMs: 1 };
  controllers = [new ServerController(deps), new ServerController(deps)];
  for (let n = 0; n < hostCount; n++) await cloud.addHost({ vcpus: 200, memoryMiB: 200_000 });
  flavor = await cloud.addFlavor();
  await sql`update quota set maximum = -1 where project_id is null`.execute(db.database.query);
});
after(() => db[Symbol.asyncDispose]());

async function group(policy: ServerGroupWish['policy'], maxServersPerHost: number | null = null): Promise<string> {
  const service = new ServerGroupService({ database: db.database });
  return (await service.create(cloud.member, { name: policy, policy, maxServersPerHost })).id;
}

/** Made and placed all at once, each by another control than the one before. */
async function createMany(serverGroup: string, count: number): Promise<ServerId[]> {
  const made = await Promise.all(
    Array.from({ length: count }, async (_, n) => {
      const { ids } = await cloud.service.create(cloud.member, cloud.wish({ flavor, serverGroup }));
      await controllers[n % controllers.length]!.reconcile(ids[0]!);
      return ids;
    }),
  );
  return made.flat();
}

async function where(ids: readonly ServerId[]): Promise<{ perHost: number[]; refused: string[] }> {
  const { rows } = await sql<{ host_id: string | null; fault: { message: string } | null }>`
    select host_id, fault from server where id = any(${[...ids]}::uuid[])`.execute(db.database.query);
  const placed = Map.groupBy(
    rows.filter(({ host_id }) => host_id !== null),
    ({ host_id }) => host_id,
  );
  return {
    perHost: [...placed.values()].map(({ length }) => length).sort((a, b) => a - b),
    refused: rows.flatMap(({ host_id, fault }) => (host_id === null ? (fault?.message ?? 'no fault') : [])),
  };
}

test('of forty servers made at once in an anti-affinity group one is on each host, and the others say why they have none', async () => {
  const { perHost, refused } = await where(await createMany(await group('anti-affinity'), 40));
  assert.deepEqual(perHost, Array(hostCount).fill(1));
  assert.equal(refused.length, 40 - hostCount);
  for (const message of refused) assert.match(message, /as many of the server group’s servers as may be on one/);
});

test('a group may have several on each host, where its rules say so', async () => {
  const { perHost, refused } = await where(await createMany(await group('anti-affinity', 2), 20));
  assert.deepEqual([perHost, refused.length], [Array(hostCount).fill(2), 20 - 2 * hostCount]);
});

test('an affinity group is on one host, also made at once', async () => {
  assert.deepEqual(await where(await createMany(await group('affinity'), 20)), { perHost: [20], refused: [] });
});

test('soft policies place as near as they can, and refuse nobody', async () => {
  const apart = await where(await createMany(await group('soft-anti-affinity'), 2 * hostCount + 1));
  assert.deepEqual(apart, { perHost: [...Array(hostCount - 1).fill(2), 3], refused: [] });
  assert.deepEqual(await where(await createMany(await group('soft-affinity'), 10)), { perHost: [10], refused: [] });
});

test('several servers of one request keep to their group, and a deleted member makes room', async () => {
  const serverGroup = await group('anti-affinity');
  const wish = cloud.wish({ flavor, serverGroup, minCount: hostCount, maxCount: hostCount });
  const { ids } = await cloud.service.create(cloud.member, wish);
  await controllers[0]!.reconcile(ids[0]!);
  assert.deepEqual((await where(ids)).perHost, Array(hostCount).fill(1));
  await sql`delete from server where id = ${ids[2]}`.execute(db.database.query);
  const [again] = await createMany(serverGroup, 1);
  assert.deepEqual((await where([...ids, again!])).perHost, Array(hostCount).fill(1));
});

test('a server whose host went away before it said a word leaves its group’s place there', async () => {
  const serverGroup = await group('affinity');
  const [id] = await createMany(serverGroup, 1);
  const host = sql`id = (select host_id from server where id = ${id})`;
  await sql`update host set connected = false, last_seen_at = now() - interval '1 minute' where ${host}`.execute(
    db.database.query,
  );
  const { rows } = await sql<{ host_id: string }>`select host_id from server where id = ${id}`.execute(
    db.database.query,
  );
  await controllers[1]!.reconcile(id!);
  const after = await sql<{ host_id: string }>`select host_id from server where id = ${id}`.execute(db.database.query);
  assert.notEqual(after.rows[0]!.host_id, rows[0]!.host_id);
  await sql`update host set connected = true`.execute(db.database.query);
});

test('a group that is gone binds nobody', async () => {
  const serverGroup = await group('anti-affinity');
  const ids = await createMany(serverGroup, hostCount);
  await new ServerGroupService({ database: db.database }).delete(cloud.member, serverGroup);
  const { ids: free } = await cloud.service.create(cloud.member, cloud.wish({ flavor }));
  await controllers[0]!.reconcile(free[0]!);
  assert.equal((await where([...ids, ...free])).refused.length, 0);
  await assert.rejects(cloud.service.create(cloud.member, cloud.wish({ flavor, serverGroup })), {
    code: 'not_found',
    reason: 'server_group_not_found',
  });
});

test('of a hundred servers made at once on nearly full hosts, by two controls, exactly so many get one as there is room for', async () => {
  const zone = 'nearly full';
  const room = [3, 0, 5, 1];
  for (const vcpus of room) await cloud.addHost({ vcpus, memoryMiB: 200_000, zone });
  const made = await Promise.all(
    Array.from({ length: 100 }, async (_, n) => {
      const { ids } = await cloud.service.create(cloud.member, cloud.wish({ flavor, availabilityZone: zone }));
      await controllers[n % controllers.length]!.reconcile(ids[0]!);
      return ids[0]!;
    }),
  );
  const { perHost, refused } = await where(made);
  assert.deepEqual(perHost, [1, 3, 5]);
  assert.equal(refused.length, 91);
  for (const message of refused) assert.match(message, /^Every host has too few vCPUs free\. Use a flavor with fewer/);
});

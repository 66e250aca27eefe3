/** Room that is kept for the loss of a host: what is refused for it, who may use it, and that it is enough. */
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { sql } from 'kysely';
import { isCloudError } from '../../../contract/errors.ts';
import type { HostId, ServerId } from '../../../contract/ids.ts';
import { until } from '../../../test/support/until.ts';
import { cloudActor } from '../../kit/database/database.ts';
import { type TestDatabase, testDatabase } from '../../kit/database/testing.ts';
import { resize } from '../server/actions/resize.ts';
import { setEvacuationPolicy } from '../server/evacuation-policy.ts';
import { Evacuator } from '../server/evacuator.ts';
import { placeMove } from '../server/moving.ts';
import { type ServerCloud, serverCloud, silentLog } from '../server/testing.ts';
import { SurvivalService } from '../survival/index.ts';
import { RefugeKeeper, ReserveService } from './index.ts';

let db: TestDatabase;
let cloud: ServerCloud;
let reserve: ReserveService;
let survival: SurvivalService;
before(async () => {
  db = await testDatabase();
  cloud = await serverCloud(db.database);
  reserve = new ReserveService(db);
  survival = new SurvivalService(db);
  await sql`update quota set maximum = -1 where project_id is null`.execute(db.database.query);
});
after(() => db[Symbol.asyncDispose]());
afterEach(async () => {
  await reserve.set(cloud.admin, 'none');
  for (const table of ['port', 'server', 'server_absence', 'host'])
    await sql`delete from ${sql.table(table)}`.execute(db.database.query);
});

const elsewhere = { restart: 'elsewhere', disk: 'from_image' } as const;
const keeper = () =>
  new RefugeKeeper({ database: db.database, log: silentLog, timing: { retryMs: 0, awayMs: 60_000 } });
const hosts = (count: number, vcpus = 8): Promise<HostId[]> =>
  Promise.all(Array.from({ length: count }, (_, n) => cloud.addHost({ name: `host-${n}`, vcpus })));

/** Null: no host takes it. */
async function create(vcpus: number, requestedHost: string | null = null): Promise<ServerId | null> {
  const flavor = await cloud.addFlavor({ vcpus });
  const { ids } = await cloud.service.create(cloud.admin, cloud.wish({ flavor, requestedHost }));
  await cloud.controller.reconcile(ids[0]!);
  const { host_id } = await cloud.service.get(cloud.admin, ids[0]!);
  return host_id === null ? null : ids[0]!;
}
const guard = (id: ServerId, policy: object = elsewhere) => setEvacuationPolicy(db.database, cloud.admin, id, policy);
const hostOf = async (id: ServerId) => (await cloud.service.get(cloud.admin, id)).host_id as HostId;
const refugeOf = async (id: ServerId) =>
  (
    await sql<{ lost_host_id: string; refuge_host_id: string }>`select lost_host_id, refuge_host_id from server_refuge
    where server_id = ${id}`.execute(db.database.query)
  ).rows;
const lastWhy = async (id: string) =>
  (
    await sql<{ refusals: Record<string, number> }>`select explanation -> 'refusals' as refusals from decision
      where resource_id = ${id} order by id desc limit 1`.execute(db.database.query)
  ).rows[0]!.refusals;

/** No host promises more than it has, and each loss is survived by all that shall be restarted. */
async function requireWhole(): Promise<void> {
  const { rows: over } =
    await sql`select h.name from host h join host_usage u on u.host_id = h.id join host_reserve k on k.host_id = h.id
    where u.vcpus + k.vcpus > h.vcpus or u.memory_mib + k.memory_mib > h.memory_mib`.execute(db.database.query);
  assert.deepEqual(over, [], 'a host promises more than it has');
  const lost = (await survival.summaries(cloud.admin)).filter(({ down }) => down.no_host > 0);
  assert.deepEqual(
    lost.map(({ loss }) => loss.name),
    [],
    'a loss is not survived',
  );
}

/** @returns its server, which no host takes */
async function refused(vcpus: number, requestedHost: string) {
  const flavor = await cloud.addFlavor({ vcpus });
  const { ids } = await cloud.service.create(cloud.admin, cloud.wish({ flavor, requestedHost }));
  await cloud.controller.reconcile(ids[0]!);
  const row = await cloud.service.get(cloud.admin, ids[0]!);
  assert.equal(row.host_id, null);
  return row;
}

test('what would leave no room for the loss of a host is refused, and the why says what is kept', async () => {
  const [, other] = await hosts(2);
  await reserve.set(cloud.admin, 'host');
  const first = (await create(4, 'host-0'))!;
  await guard(first);
  assert.deepEqual(await refugeOf(first), [{ lost_host_id: await hostOf(first), refuge_host_id: other }]);
  const second = (await create(4, 'host-1'))!;
  const row = await refused(1, 'host-1');
  assert.deepEqual(await lastWhy(row.id), { other_host_requested: 1, kept_for_lost_hosts: 1 });
  assert.match(row.fault!.message, /keeps what it has free for servers of a host that may be lost/);
  assert.match(row.fault!.details!, /which keeps 4 vCPUs/);
  await create(4, 'host-0');
  await assert.rejects(guard(second), { code: 'no_capacity', reason: 'no_refuge' });
  await requireWhole();
  assert.deepEqual(
    (await reserve.show(cloud.admin)).hosts.map(({ name, vcpus }) => [name, vcpus]),
    [['host-1', 4]],
  );
  await guard(first, { restart: 'never' });
  assert.notEqual(await create(4, 'host-1'), null, 'nothing is kept any more');
  await assert.rejects(reserve.set(cloud.member, 'host'), { code: 'forbidden' });
});

test('losses that do not come together share the room that is kept', async () => {
  await hosts(3);
  await reserve.set(cloud.admin, 'host');
  for (const host of ['host-0', 'host-2']) await guard((await create(4, host))!);
  assert.deepEqual(
    (await reserve.show(cloud.admin)).hosts.map(({ vcpus }) => vcpus),
    [4],
    'one host keeps it for both',
  );
  await requireWhole();
});

test('of all that share a failure domain the loss of the whole is survived, where that is asked for', async () => {
  const all = await hosts(4);
  for (const [n, id] of all.entries()) await survival.setFailureDomains(cloud.admin, id, { rack: n < 2 ? 'a' : 'b' });
  await reserve.set(cloud.admin, 'domain');
  const ids = [(await create(4, 'host-0'))!, (await create(4, 'host-1'))!];
  for (const id of ids) await guard(id);
  for (const id of ids) assert.ok(all.slice(2).includes((await refugeOf(id))[0]!.refuge_host_id as HostId));
  const kept = (await reserve.show(cloud.admin)).hosts.reduce((sum, { vcpus }) => sum + vcpus, 0);
  assert.equal(kept, 8, 'both come at once');
  await survival.setFailureDomains(cloud.admin, all[1]!, { rack: 'c' });
  assert.equal(
    (await reserve.show(cloud.admin)).hosts.reduce((sum, { vcpus }) => Math.max(sum, vcpus), 0),
    4,
    'each comes alone',
  );
  await requireWhole();
});

test('a refuge that comes to be lost with the server’s host is one no more', async () => {
  const all = await hosts(3);
  for (const [n, id] of all.entries()) await survival.setFailureDomains(cloud.admin, id, { rack: `${n}` });
  await reserve.set(cloud.admin, 'domain');
  const id = (await create(4, 'host-0'))!;
  await guard(id);
  const [before] = await refugeOf(id);
  await keeper().look();
  assert.deepEqual(await refugeOf(id), [before]);
  await survival.setFailureDomains(cloud.admin, before!.refuge_host_id, { rack: '0' });
  await keeper().look();
  const [after] = await refugeOf(id);
  assert.ok(after && ![all[0], before!.refuge_host_id].includes(after.refuge_host_id));
});

async function createAndGuard(n: number): Promise<string> {
  const id = await create(1 + (n % 3));
  if (id === null) return 'refused';
  if (n % 4 === 0) return 'plain';
  try {
    await guard(id);
    return 'guarded';
  } catch (error) {
    assert.ok(isCloudError(error, 'no_capacity'), String(error));
    return 'unguarded';
  }
}

test('of many creates and wishes at once no host promises more than it has, and every loss is survived', async () => {
  await hosts(5, 12);
  await reserve.set(cloud.admin, 'host');
  const outcomes: string[] = [];
  for (let wave = 0; wave < 5; wave++)
    outcomes.push(...(await Promise.all(Array.from({ length: 8 }, (_, n) => createAndGuard(n)))));
  const { kept, servers } = await reserve.show(cloud.admin);
  assert.equal(kept, outcomes.filter((one) => one === 'guarded').length);
  assert.equal(servers, kept);
  assert.ok(kept > 5 && outcomes.includes('refused'), outcomes.join());
  await requireWhole();
});

test('all of a host that is lost are restarted, where spread and bad luck would have left one without room', async () => {
  const [lost] = await hosts(3);
  await reserve.set(cloud.admin, 'host');
  const ids: ServerId[] = [];
  for (const vcpus of [2, 2, 4]) ids.push((await create(vcpus, 'host-0'))!);
  for (const host of ['host-1', 'host-2']) await create(4, host);
  for (const [n, id] of [...ids.entries()].reverse()) await guard(id, { ...elsewhere, priority: 10 - n });
  await cloud.obey(lost!);
  await sql`update host set connected = false, last_seen_at = now(), lease_ends_at = now() - interval '1 minute'
    where id = ${lost}`.execute(db.database.query);
  const timing = { everyMs: 5, steadyMs: 0, retryMs: 20, marginMs: 30_000 };
  const evacuator = new Evacuator({ database: db.database, ports: cloud.ports, log: silentLog, timing });
  evacuator.start();
  try {
    await until('all to be elsewhere', async () => (await Promise.all(ids.map(hostOf))).every((host) => host !== lost));
  } finally {
    evacuator.stop();
  }
});

test('a server that moves has a refuge for both of its hosts until it is there, and one that grows a larger one or none', async () => {
  const [from, to, other] = await hosts(3);
  await reserve.set(cloud.admin, 'host');
  const id = (await create(2, 'host-0'))!;
  await guard(id);
  const found = await db.database.transaction(cloudActor, (tx) => placeMove(tx, { serverId: id, only: to! }));
  assert.equal(found.host?.id, to);
  assert.deepEqual((await refugeOf(id)).map((row) => row.lost_host_id).sort(), [from, to].sort());
  await db.database.transaction(cloudActor, async (tx) => {
    await sql`update server set host_id = ${to}, epoch = epoch + 1 where id = ${id}`.execute(tx);
    await sql`delete from server_claim where server_id = ${id}`.execute(tx);
  });
  assert.deepEqual(
    (await refugeOf(id)).map((row) => row.lost_host_id),
    [to],
  );
  await create(6, 'host-0');
  await create(6, 'host-2');
  await cloud.obey(to!);
  const flavor = await cloud.addFlavor({ vcpus: 3 });
  await assert.rejects(cloud.service.act(cloud.admin, id, resize, { flavor }), { reason: 'resize_does_not_fit' });
  await requireWhole();
  assert.ok(other);
});

test('a refuge that is closed is replaced, and where there is none that is told', async () => {
  const [, second, third] = await hosts(3);
  await reserve.set(cloud.admin, 'host');
  const id = (await create(4, 'host-0'))!;
  await guard(id);
  const close = (host: HostId) => sql`update host set enabled = false where id = ${host}`.execute(db.database.query);
  const [refuge] = await refugeOf(id);
  const other = refuge!.refuge_host_id === second ? third! : second!;
  await close(refuge!.refuge_host_id as HostId);
  await keeper().look();
  assert.deepEqual(
    (await refugeOf(id)).map((row) => row.refuge_host_id),
    [other],
  );
  await close(other);
  await keeper().look();
  const shown = await reserve.show(cloud.admin);
  assert.deepEqual([shown.servers, shown.kept, shown.without.map((one) => one.id)], [1, 0, [id]]);
});

test('servers that were there before it is asked for get their refuges, and lose them when it is not asked for any more', async () => {
  await hosts(2);
  const id = (await create(4, 'host-0'))!;
  await guard(id);
  assert.deepEqual(await refugeOf(id), []);
  await reserve.set(cloud.admin, 'host');
  await keeper().look();
  assert.equal((await refugeOf(id)).length, 1);
  await reserve.set(cloud.admin, 'none');
  assert.deepEqual((await reserve.show(cloud.admin)).hosts, []);
});

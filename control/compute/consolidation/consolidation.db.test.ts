/** Hosts that nobody needs: emptied, shut down by their BMC, and woken when they are needed. BMCs are fakes on the wire. */
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { sql } from 'kysely';
import { type HostId, newId, type ServerId } from '../../../contract/ids.ts';
import type { FakeBmc } from '../../../simulator/redfish/index.ts';
import { type TestDatabase, testDatabase } from '../../kit/database/testing.ts';
import { testVolume } from '../../storage/attachment/testing.ts';
import { MaintenanceService } from '../maintenance/index.ts';
import { type BmcWorld, bmcWorld } from '../power/testing.ts';
import { ReserveService } from '../reserve/index.ts';
import { setEvacuationPolicy } from '../server/evacuation-policy.ts';
import { type ServerCloud, serverCloud, silentLog } from '../server/testing.ts';
import { ConsolidationService, Consolidator, overdueHosts, Standby } from './index.ts';

let db: TestDatabase;
let cloud: ServerCloud;
let world: BmcWorld;
let service: ConsolidationService;
before(async () => {
  db = await testDatabase();
  cloud = await serverCloud(db.database);
  service = new ConsolidationService({ database: db.database, policy: 'do' });
  await sql`update quota set maximum = -1 where project_id is null`.execute(db.database.query);
});
after(() => db[Symbol.asyncDispose]());
beforeEach(async () => {
  world = await bmcWorld(db.database, cloud.admin);
});
afterEach(async () => {
  await world[Symbol.asyncDispose]();
  await new ReserveService(db).set(cloud.admin, 'none');
  for (const table of ['port', 'server', 'server_absence', 'host'])
    await sql`delete from ${sql.table(table)}`.execute(db.database.query);
});

const timing = { holdMs: 0, restMs: 0 };
const consolidator = (policy: 'propose' | 'do' = 'do') =>
  new Consolidator({ database: db.database, log: silentLog, policy, timing });
const standby = (over = {}) =>
  new Standby({
    ...{ database: db.database, sealer: world.sealer, log: silentLog },
    timing: { lookMs: 0, asleepMs: 0, turnMs: 0, againMs: 60_000, ...over },
  });

const rowOf = async (host: HostId) => (await service.show(cloud.admin)).standby.find((row) => row.host_id === host);
const maintenanceCause = async (host: HostId) =>
  (await new MaintenanceService(cloud).show(cloud.admin, host))?.cause ?? null;

/** What its machine does when it has power, or none. */
async function give(host: HostId): Promise<FakeBmc> {
  return world.give(host, {
    onPower: (on) =>
      void sql`update host set connected = ${on}, connected_at = case when ${on} then clock_timestamp() else connected_at end,
        last_seen_at = clock_timestamp() where id = ${host}`.execute(db.database.query),
  });
}
async function hostPair() {
  const [a, b] = [await cloud.addHost({ name: 'a', vcpus: 16 }), await cloud.addHost({ name: 'b', vcpus: 16 })];
  return { a, b, bmc: await give(b) };
}
async function server(requestedHost: string | null, vcpus = 4): Promise<ServerId> {
  const flavor = await cloud.addFlavor({ vcpus });
  const { ids } = await cloud.service.create(cloud.admin, cloud.wish({ flavor, requestedHost }));
  await cloud.controller.reconcile(ids[0]!);
  return ids[0]!;
}
const connectedIs = async (host: HostId, connected: boolean) => {
  for (;;) {
    const { rows } = await sql`select from host where id = ${host} and connected = ${connected}`.execute(
      db.database.query,
    );
    if (rows.length > 0) return;
  }
};
async function asleep(host: HostId): Promise<void> {
  await consolidator().look();
  await standby().look();
  await connectedIs(host, false);
  await standby().look();
  assert.notEqual((await rowOf(host))?.off_at ?? null, null);
}

test('a host that nobody needs is closed, shut down in order, and in standby once its BMC says that it is off', async () => {
  const { b, bmc } = await hostPair();
  await consolidator('propose').look();
  assert.equal(await rowOf(b), undefined, 'it is only proposed');
  assert.equal((await service.show(cloud.admin)).sleep?.host_id, b);
  await asleep(b);
  assert.deepEqual(bmc.resets, ['GracefulShutdown']);
  assert.equal(await maintenanceCause(b), 'consolidation');
  await standby().look();
  assert.deepEqual(bmc.resets, ['GracefulShutdown'], 'once');
});

test('what stays awake says why: without a BMC, with control, with a volume, the last one', async () => {
  const { a, b } = await hostPair();
  const c = await cloud.addHost({ name: 'c' });
  await give(c);
  await sql`insert into control_process (id, machine, url, version, started_at, seen_at)
    values (gen_random_uuid(), 'c', '', '', now(), now())`.execute(db.database.query);
  const d = await cloud.addHost({ name: 'd', zone: 'other' });
  await give(d);
  const { stays, sleep } = await service.show(cloud.admin);
  const why = new Map(stays.map((stay) => [stay.host_id, stay.why]));
  assert.deepEqual([why.get(a), why.get(c), why.get(d)], ['no_bmc', 'has_control', 'last_of_its_zone']);
  assert.equal(sleep?.host_id, b);
  await sql`delete from control_process where machine = 'c'`.execute(db.database.query);
  await server('a', 10);
  await server('c', 10);
  assert.equal(
    (await service.show(cloud.admin)).stays.find((stay) => stay.host_id === c)?.why,
    'server_that_stays',
    'it is not running yet',
  );
});

test('servers leave it first, and none is shut down with one; one whose servers do not leave carries servers again', async () => {
  const { b, bmc } = await hostPair();
  const id = await server('b', 2);
  await cloud.obey(b);
  await consolidator().look();
  await standby().look();
  assert.deepEqual(bmc.resets, []);
  assert.equal(await maintenanceCause(b), 'consolidation');
  await standby({ emptyMs: 0 }).look();
  assert.equal(await rowOf(b), undefined);
  assert.equal(await maintenanceCause(b), null);
  assert.deepEqual(bmc.resets, []);
  assert.equal((await cloud.service.get(cloud.admin, id)).host_id, b);
});

test('what has come to a host while it was emptied, and is nowhere else, keeps it awake: a volume, or control', async () => {
  const { b, bmc } = await hostPair();
  await consolidator().look();
  await testVolume(db.database, { projectId: cloud.projectId, hostId: b });
  await standby().look();
  assert.equal((await rowOf(b))?.desired, 'standby', 'it may leave with a server yet');
  await standby({ emptyMs: 0 }).look();
  assert.deepEqual([await rowOf(b), await maintenanceCause(b)], [undefined, null]);
  for (const table of ['volume', 'volume_layer']) await sql`delete from ${sql.table(table)}`.execute(db.database.query);
  await consolidator().look();
  assert.equal((await rowOf(b))?.desired, 'standby');
  await sql`insert into control_process (id, machine, url, version, started_at, seen_at)
    values (gen_random_uuid(), 'b', '', '', now(), now())`.execute(db.database.query);
  await standby().look();
  assert.deepEqual(bmc.resets, []);
  await sql`delete from control_process where machine = 'b'`.execute(db.database.query);
  await standby().look();
  assert.deepEqual(bmc.resets, ['GracefulShutdown']);
});

test('nothing sleeps that the reserve for the loss of a host needs', async () => {
  const { b } = await hostPair();
  await new ReserveService(db).set(cloud.admin, 'host');
  const id = await server('a', 2);
  await setEvacuationPolicy(db.database, cloud.admin, id, { restart: 'elsewhere', disk: 'from_image' });
  await consolidator().look();
  assert.equal(await rowOf(b), undefined);
  assert.equal(await maintenanceCause(b), null);
});

test('a server that finds no host waits, its host is woken, and it goes there once that is heard', async () => {
  const { b, bmc } = await hostPair();
  await asleep(b);
  await server('a', 12);
  const id = await server(null, 8);
  const waiting = await cloud.service.get(cloud.admin, id);
  assert.deepEqual([waiting.host_id, waiting.fault], [null, null]);
  const { rows } = await sql<{
    waiting_for: string;
  }>`select waiting_for from operation where resource_id = ${id}`.execute(db.database.query);
  assert.equal(rows[0]!.waiting_for, 'a host in standby to be woken');
  assert.equal((await rowOf(b))?.desired, 'awake');
  await standby().look();
  await connectedIs(b, true);
  await standby().look();
  assert.deepEqual(bmc.resets, ['GracefulShutdown', 'On']);
  assert.equal(await rowOf(b), undefined);
  await cloud.controller.reconcile(id);
  assert.equal((await cloud.service.get(cloud.admin, id)).host_id, b);
});

test('hosts are woken before those that are awake become short, and when the cloud is not set so any more', async () => {
  const { b } = await hostPair();
  await asleep(b);
  await server('a', 13);
  await consolidator().look();
  assert.deepEqual(
    [(await rowOf(b))?.desired, (await rowOf(b))?.wake_reason],
    ['awake', 'those that are awake become short'],
  );
  await sql`update host_standby set desired = 'standby'`.execute(db.database.query);
  await consolidator('propose').look();
  assert.equal((await rowOf(b))?.desired, 'awake');
});

test('a process may die after each step: whoever comes next asks no more than once, and it ends the same', async () => {
  const { b, bmc } = await hostPair();
  bmc.quirks.add('slow to go off');
  await consolidator().look();
  for (let n = 0; n < 6; n++) await Promise.all([standby().look(), standby().look()]);
  assert.deepEqual(bmc.resets, ['GracefulShutdown']);
  assert.notEqual((await rowOf(b))!.off_at, null);
  await service.wake(cloud.admin, 'b');
  for (let n = 0; n < 3; n++) await Promise.all([standby().look(), standby().look()]);
  await connectedIs(b, true);
  await standby().look();
  assert.deepEqual(bmc.resets, ['GracefulShutdown', 'On']);
  assert.equal(await rowOf(b), undefined);
  assert.equal(await maintenanceCause(b), null);
});

test('one that does not come back is told of, nobody waits for it, and when it comes it carries servers again', async () => {
  const { b, bmc } = await hostPair();
  await asleep(b);
  bmc.trouble = 'ignores resets';
  await service.wake(cloud.admin, b);
  await standby().look();
  await standby({ overdueMs: 0 }).look();
  assert.deepEqual(await overdueHosts(db.database), [{ name: 'b', error: null }]);
  await server('a', 12);
  const { fault } = await cloud.service.get(cloud.admin, await server(null, 8));
  assert.match(fault!.message, /is switched off while nobody needs it/);
  bmc.trouble = undefined;
  bmc.turn(true);
  await connectedIs(b, true);
  await standby().look();
  assert.equal(await rowOf(b), undefined);
  assert.deepEqual(await overdueHosts(db.database), []);
});

test('an administrator’s word goes before: a host that is taken over is not shut down', async () => {
  const { b, bmc } = await hostPair();
  await consolidator().look();
  await new MaintenanceService(cloud).begin(cloud.admin, 'b', { reason: 'new fans' });
  await standby().look();
  assert.deepEqual(bmc.resets, []);
  assert.equal(await rowOf(b), undefined);
  assert.equal(await maintenanceCause(b), 'administrator');
});

test('a BMC whose machine is another one shuts nothing down, and says so', async () => {
  const [, b] = [await cloud.addHost({ name: 'a' }), await cloud.addHost({ name: 'b' })];
  const bmc = await world.give(b);
  await sql`update host set facts = facts || '{"machineUuid": "00000000-0000-4000-8000-00000000000b"}' where id = ${b}`.execute(
    db.database.query,
  );
  await consolidator().look();
  await standby().look();
  assert.deepEqual(bmc.resets, []);
  assert.match((await rowOf(b))!.error!, /nothing shows that the machine behind its BMC is b/);
});

test('one that has no power before it was asked is turned on when it is needed, whether that was seen or not', async () => {
  const { b, bmc } = await hostPair();
  for (const seen of [true, false]) {
    await consolidator().look();
    bmc.turn(false);
    await connectedIs(b, false);
    if (seen) await standby().look();
    assert.deepEqual([(await rowOf(b))!.asked_at, (await rowOf(b))!.off_at !== null], [null, seen]);
    await service.wake(cloud.admin, b);
    await standby().look();
    await connectedIs(b, true);
    await standby().look();
    assert.equal(await rowOf(b), undefined);
  }
  assert.deepEqual(bmc.resets, ['On', 'On']);
});

test('nobody sleeps for so long that a certificate is over', async () => {
  const { b, bmc } = await hostPair();
  await asleep(b);
  await sql`update host_standby set off_at = now() - interval '6 days'`.execute(db.database.query);
  await standby().look();
  assert.equal((await rowOf(b))!.desired, 'standby');
  await sql`update host_standby set off_at = now() - interval '8 days'`.execute(db.database.query);
  await standby().look();
  await standby().look();
  await connectedIs(b, true);
  assert.deepEqual(bmc.resets, ['GracefulShutdown', 'On']);
});

test('one that hangs while it shuts down is told of when it is needed, and nobody waits for it', async () => {
  const { b, bmc } = await hostPair();
  await consolidator().look();
  bmc.trouble = 'ignores resets';
  await standby().look();
  await sql`update host set connected = false where id = ${b}`.execute(db.database.query);
  await service.wake(cloud.admin, b);
  await standby().look();
  assert.deepEqual(await overdueHosts(db.database), []);
  await standby({ overdueMs: 0 }).look();
  assert.deepEqual(await overdueHosts(db.database), [{ name: 'b', error: null }]);
});

test('one that was asked in vain and is not heard is turned on once it is off', async () => {
  const { b, bmc } = await hostPair();
  await consolidator().look();
  bmc.trouble = 'ignores resets';
  for (let n = 0; n < 3; n++) await standby({ againMs: 0 }).look();
  await sql`update host set connected = false where id = ${b}`.execute(db.database.query);
  await standby({ againMs: 0 }).look();
  assert.equal((await rowOf(b))?.desired, 'awake');
  bmc.trouble = undefined;
  bmc.turn(false);
  await standby().look();
  await connectedIs(b, true);
  await standby().look();
  assert.equal(await rowOf(b), undefined);
  assert.equal(await maintenanceCause(b), null);
});

test('one that is asleep and a person’s is turned on by nobody until they end that', async () => {
  const { b, bmc } = await hostPair();
  await asleep(b);
  await new MaintenanceService(cloud).begin(cloud.admin, 'b', { reason: 'new fans' });
  await consolidator('propose').look();
  for (let n = 0; n < 2; n++) await standby().look();
  assert.deepEqual(bmc.resets, ['GracefulShutdown']);
  await new MaintenanceService(cloud).end(cloud.admin, 'b');
  for (let n = 0; n < 2; n++) await standby().look();
  assert.deepEqual(bmc.resets, ['GracefulShutdown', 'On']);
});

test('one that was asked to go takes no server where its maintenance is ended, and takes some once it is known that it stays', async () => {
  const { b, bmc } = await hostPair();
  await consolidator().look();
  bmc.trouble = 'ignores resets';
  await standby().look();
  assert.deepEqual(bmc.resets, ['GracefulShutdown']);
  await new MaintenanceService(cloud).end(cloud.admin, 'b');
  await server('a', 12);
  const id = await server(null, 8);
  assert.deepEqual((await cloud.service.get(cloud.admin, id)).host_id, null, 'it goes off in a moment');
  for (let n = 0; n < 2; n++) await standby({ againMs: 0 }).look();
  assert.equal(await rowOf(b), undefined);
  await cloud.controller.reconcile(id);
  assert.equal((await cloud.service.get(cloud.admin, id)).host_id, b);
});

test('a BMC of no use keeps no host empty for good, and one that takes no password is asked seldom', async () => {
  const { b, bmc } = await hostPair();
  await consolidator().look();
  bmc.password = 'another';
  await standby({ deniedMs: 60_000 }).look();
  const { rows } = await sql`select from host_standby where next_at > now() + interval '30 seconds'`.execute(
    db.database.query,
  );
  assert.equal(rows.length, 1);
  await sql`update host_standby set next_at = now()`.execute(db.database.query);
  await standby({ emptyMs: 0 }).look();
  assert.equal(await rowOf(b), undefined);
  assert.equal(await maintenanceCause(b), null);
});

test('one whose servers no other may have does not sleep: they shall be away from one there, or nobody takes a guest that runs', async () => {
  const { a, b } = await hostPair();
  const [near, far] = [await server('b', 2), await server('a', 2)];
  await cloud.obey(b);
  await cloud.obey(a);
  const whyOf = async () => {
    const { sleep, stays } = await service.show(cloud.admin);
    return sleep?.host_id === b ? 'sleeps' : stays.find((stay) => stay.host_id === b)?.why;
  };
  assert.equal(await whyOf(), 'sleeps');
  await sql`update server set different_host = ${[far]}::uuid[] where id = ${near}`.execute(db.database.query);
  assert.equal(await whyOf(), 'no_host_for_a_server');
  await sql`update server set different_host = null`.execute(db.database.query);
  await sql`update host set facts = facts || '{"migrations": ["cold"]}' where id = ${a}`.execute(db.database.query);
  assert.equal(await whyOf(), 'no_host_for_a_server');
});

test('what another history of the database wanted shuts nothing down, and wakes what sleeps', async () => {
  await sql`insert into cloud (id, region) values (${newId()}, 'here')`.execute(db.database.query);
  const { b, bmc } = await hostPair();
  const ofAnother = () =>
    sql`update host_standby set created_at = (select incarnation_at from cloud) - interval '1 minute'`.execute(
      db.database.query,
    );
  await consolidator().look();
  await ofAnother();
  for (let n = 0; n < 2; n++) await standby().look();
  assert.deepEqual([bmc.resets, await rowOf(b)], [[], undefined]);
  await asleep(b);
  await ofAnother();
  for (let n = 0; n < 2; n++) await standby().look();
  assert.deepEqual(bmc.resets, ['GracefulShutdown', 'On']);
});

test('one that was tried in vain keeps no other from it', async () => {
  const { b } = await hostPair();
  const c = await cloud.addHost({ name: 'c' });
  await give(c);
  const looking = consolidator();
  const first = (await service.show(cloud.admin)).sleep!.host_id;
  looking.refuse(first);
  await looking.look();
  assert.equal(await rowOf(first as HostId), undefined);
  assert.notEqual(await rowOf(first === b ? c : b), undefined);
});

test('a host that keeps room for a server goes to sleep once another one keeps it', async () => {
  const { b } = await hostPair();
  const c = await cloud.addHost({ name: 'c' });
  await new ReserveService(db).set(cloud.admin, 'host');
  const id = await server('a', 2);
  await setEvacuationPolicy(db.database, cloud.admin, id, { restart: 'elsewhere', disk: 'from_image' });
  const refuge = async () =>
    (
      await sql<{ host: string }>`select refuge_host_id as host from server_refuge where server_id = ${id}`.execute(
        db.database.query,
      )
    ).rows[0]?.host;
  assert.equal(await refuge(), b);
  await asleep(b);
  assert.equal(await refuge(), c);
});

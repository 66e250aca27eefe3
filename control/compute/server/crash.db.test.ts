/** Kills the controller after each of its steps, starts another, and wants the same end. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import type { HostId, ServerId } from '../../../contract/ids.ts';
import { type TestDatabase, testDatabase } from '../../kit/database/testing.ts';
import type { ControllerStep } from './controller.ts';
import { serverStatus } from './states.ts';
import { type ServerCloud, serverCloud } from './testing.ts';

let db: TestDatabase;
let cloud: ServerCloud;
let host: HostId;
let flavor: string;
before(async () => {
  db = await testDatabase();
  cloud = await serverCloud(db.database);
  host = await cloud.addHost();
  flavor = await cloud.addFlavor();
});
after(() => db[Symbol.asyncDispose]());

/** A process that dies after the step, if it comes to it, and then another that lives; twice, since repeats must not hurt. */
async function dieAndRepeat(step: ControllerStep, id: ServerId): Promise<void> {
  await cloud
    .dyingController(step)
    .reconcile(id)
    .catch((error: Error) => assert.match(error.message, /^died after/));
  await cloud.controller.reconcile(id);
  await cloud.controller.reconcile(id);
}

const rowsLeft = async (id: ServerId): Promise<Record<string, number>> => {
  const { rows } = await sql<Record<string, number>>`select
    (select count(*) from server where id = ${id}) as servers,
    (select count(*) from server_port where server_id = ${id}) as server_ports,
    (select count(*) from port where device_id = ${id}) as ports,
    (select count(*) from server_user_data where server_id = ${id}) as user_data,
    (select count(*) from operation where resource_id = ${id} and state = 'running') as running`.execute(
    db.database.query,
  );
  return rows[0]!;
};

for (const step of ['looked', 'placed'] as const) {
  test(`create reaches ACTIVE when the controller dies after '${step}'`, async () => {
    const { ids } = await cloud.service.create(cloud.member, cloud.wish({ flavor, userData: 'AAAA' }));
    await dieAndRepeat(step, ids[0]!);
    await cloud.obey(host);
    const server = await cloud.service.get(cloud.member, ids[0]!);
    assert.deepEqual([serverStatus(server), server.epoch, server.host_id], ['ACTIVE', 1, host]);
    const { rows } = await sql`select from decision where resource_id = ${ids[0]}`.execute(db.database.query);
    assert.equal(rows.length, 1, 'placed once');
    assert.deepEqual(await rowsLeft(ids[0]!), { servers: 1, server_ports: 1, ports: 1, user_data: 1, running: 0 });
  });
}

test("create without capacity is one ERROR when the controller dies after 'not placed'", async () => {
  const { ids } = await cloud.service.create(
    cloud.member,
    cloud.wish({ flavor: await cloud.addFlavor({ vcpus: 99 }) }),
  );
  await dieAndRepeat('not placed', ids[0]!);
  assert.equal(serverStatus(await cloud.service.get(cloud.member, ids[0]!)), 'ERROR');
  const { rows } = await sql`select from decision where resource_id = ${ids[0]}`.execute(db.database.query);
  assert.equal(rows.length, 1);
});

for (const step of ['looked', 'removed'] as const) {
  test(`delete leaves nothing when the controller dies after '${step}'`, async () => {
    const { ids } = await cloud.service.create(cloud.member, cloud.wish({ flavor, userData: 'AAAA' }));
    await cloud.controller.reconcile(ids[0]!);
    await cloud.obey(host);
    await cloud.service.delete(cloud.member, ids[0]!);
    await dieAndRepeat(step, ids[0]!);
    await cloud.obey(host);
    await dieAndRepeat(step, ids[0]!);
    assert.deepEqual(await rowsLeft(ids[0]!), { servers: 0, server_ports: 0, ports: 0, user_data: 0, running: 0 });
  });
}

test('a delete that meets a placement half-way wins, whichever comes first', async () => {
  const { ids } = await cloud.service.create(cloud.member, cloud.wish({ flavor }));
  await Promise.all([cloud.controller.reconcile(ids[0]!), cloud.service.delete(cloud.member, ids[0]!)]);
  await cloud.controller.reconcile(ids[0]!);
  await cloud.obey(host);
  await cloud.controller.reconcile(ids[0]!);
  assert.equal((await rowsLeft(ids[0]!)).servers, 0);
});

test('the sweep finds a server whose job is lost', async () => {
  const { ids } = await cloud.service.create(cloud.member, cloud.wish({ flavor }));
  await sql`select graphile_worker.remove_job(${`server:${ids[0]}`})`.execute(db.database.query);
  await cloud.controller.sweep();
  const jobs = await sql`select from graphile_worker.jobs where key = ${`server:${ids[0]}`}`.execute(db.database.query);
  assert.equal(jobs.rows.length, 1);
});

test('waiting for a deadline never replaces the look that a report asks for', async () => {
  const { ids } = await cloud.service.create(cloud.member, cloud.wish({ flavor }));
  const id = ids[0]!;
  await cloud.controller.reconcile(id);
  await cloud.obey(host);
  await cloud.service.delete(cloud.member, id);
  await cloud.obey(host);
  // A pass that read the row before the report and goes to sleep after it.
  await sql`update server set observed_state = 'running' where id = ${id}`.execute(db.database.query);
  await cloud.controller.reconcile(id);
  const { rows } = await sql<{ due: boolean }>`select run_at <= now() as due from graphile_worker.jobs
    where key = ${`server:${id}`}`.execute(db.database.query);
  assert.deepEqual(rows, [{ due: true }]);
});

test('a connected host that never removes a guest is waited for five minutes, no longer', async () => {
  const { ids } = await cloud.service.create(cloud.member, cloud.wish({ flavor }));
  const id = ids[0]!;
  await cloud.controller.reconcile(id);
  await cloud.obey(host);
  await cloud.service.delete(cloud.member, id);
  const age = (minutes: number) =>
    sql`update operation set created_at = now() - ${minutes} * interval '1 minute', deadline = now() - interval '1 second'
      where resource_id = ${id} and state = 'running'`.execute(db.database.query);
  await age(4);
  await cloud.report(host, id, { state: 'failed', error: { code: 'busy', message: 'the disk is busy' } });
  await cloud.controller.reconcile(id);
  assert.equal((await rowsLeft(id)).servers, 1);
  await age(6);
  await cloud.controller.reconcile(id);
  assert.deepEqual(await rowsLeft(id), { servers: 0, server_ports: 0, ports: 0, user_data: 0, running: 0 });
});

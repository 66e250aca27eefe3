import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { type HostId, newId, type ServerId } from '../../../contract/ids.ts';
import { Secret } from '../../../contract/secret.ts';
import { type TestDatabase, testDatabase } from '../../kit/database/testing.ts';
import * as serverActions from './actions/index.ts';
import { serverStatus, taskState } from './states.ts';
import { callerOf, oddName, type ServerCloud, serverCloud } from './testing.ts';
import type { ServerWish } from './wish.ts';

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

const statusOf = async (id: ServerId) => serverStatus(await cloud.service.get(cloud.member, id));

async function active(over: Parameters<ServerCloud['wish']>[0] = {}): Promise<ServerId> {
  const { ids } = await cloud.service.create(cloud.member, cloud.wish({ flavor, ...over }));
  for (const id of ids) await cloud.controller.reconcile(id);
  await cloud.obey(host);
  return ids[0]!;
}

test('a server goes from BUILD to ACTIVE, stops, starts, reboots and goes, with a name of any script', async () => {
  const { ids } = await cloud.service.create(cloud.member, cloud.wish({ flavor }));
  const id = ids[0]!;
  const fresh = await cloud.service.get(cloud.member, id);
  assert.equal(fresh.name, oddName);
  assert.equal(fresh.hostname, 'x-drop');
  assert.deepEqual([serverStatus(fresh), taskState(fresh)], ['BUILD', 'scheduling']);
  await cloud.controller.reconcile(id);
  const placed = await cloud.service.get(cloud.member, id);
  assert.deepEqual([placed.host_id, placed.epoch, taskState(placed)], [host, 1, 'spawning']);
  const [desired] = await cloud.side.desiredServers(db.database.query, { serverIds: [id] });
  assert.equal(desired!.ports.length, 1);
  assert.equal(desired!.image!.format, 'qcow2');
  await cloud.obey(host);
  assert.equal(await statusOf(id), 'ACTIVE');

  await cloud.service.act(cloud.member, id, serverActions.stop);
  assert.equal(taskState(await cloud.service.get(cloud.member, id)), 'powering-off');
  await assert.rejects(cloud.service.act(cloud.member, id, serverActions.start), { code: 'conflict' });
  await cloud.obey(host);
  assert.equal(await statusOf(id), 'SHUTOFF');
  await cloud.service.act(cloud.member, id, serverActions.start);
  await cloud.obey(host);
  assert.equal(await statusOf(id), 'ACTIVE');
  await cloud.service.act(cloud.member, id, serverActions.softReboot);
  assert.equal(await statusOf(id), 'REBOOT');
  await cloud.service.act(cloud.member, id, serverActions.hardReboot);
  assert.equal(await statusOf(id), 'HARD_REBOOT');
  await cloud.obey(host);
  assert.equal(await statusOf(id), 'ACTIVE');

  const { operations } = await cloud.service.operations(cloud.member, id);
  assert.deepEqual(
    operations.map(({ verb, state }) => `${verb} ${state}`),
    ['reboot hard succeeded', 'reboot soft failed', 'start succeeded', 'stop succeeded', 'create succeeded'],
  );
  await cloud.service.delete(cloud.member, id);
  await cloud.service.delete(cloud.member, id);
  await cloud.controller.reconcile(id);
  assert.equal(taskState(await cloud.service.get(cloud.member, id)), 'deleting');
  assert.deepEqual(await cloud.obey(host), [id], 'and the host may forget it');
  await cloud.controller.reconcile(id);
  await assert.rejects(cloud.service.get(cloud.member, id), { code: 'not_found' });
  const left = await sql`select from port where device_id = ${id}`.execute(db.database.query);
  assert.equal(left.rows.length, 0);
});

test('a first password is told to the host of a server with a config drive until the guest has run', async () => {
  const told = async (over: Partial<ServerWish>) => {
    const adminPassword = new Secret('密 🏔');
    const { ids } = await cloud.service.create(cloud.member, cloud.wish({ flavor, adminPassword, ...over }));
    await cloud.controller.reconcile(ids[0]!);
    const password = async () =>
      (await cloud.side.desiredServers(cloud.database.query, { serverIds: ids }))[0]!.adminPassword;
    return { id: ids[0]!, password };
  };
  const { id, password } = await told({ configDrive: true });
  assert.equal(await password(), '密 🏔');
  await cloud.report(host, id, { state: 'building' });
  await cloud.report(host, id, { state: 'failed', error: { code: 'no_image', message: 'no image' } });
  assert.equal(await password(), '密 🏔', 'the guest did not run yet');
  await cloud.report(host, id);
  assert.equal(await password(), undefined);
  assert.equal(await (await told({ configDrive: false })).password(), undefined, 'nothing could take it to the guest');
});

test('several servers are made all or none', async () => {
  const limited = await serverCloud(db.database);
  await sql`insert into quota (id, project_id, resource, maximum) values (${newId()}, ${limited.projectId}, 'servers', 3)`.execute(
    db.database.query,
  );
  const wish = limited.wish({ flavor, name: 'many', minCount: 4, maxCount: 4 });
  await assert.rejects(limited.service.create(limited.member, wish), { code: 'quota_exceeded' });
  assert.equal((await limited.service.list(limited.member, {}, { allProjects: false })).length, 0);
  const made = await limited.service.create(limited.member, { ...wish, minCount: 2, maxCount: 9 });
  assert.equal(made.ids.length, 3, 'as many as the quota leaves, at least min_count');
  const names = (await limited.service.list(limited.member, {}, { allProjects: false })).map(({ name }) => name);
  assert.deepEqual(names.sort(), ['many-1', 'many-2', 'many-3']);
});

test('no capacity is an ERROR that says why and what would help; the administrator sees each host', async () => {
  const big = await cloud.addFlavor({ memoryMiB: 100_000 });
  const { ids } = await cloud.service.create(cloud.member, cloud.wish({ flavor: big }));
  await cloud.controller.reconcile(ids[0]!);
  const server = await cloud.service.get(cloud.member, ids[0]!);
  assert.equal(serverStatus(server), 'ERROR');
  assert.match(server.fault!.message, /^Every host has too little memory free\. Use a flavor/);
  const decision = await sql<{ inputs: { verdicts: unknown[] }; outcome: string }>`
    select inputs, outcome from decision where resource_id = ${ids[0]}`.execute(db.database.query);
  assert.equal(decision.rows[0]!.outcome, 'no_capacity');
  await cloud.service.delete(cloud.member, ids[0]!);
  await cloud.controller.reconcile(ids[0]!);
  await assert.rejects(cloud.service.get(cloud.member, ids[0]!), { code: 'not_found' });
});

test('two placements at once never take the same last place', async () => {
  const narrow = await cloud.addHost({ vcpus: 1, zone: 'narrow' });
  const wish = cloud.wish({ flavor, availabilityZone: 'narrow' });
  const [a, b] = await Promise.all([
    cloud.service.create(cloud.member, wish),
    cloud.service.create(cloud.member, wish),
  ]);
  await Promise.all([cloud.controller.reconcile(a.ids[0]!), cloud.controller.reconcile(b.ids[0]!)]);
  const statuses = [await statusOf(a.ids[0]!), await statusOf(b.ids[0]!)].sort();
  assert.deepEqual(statuses, ['BUILD', 'ERROR']);
  await cloud.obey(narrow);
});

test('reports of another host, another epoch or an older generation change nothing', async () => {
  const other = await cloud.addHost();
  await sql`update host set enabled = false where id = ${other}`.execute(db.database.query);
  const id = await active();
  const before = await cloud.service.get(cloud.member, id);
  await cloud.report(other, id, { state: 'stopped' });
  await cloud.report(host, id, { state: 'stopped', epoch: before.epoch + 1 });
  await cloud.report(host, id, { state: 'stopped', generation: before.generation + 1 });
  assert.deepEqual(await cloud.service.get(cloud.member, id), before);
  await cloud.service.act(cloud.member, id, serverActions.stop);
  await cloud.obey(host);
  await cloud.report(host, id, { state: 'running', generation: before.generation });
  assert.equal(await statusOf(id), 'SHUTOFF');
});

test('a guest that shut itself down stays SHUTOFF', async () => {
  const id = await active();
  await cloud.report(host, id, { state: 'stopped' });
  const server = await cloud.service.get(cloud.member, id);
  assert.deepEqual([serverStatus(server), server.desired_power, taskState(server)], ['SHUTOFF', 'off', null]);
  await cloud.obey(host);
  assert.equal(await statusOf(id), 'SHUTOFF');
  await cloud.service.act(cloud.member, id, serverActions.start);
  await cloud.obey(host);
  assert.equal(await statusOf(id), 'ACTIVE');
});

test('a guest that dies before it was seen running leaves SHUTOFF and a failed operation that says why', async () => {
  const { ids } = await cloud.service.create(cloud.member, cloud.wish({ flavor }));
  await cloud.controller.reconcile(ids[0]!);
  await cloud.report(host, ids[0]!, { state: 'building', step: 'starting the guest' });
  await cloud.report(host, ids[0]!, { state: 'stopped', error: { code: 'guest_died', message: 'QEMU ended' } });
  assert.equal(await statusOf(ids[0]!), 'SHUTOFF');
  const { operations } = await cloud.service.operations(cloud.member, ids[0]!);
  assert.deepEqual([operations[0]!.state, operations[0]!.error_message], ['failed', 'QEMU ended']);
});

test('a host that gives up makes an ERROR with its words; a hard reboot tries again', async () => {
  const { ids } = await cloud.service.create(cloud.member, cloud.wish({ flavor }));
  const id = ids[0]!;
  await cloud.controller.reconcile(id);
  await cloud.report(host, id, { state: 'failed', error: { code: 'no_capacity', message: 'no space for the disk' } });
  const failed = await cloud.service.get(cloud.member, id);
  assert.deepEqual([serverStatus(failed), failed.fault!.message], ['ERROR', 'no space for the disk']);
  const { operations } = await cloud.service.operations(cloud.member, id);
  assert.deepEqual([operations[0]!.state, operations[0]!.error_code], ['failed', 'no_capacity']);
  await cloud.service.act(cloud.member, id, serverActions.hardReboot);
  await cloud.obey(host);
  assert.equal(await statusOf(id), 'ACTIVE');
});

test('an operation whose deadline passed ends in ERROR that names what was waited for, and heals when the host comes', async () => {
  const { ids } = await cloud.service.create(cloud.member, cloud.wish({ flavor }));
  await cloud.controller.reconcile(ids[0]!);
  await sql`update operation set deadline = now() where resource_id = ${ids[0]}`.execute(db.database.query);
  await cloud.controller.reconcile(ids[0]!);
  const server = await cloud.service.get(cloud.member, ids[0]!);
  assert.equal(serverStatus(server), 'ERROR');
  assert.match(server.fault!.message, /waiting for the host to take the server/);
  await cloud.obey(host);
  assert.equal(await statusOf(ids[0]!), 'ACTIVE');
});

test('a server that never had a host is gone when its deletion is answered, with its ports, whether it was refused or waits', async () => {
  const { ids: refused } = await cloud.service.create(
    cloud.member,
    cloud.wish({ flavor: await cloud.addFlavor({ diskGiB: 5000 }) }),
  );
  await cloud.controller.reconcile(refused[0]!);
  assert.equal(await statusOf(refused[0]!), 'ERROR');
  const { ids: waiting } = await cloud.service.create(cloud.member, cloud.wish({ flavor }));
  for (const id of [refused[0]!, waiting[0]!]) {
    await cloud.service.delete(cloud.member, id);
    await assert.rejects(cloud.service.get(cloud.member, id), { code: 'not_found' });
    await cloud.controller.reconcile(id);
    const { rows } = await sql<{
      ports: number;
      state: string;
    }>`select (select count(*)::integer from server_port where server_id = ${id}) as ports,
      (select state from operation where resource_id = ${id} and verb = 'delete') as state`.execute(db.database.query);
    assert.deepEqual(rows, [{ ports: 0, state: 'succeeded' }]);
  }
});

test('delete finishes without a host that is gone, once the deadline has passed', async () => {
  const gone = await cloud.addHost({ zone: 'gone' });
  const { ids } = await cloud.service.create(cloud.member, cloud.wish({ flavor, availabilityZone: 'gone' }));
  const id = ids[0]!;
  await cloud.controller.reconcile(id);
  await cloud.obey(gone);
  await sql`update host set connected = false where id = ${gone}`.execute(db.database.query);
  await cloud.service.delete(cloud.member, id);
  await cloud.controller.reconcile(id);
  assert.equal(taskState(await cloud.service.get(cloud.member, id)), 'deleting');
  await sql`update operation set deadline = now() where resource_id = ${id}`.execute(db.database.query);
  await cloud.controller.reconcile(id);
  await assert.rejects(cloud.service.get(cloud.member, id), { code: 'not_found' });
  assert.deepEqual(
    await cloud.side.desiredServers(db.database.query, { hostId: gone }),
    [],
    'the snapshot is without it',
  );
  assert.deepEqual(await cloud.report(gone, id, { state: 'absent' }), [id], 'and the host may forget it');
});

test('a lost disk of a wanted server is not forgotten', async () => {
  const id = await active();
  assert.deepEqual(await cloud.report(host, id, { state: 'absent' }), []);
});

test('lists filter, sort and page; other projects’ servers are hidden', async () => {
  const own = await serverCloud(db.database);
  const make = async (name: string, tags: string[] = []) =>
    (await own.service.create(own.member, own.wish({ flavor, name, tags }))).ids[0]!;
  const [a, b, c] = [await make('alpha', ['red']), await make('beta', ['red', 'blue']), await make(oddName)];
  const list = async (filter: Parameters<typeof own.service.list>[1]) =>
    (await own.service.list(own.member, filter, { allProjects: false })).map(({ id }) => id);
  assert.deepEqual(await list({}), [c, b, a]);
  assert.deepEqual(await list({ limit: 2 }), [c, b]);
  assert.deepEqual(await list({ limit: 2, marker: b }), [a]);
  assert.deepEqual(await list({ sort: [{ key: 'name', direction: 'asc' }], marker: a! }), [b, c]);
  const often = new Array(1300).fill({ key: 'name', direction: 'desc' });
  const sort = [{ key: 'name' as const, direction: 'asc' as const }, ...often];
  assert.deepEqual(await list({ sort, marker: a! }), [b, c], 'a key counts once');
  assert.deepEqual(await list({ patterns: { name: '小屋' } }), [c]);
  assert.deepEqual(await list({ patterns: { name: '^(al|be)' } }), [b, a]);
  assert.deepEqual(await list({ tags: ['red', 'blue'] }), [b]);
  assert.deepEqual(await list({ notTagsAny: ['red'] }), [c]);
  assert.deepEqual(await list({ statuses: ['ACTIVE'] }), []);
  await assert.rejects(list({ marker: newId() }), { code: 'invalid' });
  for (const name of ['(', '(((a|b)*c)*|d){200}'])
    await assert.rejects(list({ patterns: { name } }), { code: 'invalid' });
  await assert.rejects(cloud.service.get(cloud.member, a!), { code: 'not_found' });
  await assert.rejects(cloud.service.list(cloud.member, {}, { allProjects: true }), { code: 'forbidden' });
  assert.equal((await own.service.list(own.admin, {}, { allProjects: true })).length > 3, true);
  await own.service.delete(own.member, a!);
  await own.controller.reconcile(a!);
  const gone = await own.service.list(own.admin, { which: 'deleted' }, { allProjects: false });
  assert.deepEqual(
    gone.map(({ id, deleted_at }) => [id, deleted_at instanceof Date]),
    [[a, true]],
  );
  const since = await own.service.list(
    own.member,
    { which: 'both', changesSince: new Date(Date.now() - 60_000) },
    { allProjects: false },
  );
  assert.deepEqual(
    since.map(({ id }) => id),
    [c, b, a],
  );
});

test('readers may look and not touch; locked servers move only for administrators', async () => {
  const id = await active();
  const reader = callerOf(cloud.projectId, ['reader']);
  await cloud.service.get(reader, id);
  await assert.rejects(cloud.service.delete(reader, id), { code: 'forbidden' });
  await assert.rejects(cloud.service.delete(callerOf(newId()), id), { code: 'not_found' });
  await cloud.service.act(cloud.member, id, serverActions.lock, { reason: 'mine' });
  await assert.rejects(cloud.service.act(cloud.member, id, serverActions.stop), { code: 'conflict' });
  await cloud.service.act(cloud.admin, id, serverActions.stop);
  await cloud.service.act(cloud.member, id, serverActions.unlock);
  await cloud.service.delete(cloud.member, id);
});

/** What each action makes of a server's row, what is shown meanwhile and at its end, and when it is refused. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { type HostId, type ImageId, newId, type ServerId } from '../../../../contract/ids.ts';
import { type TestDatabase, testDatabase, testProject } from '../../../kit/database/testing.ts';
import { newAdminPassword } from '../admin-password.ts';
import { legal, type Verb } from '../legal.ts';
import { powerState, type ServerStatus, serverStatus, type TaskState, taskState, vmState } from '../states.ts';
import { callerOf, oddName, type ServerCloud, serverCloud } from '../testing.ts';
import type { ServerAction } from './action.ts';
import * as actions from './index.ts';

let db: TestDatabase;
let cloud: ServerCloud;
let host: HostId;
let flavor: string;
let large: string;
before(async () => {
  db = await testDatabase();
  cloud = await serverCloud(db.database);
  host = await cloud.addHost({ vcpus: 100 });
  flavor = await cloud.addFlavor();
  large = await cloud.addFlavor({ vcpus: 2, memoryMiB: 1024 });
});
after(() => db[Symbol.asyncDispose]());

async function active(): Promise<ServerId> {
  const { ids } = await cloud.service.create(cloud.member, cloud.wish({ flavor }));
  await cloud.controller.reconcile(ids[0]!);
  await cloud.obey(host);
  return ids[0]!;
}

const get = (id: ServerId) => cloud.service.get(cloud.member, id);
const act = (id: ServerId, action: ServerAction) => cloud.service.act(cloud.member, id, action);
const shown = async (id: ServerId): Promise<[ServerStatus, TaskState]> => {
  const server = await get(id);
  return [serverStatus(server), taskState(server)];
};
const rescue: ServerAction = {
  ...actions.rescue,
  decide: (work, server) => actions.rescue.decide(work, server, { imageId: null, password: null }),
};

const rebuild: ServerAction = {
  ...actions.rebuild,
  decide: (work, server) =>
    actions.rebuild.decide(work, server, {
      imageId: cloud.imageId,
      password: newAdminPassword(),
      notes: {},
      files: [],
    }),
};

const createImage: ServerAction = {
  ...actions.createImage,
  decide: (work, server) => {
    const wish = { imageId: newId<ImageId>(), name: oddName, metadata: {} };
    return actions.createImage.decide(work, server, wish);
  },
};

const resize = (flavorId: () => string): ServerAction => ({
  ...actions.resize,
  decide: (work, server) => actions.resize.decide(work, server, { flavor: flavorId() }),
});
const [larger, back] = [resize(() => large), resize(() => flavor)];

/** From ACTIVE, one after the other: what is shown while the host works on it, and then. */
const life: [string, ServerAction, [ServerStatus, TaskState], ServerStatus, number][] = [
  ['pause', actions.pause, ['ACTIVE', 'pausing'], 'PAUSED', 3],
  ['unpause', actions.unpause, ['PAUSED', 'unpausing'], 'ACTIVE', 1],
  ['suspend', actions.suspend, ['ACTIVE', 'suspending'], 'SUSPENDED', 7],
  ['resume', actions.resume, ['SUSPENDED', 'resuming'], 'ACTIVE', 1],
  ['rescue', rescue, ['ACTIVE', 'rescuing'], 'RESCUE', 1],
  ['unrescue', actions.unrescue, ['RESCUE', 'unrescuing'], 'ACTIVE', 1],
  ['resize', larger, ['RESIZE', 'resize_prep'], 'VERIFY_RESIZE', 1],
  ['revertResize', actions.revertResize, ['REVERT_RESIZE', 'resize_reverting'], 'ACTIVE', 1],
  ['resize', larger, ['RESIZE', 'resize_prep'], 'VERIFY_RESIZE', 1],
  ['confirmResize', actions.confirmResize, ['VERIFY_RESIZE', null], 'ACTIVE', 1],
  ['resize', back, ['RESIZE', 'resize_prep'], 'VERIFY_RESIZE', 1],
  ['confirmResize', actions.confirmResize, ['VERIFY_RESIZE', null], 'ACTIVE', 1],
  ['rebuild', rebuild, ['REBUILD', 'rebuilding'], 'ACTIVE', 1],
  ['createImage', createImage, ['ACTIVE', 'image_snapshot'], 'ACTIVE', 1],
  ['stop', actions.stop, ['ACTIVE', 'powering-off'], 'SHUTOFF', 4],
  ['rebuild', rebuild, ['REBUILD', 'rebuilding'], 'SHUTOFF', 4],
  ['rescue', rescue, ['SHUTOFF', 'rescuing'], 'RESCUE', 1],
  ['unrescue', actions.unrescue, ['RESCUE', 'unrescuing'], 'ACTIVE', 1],
  ['pause', actions.pause, ['ACTIVE', 'pausing'], 'PAUSED', 3],
  ['reboot hard', actions.hardReboot, ['PAUSED', 'rebooting_hard'], 'ACTIVE', 1],
  ['suspend', actions.suspend, ['ACTIVE', 'suspending'], 'SUSPENDED', 7],
  ['reboot hard', actions.hardReboot, ['SUSPENDED', 'rebooting_hard'], 'ACTIVE', 1],
];

test('a server goes through every power, and each act is an operation that ends', async () => {
  const id = await active();
  for (const [verb, action, meanwhile, end, power] of life) {
    await act(id, action);
    assert.deepEqual(await shown(id), meanwhile, verb);
    await cloud.obey(host);
    assert.deepEqual(await shown(id), [end, null], verb);
    assert.equal(powerState(await get(id)), power, verb);
  }
  const { operations } = await cloud.service.operations(cloud.member, id);
  assert.deepEqual(operations.map(({ verb, state }) => [verb, state]).reverse(), [
    ['create', 'succeeded'],
    ...life.map(([verb]) => [verb, 'succeeded']),
  ]);
});

test('while one act is under way the next is refused, except the hard reboot that Nova allows', async () => {
  const id = await active();
  await act(id, actions.suspend);
  for (const action of [actions.pause, actions.suspend, actions.stop, actions.softReboot, rescue]) {
    await assert.rejects(act(id, action), { code: 'conflict', reason: 'server_state_conflict' });
  }
  await act(id, actions.hardReboot);
  await cloud.obey(host);
  assert.deepEqual(await shown(id), ['ACTIVE', null]);
});

test('what a state does not allow is refused with the state that is in the way', async () => {
  const id = await active();
  const wrong: [ServerAction, string][] = [
    [actions.start, 'start'],
    [actions.unpause, 'unpause'],
    [actions.resume, 'resume'],
    [actions.unrescue, 'unrescue'],
    [actions.restore, 'restore'],
  ];
  for (const [action, call] of wrong) {
    await assert.rejects(act(id, action), {
      code: 'conflict',
      fields: { id, call, attribute: 'vm_state', value: 'active' },
    });
  }
});

test('a locked server is left alone by every act that does not say otherwise', async () => {
  const id = await active();
  await cloud.service.act(cloud.member, id, actions.lock, { reason: 'mine' });
  for (const action of [actions.pause, actions.suspend, rescue, actions.remove, actions.forceDelete]) {
    await assert.rejects(act(id, action), { code: 'conflict', reason: 'server_locked' });
  }
  await assert.rejects(cloud.service.act(callerOf(cloud.projectId, ['reader']), id, actions.unlock), {
    code: 'forbidden',
  });
  await act(id, actions.unlock);
  await act(id, actions.pause);
});

test('a paused or suspended guest whose host has lost it is off, and says why', async () => {
  for (const action of [actions.pause, actions.suspend]) {
    const id = await active();
    await act(id, action);
    await cloud.obey(host);
    const error = { code: 'memory_lost', message: 'the guest was paused, and what it had in memory is lost' };
    await cloud.report(host, id, { state: 'stopped', error });
    const server = await get(id);
    assert.deepEqual([serverStatus(server), taskState(server), server.desired_power], ['SHUTOFF', null, 'off']);
    assert.equal(server.observed_error!.code, 'memory_lost');
  }
});

test('a rescue takes an image of choice, the server’s own where none is named, and no other', async () => {
  const id = await active();
  const wish = (imageId: string | null) => ({ imageId: imageId as ImageId | null, password: null });
  await assert.rejects(cloud.service.act(cloud.member, id, actions.rescue, wish(newId())), {
    code: 'invalid',
    reason: 'rescue_image_unsupported',
  });
  const queued = newId();
  const raw = newId();
  await sql`insert into image (id, project_id, name, status, disk_format, size_bytes, virtual_size_bytes, sha256, visibility)
    values (${queued}, ${cloud.projectId}, 'not there yet', 'queued', null, null, null, null, 'private'),
      (${raw}, ${cloud.projectId}, 'another', 'active', 'raw', 512, 512, 'cc', 'private')`.execute(db.database.query);
  await assert.rejects(cloud.service.act(cloud.member, id, actions.rescue, wish(queued)), { code: 'invalid' });
  const desired = async () => {
    const [document] = await cloud.side.desiredServers(db.database.query, { serverIds: [id] });
    return document!.rescue;
  };
  assert.equal(await desired(), null);
  await cloud.service.act(cloud.member, id, actions.rescue, wish(raw));
  const { generation } = await get(id);
  assert.deepEqual(await desired(), {
    count: generation,
    image: { id: raw, format: 'raw', sizeBytes: 512, sha256: 'cc', sources: [] },
  });
  await cloud.obey(host);
  assert.equal(vmState(await get(id)), 'rescued');
  await act(id, actions.unrescue);
  assert.equal(await desired(), null);
  await cloud.obey(host);
  await act(id, rescue);
  assert.equal((await desired())!.image.id, cloud.imageId);
});

test('a deleted server can be restored for a while, counts no quota meanwhile, and is hidden from lists', async () => {
  const own = await serverCloud(db.database);
  const { service } = own.reclaiming(3600);
  await sql`insert into quota (id, project_id, resource, maximum) values (${newId()}, ${own.projectId}, 'servers', 1)`.execute(
    db.database.query,
  );
  const make = async () => {
    const { ids } = await service.create(own.member, own.wish({ flavor }));
    await own.controller.reconcile(ids[0]!);
    await own.obey(host);
    return ids[0]!;
  };
  const list = async (filter: Parameters<typeof service.list>[1]) =>
    (await service.list(own.admin, filter, { allProjects: false })).map((one) => one.id);
  const status = async (id: ServerId) => serverStatus(await service.get(own.member, id));
  const first = await make();
  await service.delete(own.member, first);
  assert.equal(taskState(await service.get(own.member, first)), 'soft-deleting');
  await service.delete(own.member, first);
  await own.obey(host);
  assert.deepEqual([await status(first), taskState(await service.get(own.member, first))], ['SOFT_DELETED', null]);
  assert.deepEqual(await list({}), []);
  assert.deepEqual(await list({ statuses: ['SOFT_DELETED'] }), [first]);
  assert.deepEqual(await list({ which: 'deleted' }), [first]);
  await assert.rejects(service.act(own.member, first, actions.start), { code: 'conflict' });
  const second = await make();
  await assert.rejects(service.act(own.member, first, actions.restore), { code: 'quota_exceeded' });
  await service.act(own.member, second, actions.forceDelete);
  await own.controller.reconcile(second);
  await own.obey(host);
  await own.controller.reconcile(second);
  await service.act(own.member, first, actions.restore);
  assert.equal(taskState(await service.get(own.member, first)), 'restoring');
  await own.obey(host);
  assert.deepEqual([await status(first), await list({})], ['ACTIVE', [first]]);
});

test('a suspended server that is deleted and restored wakes up with its memory', async () => {
  const id = await active();
  const { service } = cloud.reclaiming(3600);
  await act(id, actions.suspend);
  await cloud.obey(host);
  await service.delete(cloud.member, id);
  await cloud.obey(host);
  const server = await get(id);
  assert.deepEqual([serverStatus(server), server.desired_power], ['SOFT_DELETED', 'suspended']);
  await act(id, actions.restore);
  assert.equal((await get(id)).desired_power, 'on');
});

test('what has never run is deleted at once, and a deleted server is reclaimed when its time has come', async () => {
  const { service, controller } = cloud.reclaiming(60);
  const { ids } = await service.create(cloud.member, cloud.wish({ flavor }));
  await service.delete(cloud.member, ids[0]!);
  await controller.reconcile(ids[0]!);
  await assert.rejects(get(ids[0]!), { code: 'not_found' });
  const id = await active();
  await service.delete(cloud.member, id);
  await cloud.obey(host);
  await controller.reconcile(id);
  assert.equal((await get(id)).desired_presence, 'present');
  await sql`update server set soft_deleted_at = now() - interval '61 seconds' where id = ${id}`.execute(
    db.database.query,
  );
  await cloud.controller.reconcile(id);
  assert.equal((await get(id)).desired_presence, 'present', 'a cloud that reclaims nothing leaves it alone');
  await sql`select graphile_worker.remove_job(${`server:${id}`})`.execute(db.database.query);
  await controller.sweep();
  const jobs = await sql`select from graphile_worker.jobs where key = ${`server:${id}`}`.execute(db.database.query);
  assert.equal(jobs.rows.length, 1, 'the sweep finds it');
  await controller.reconcile(id);
  await cloud.obey(host);
  await controller.reconcile(id);
  await assert.rejects(get(id), { code: 'not_found' });
});

test('a process whose clock is behind deletes nothing for good before its time', async (t) => {
  const { service, controller } = cloud.reclaiming(3600);
  const id = await active();
  t.mock.timers.enable({ apis: ['Date'], now: Date.now() - 2 * 3_600_000 });
  await service.delete(cloud.member, id);
  t.mock.timers.reset();
  await cloud.obey(host);
  await controller.reconcile(id);
  assert.equal((await get(id)).desired_presence, 'present');
  await act(id, actions.restore);
});

test('moves are for administrators, and are refused with what is in the way', async () => {
  const id = await active();
  const { name } = (await sql<{ name: string }>`select name from host where id = ${host}`.execute(db.database.query))
    .rows[0]!;
  const refused = (action: ServerAction<actions.MoveWish>, to: string | null, reason: string) =>
    assert.rejects(cloud.service.act(cloud.admin, id, action, { host: to, copyDisks: true } as actions.MoveWish), {
      reason,
    });
  await assert.rejects(cloud.service.act(cloud.member, id, actions.migrate, { host: null }), { code: 'forbidden' });
  for (const action of [actions.migrate, actions.liveMigrate as ServerAction<actions.MoveWish>]) {
    await refused(action, null, 'no_other_host');
    await refused(action, name, 'move_to_same_host');
    await refused(action, 'nowhere', 'host_not_found');
  }
  await refused(actions.evacuate, null, 'host_still_in_use');
  await sql`update host set connected = false where id = ${host}`.execute(db.database.query);
  await refused(actions.evacuate, null, 'evacuation_unproven');
  await sql`update host set forced_down = true where id = ${host}`.execute(db.database.query);
  await refused(actions.evacuate, null, 'no_other_host');
  await refused(actions.evacuate, name, 'move_to_same_host');
  await sql`update host set connected = true, forced_down = false where id = ${host}`.execute(db.database.query);
  assert.deepEqual(await shown(id), ['ACTIVE', null], 'and nothing has changed');
});

test('a server is evacuated from a host that an administrator says is down, to the host that they name', async () => {
  const id = await active();
  const [, wanted] = [await cloud.addHost(), await cloud.addHost({ name: 'wanted' })];
  await sql`update host set connected = false, forced_down = true where id = ${host}`.execute(db.database.query);
  await cloud.service.act(cloud.admin, id, actions.evacuate, { host: 'wanted' });
  assert.deepEqual(await shown(id), ['REBUILD', 'rebuilding']);
  assert.equal((await cloud.service.get(cloud.admin, id)).host_id, wanted);
  await cloud.obey(wanted);
  assert.deepEqual(await shown(id), ['ACTIVE', null]);
  const { operations } = await cloud.service.operations(cloud.admin, id);
  assert.deepEqual([operations[0]!.verb, operations[0]!.state], ['evacuate', 'succeeded']);
  await sql`update host set enabled = id = ${host}, connected = true, forced_down = false`.execute(db.database.query);
});

test('every verb that is offered is in Nova’s table', () => {
  const verbs = Object.values(actions).flatMap((action) => ('verb' in action ? action.verb : []));
  for (const verb of verbs) assert.ok(legal[verb as Verb], verb);
});

test('a server with a TPM is neither shelved nor rebuilt: what the TPM knows would be lost', async () => {
  const id = await active();
  await sql`update server set hardware = '{"tpm": {"model": "tpm-crb", "version": "2.0"}}' where id = ${id}`.execute(
    db.database.query,
  );
  for (const [call, action] of Object.entries({ shelve: actions.shelve, rebuild })) {
    await assert.rejects(act(id, action), { code: 'conflict', reason: 'server_with_tpm', fields: { id, call } }, call);
  }
  assert.deepEqual(await shown(id), ['ACTIVE', null]);
});

test('an image of a server has no property that its maker may not make', async () => {
  const rule = { create: ['admin'], read: ['@'], update: ['admin'], delete: ['admin'] };
  const everybody = { create: ['@'], read: ['@'], update: ['@'], delete: ['@'] };
  const service = cloud.protecting([
    { pattern: 'x_bill', ...rule },
    { pattern: '.*', ...everybody },
  ]);
  const id = await active();
  const wish = { imageId: newId<ImageId>(), name: oddName, metadata: { x_bill: 'paid' } };
  for (const [action, argument] of [
    [actions.createImage, wish],
    [actions.createBackup, { ...wish, backupType: 'daily', rotation: 1 }],
  ] as const) {
    await assert.rejects(service.act(cloud.member, id, action as ServerAction<typeof argument>, argument), {
      code: 'forbidden',
      reason: 'image_property_reserved',
    });
  }
  await service.act(cloud.member, id, actions.createImage, { ...wish, metadata: { color: 'red' } });
});

test('what an administrator locked its owner does not make their own by locking it again', async () => {
  const id = await active();
  const elsewhere = callerOf(await testProject(db.database), ['admin']);
  await cloud.service.act(elsewhere, id, actions.lock, { reason: 'under investigation' });
  await cloud.service.act(cloud.member, id, actions.lock, { reason: 'mine' });
  const { locked_by, locked_reason } = await get(id);
  assert.deepEqual([locked_by, locked_reason], ['admin', 'under investigation']);
  await assert.rejects(act(id, actions.unlock), { code: 'forbidden' });
  await assert.rejects(act(id, actions.stop), { reason: 'server_locked' });
  await cloud.service.act(elsewhere, id, actions.unlock);
  await act(id, actions.stop);
});

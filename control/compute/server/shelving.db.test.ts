/** What becomes of a server that is shelved and comes back; with control dying after each of its steps, and hosts that are away. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { type HostId, type ImageId, newId, type ServerId } from '../../../contract/ids.ts';
import { type TestDatabase, testDatabase } from '../../kit/database/testing.ts';
import type { ServerAction } from './actions/index.ts';
import * as actions from './actions/index.ts';
import type { ControllerStep } from './controller.ts';
import { serverStatus, taskState } from './states.ts';
import { type ServerCloud, serverCloud } from './testing.ts';

let db: TestDatabase;
let cloud: ServerCloud;
let host: HostId;
let flavor: string;
before(async () => {
  db = await testDatabase();
  cloud = await serverCloud(db.database);
  host = await cloud.addHost({ vcpus: 200 });
  flavor = await cloud.addFlavor();
});
after(() => db[Symbol.asyncDispose]());

const run = (query: ReturnType<typeof sql>) => query.execute(db.database.query);
const get = (id: ServerId) => cloud.service.get(cloud.member, id);
const act = (id: ServerId, action: ServerAction) => cloud.service.act(cloud.member, id, action);
const bring = (id: ServerId, wish: { zone?: string | null; host?: string | null } = {}, caller = cloud.admin) =>
  cloud.service.act(caller, id, actions.unshelve, { host: null, ...wish });
const shown = async (id: ServerId) => {
  const server = await get(id);
  return [serverStatus(server), taskState(server)];
};
const documentOf = async (id: ServerId) => (await cloud.side.desiredServers(db.database.query, { serverIds: [id] }))[0];
const last = async (id: ServerId) => {
  const { verb, state } = (await cloud.service.operations(cloud.member, id)).operations[0]!;
  return [verb, state];
};
const addresses = async (id: ServerId) => JSON.stringify([...(await cloud.service.interfaces([id])).values()]);
const imageOf = async (id: ServerId) => (await get(id)).desired_shelve!.image_id as ImageId;
const goneImage = (id: ImageId) => assert.rejects(cloud.images.show(cloud.member, id), { code: 'not_found' });

async function active(over = {}): Promise<ServerId> {
  const { ids } = await cloud.service.create(cloud.member, cloud.wish({ flavor, ...over }));
  await cloud.controller.reconcile(ids[0]!);
  await cloud.obey(host);
  return ids[0]!;
}

async function offloaded(): Promise<ServerId> {
  const id = await active();
  await act(id, actions.shelve);
  await cloud.obey(host);
  await cloud.obey(host);
  await cloud.controller.reconcile(id);
  assert.deepEqual(await shown(id), ['SHELVED_OFFLOADED', null]);
  return id;
}

/** A cloud whose shelved servers stay on their hosts: for ever, or for so long. */
async function shelvedInPlace(seconds = -1): Promise<ServerId> {
  const id = await active();
  await act(id, {
    ...actions.shelve,
    decide: (work, server, none) =>
      actions.shelve.decide({ ...work, deps: { ...work.deps, shelvedOffloadSeconds: seconds } }, server, none),
  });
  await cloud.obey(host);
  assert.deepEqual(await shown(id), ['SHELVED', null]);
  return id;
}

test('a shelved server leaves its host with its disk as an image, and comes back from it with the addresses it had', async () => {
  const id = await active({ name: '小屋' });
  const [before, had] = [await get(id), await addresses(id)];
  await act(id, actions.shelve);
  assert.deepEqual(await shown(id), ['ACTIVE', 'shelving']);
  const wanted = await documentOf(id);
  const imageId = await imageOf(id);
  assert.deepEqual([wanted!.power, wanted!.captures], ['off', [{ imageId }]]);
  await cloud.report(host, id, { state: 'stopped' });
  assert.deepEqual(await shown(id), ['SHUTOFF', 'shelving_image_uploading']);
  await cloud.obey(host);
  assert.deepEqual(await shown(id), ['SHELVED', 'shelving_offloading']);
  const image = await cloud.images.show(cloud.member, imageId);
  assert.deepEqual([image.name, image.status], ['小屋-shelved', 'active']);
  assert.equal((await documentOf(id))!.presence, 'absent');
  assert.deepEqual(await last(id), ['shelve', 'running']);
  await cloud.obey(host);
  await cloud.controller.reconcile(id);
  assert.deepEqual(await shown(id), ['SHELVED_OFFLOADED', null]);
  assert.deepEqual(await last(id), ['shelve', 'succeeded']);
  const away = await get(id);
  assert.deepEqual([away.host_id, away.image_id, await addresses(id)], [null, before.image_id, had]);
  assert.equal(await documentOf(id), undefined);

  await bring(id, {}, cloud.member);
  assert.deepEqual(await shown(id), ['SHELVED_OFFLOADED', 'unshelving']);
  await cloud.controller.reconcile(id);
  const document = await documentOf(id);
  assert.deepEqual([document!.epoch, document!.presence, document!.image!.id], [2, 'present', imageId]);
  await cloud.obey(host);
  assert.deepEqual(await shown(id), ['ACTIVE', null]);
  assert.deepEqual(await last(id), ['unshelve', 'succeeded']);
  const back = await get(id);
  assert.deepEqual([back.image_id, back.desired_shelve, await addresses(id)], [before.image_id, null, had]);
  await goneImage(imageId);
  assert.equal((await documentOf(id))!.image!.id, imageId, 'what its disk is made of');
  const { ports } = (await documentOf(id))!;
  assert.deepEqual(
    ports.map(({ mac }) => mac),
    wanted!.ports.map(({ mac }) => mac),
  );
});

test('a shelved server that stays on its host is offloaded by hand, by time, or comes back where it is', async () => {
  const byHand = await shelvedInPlace();
  await assert.rejects(act(byHand, actions.shelveOffload), { code: 'forbidden' });
  await cloud.service.act(cloud.admin, byHand, actions.shelveOffload);
  assert.deepEqual(await shown(byHand), ['SHELVED', 'shelving_offloading']);
  await cloud.obey(host);
  await cloud.controller.reconcile(byHand);
  assert.deepEqual(await shown(byHand), ['SHELVED_OFFLOADED', null]);

  const byTime = await shelvedInPlace(3600);
  await cloud.controller.reconcile(byTime);
  assert.deepEqual(await shown(byTime), ['SHELVED', null]);
  await run(
    sql`update server set desired_shelve = desired_shelve || '{"offload_at": "2020-01-01T00:00:00Z"}' where id = ${byTime}`,
  );
  for (const step of ['to be offloaded', 'offloaded'] as const) {
    await dieAndRepeat(step, byTime);
    await cloud.obey(host);
  }
  await cloud.controller.reconcile(byTime);
  assert.deepEqual(await shown(byTime), ['SHELVED_OFFLOADED', null]);

  const inPlace = await shelvedInPlace();
  const imageId = await imageOf(inPlace);
  await assert.rejects(bring(inPlace, { zone: 'nova' }), { code: 'conflict', reason: 'unshelve_in_place' });
  await bring(inPlace);
  assert.deepEqual(await shown(inPlace), ['SHELVED', 'unshelving']);
  await cloud.obey(host);
  assert.deepEqual(await shown(inPlace), ['ACTIVE', null]);
  assert.deepEqual([(await get(inPlace)).epoch, (await documentOf(inPlace))!.image!.id], [1, cloud.imageId]);
  await goneImage(imageId);
});

async function dieAndRepeat(step: ControllerStep, id: ServerId): Promise<void> {
  await cloud
    .dyingController(step)
    .reconcile(id)
    .catch((error: Error) => assert.match(error.message, /^died after/));
  await cloud.controller.reconcile(id);
}

test('it goes where it is asked for, and where it is refused it is as it was', async () => {
  const east = await cloud.addHost({ name: 'east-1', zone: 'east' });
  const id = await offloaded();
  const refused: [object, object][] = [
    [{ zone: 'nowhere' }, { code: 'invalid', reason: 'availability_zone_unknown' }],
    [{ host: 'no host' }, { code: 'invalid', reason: 'host_not_found' }],
    [
      { zone: 'nova', host: 'east-1' },
      { code: 'conflict', reason: 'host_not_in_zone' },
    ],
  ];
  for (const [wish, error] of refused) await assert.rejects(bring(id, wish), error);
  await assert.rejects(bring(id, { host: 'east-1' }, cloud.member), { code: 'forbidden' });
  assert.deepEqual(await shown(id), ['SHELVED_OFFLOADED', null]);
  await bring(id, { zone: 'east' }, cloud.member);
  await cloud.controller.reconcile(id);
  await cloud.obey(east);
  const server = await get(id);
  assert.deepEqual([serverStatus(server), server.host_id, server.availability_zone], ['ACTIVE', east, 'east']);
  await run(sql`delete from server where id = ${id}`);
  await run(sql`update host set availability_zone = 'nova', enabled = false where id = ${east}`);
});

test('where no host has room it stays shelved, and the operation says why', async () => {
  const id = await offloaded();
  await run(sql`update host set enabled = false where id = ${host}`);
  await bring(id);
  await cloud.controller.reconcile(id);
  assert.deepEqual(await shown(id), ['SHELVED_OFFLOADED', null]);
  const [operation] = (await cloud.service.operations(cloud.member, id)).operations;
  assert.deepEqual([operation!.state, operation!.error_code], ['failed', 'no_capacity']);
  await run(sql`update host set enabled = true where id = ${host}`);
  await bring(id);
  await cloud.controller.reconcile(id);
  await cloud.obey(host);
  assert.deepEqual(await shown(id), ['ACTIVE', null]);
});

test('a disk that can not be saved, or whose image is deleted meanwhile, leaves the server on its host as it was', async () => {
  for (const power of ['on', 'off'] as const) {
    const id = await active();
    if (power === 'off') await act(id, actions.stop);
    await cloud.obey(host);
    const rest = [power === 'on' ? 'ACTIVE' : 'SHUTOFF', null];
    await act(id, actions.shelve);
    const imageId = await imageOf(id);
    const error = { code: 'capture_failed', message: 'the disk of the host is full' };
    await cloud.report(host, id, { state: 'stopped', captures: [{ imageId, result: null, error }] });
    await goneImage(imageId);
    assert.deepEqual(await last(id), ['shelve', 'failed']);
    await cloud.obey(host);
    assert.deepEqual(await shown(id), rest);
    await act(id, actions.shelve);
    await cloud.images.delete(cloud.member, await imageOf(id));
    await cloud.controller.reconcile(id);
    await cloud.obey(host);
    assert.deepEqual(await shown(id), rest);
    assert.deepEqual(await last(id), ['shelve', 'failed']);
  }
});

test('whoever deletes the image of a shelved disk is told at the unshelve; the server can still be deleted', async () => {
  const id = await offloaded();
  await cloud.images.delete(cloud.member, await imageOf(id));
  await assert.rejects(bring(id), { code: 'conflict', reason: 'shelved_image_gone' });
  await cloud.service.delete(cloud.member, id);
  await cloud.controller.reconcile(id);
  await assert.rejects(get(id), { code: 'not_found' });
});

test('with a shelved server goes the image of its disk', async () => {
  for (const make of [offloaded, shelvedInPlace]) {
    const id = await make();
    const imageId = await imageOf(id);
    await cloud.service.delete(cloud.member, id);
    await cloud.obey(host);
    await cloud.controller.reconcile(id);
    await assert.rejects(get(id), { code: 'not_found' });
    await goneImage(imageId);
  }
});

test('a host that is away when its server is offloaded is waited for a minute, and told when it is back', async () => {
  const id = await shelvedInPlace();
  await cloud.service.act(cloud.admin, id, actions.shelveOffload);
  await run(sql`update host set connected = false, last_seen_at = now() where id = ${host}`);
  await cloud.controller.reconcile(id);
  assert.deepEqual(await shown(id), ['SHELVED', 'shelving_offloading']);
  await run(
    sql`update server set desired_shelve = desired_shelve || '{"offload_at": "2020-01-01T00:00:00Z"}' where id = ${id}`,
  );
  await cloud.controller.reconcile(id);
  assert.deepEqual(await shown(id), ['SHELVED_OFFLOADED', null]);
  const { rows } = await run(sql`select host_id from server_absence where server_id = ${id}`);
  assert.deepEqual(rows, [{ host_id: host }]);
  await run(sql`update host set connected = true where id = ${host}`);
});

test('a shelved server waits for nobody: no host is looked for, and what is done to it beside ends', async () => {
  const id = await offloaded();
  await cloud.controller.sweep();
  await run(sql`select graphile_worker.remove_job(${`server:${id}`})`);
  await cloud.controller.sweep();
  const { rows } = await run(sql`select from graphile_worker.jobs where key = ${`server:${id}`}`);
  assert.equal(rows.length, 0);
  const restorable = cloud.reclaiming(3600);
  await restorable.service.delete(cloud.member, id);
  await restorable.controller.reconcile(id);
  assert.deepEqual(await shown(id), ['SOFT_DELETED', null]);
  assert.deepEqual(await last(id), ['delete', 'succeeded']);
  await act(id, actions.restore);
  await cloud.controller.reconcile(id);
  assert.deepEqual(
    [await shown(id), await last(id)],
    [
      ['SHELVED_OFFLOADED', null],
      ['restore', 'succeeded'],
    ],
  );
});

test('nothing runs on the disk of a server that is shelved, in ERROR neither', async () => {
  const id = await shelvedInPlace();
  const refuse = { code: 'conflict', reason: 'server_state_conflict' };
  for (const action of [actions.hardReboot, actions.start, actions.shelve])
    await assert.rejects(act(id, action), refuse);
  await cloud.service.act(cloud.admin, id, actions.resetState, 'error');
  await assert.rejects(act(id, actions.hardReboot), refuse);
  await cloud.service.act(cloud.admin, id, actions.resetState, 'active');
  await cloud.obey(host);
  assert.deepEqual(await shown(id), ['SHELVED', null]);
});

test('a host that goes away before it has said a word of an unshelved server gives way to another', async () => {
  const other = await cloud.addHost({ name: `other-${newId()}` });
  const id = await offloaded();
  await bring(id, { host: (await cloudHost(other)) ?? null });
  await cloud.controller.reconcile(id);
  await run(sql`update host set connected = false, last_seen_at = now() - interval '1 hour' where id = ${other}`);
  await run(sql`update server set requested_host_id = null where id = ${id}`);
  await cloud.controller.reconcile(id);
  await cloud.obey(host);
  const server = await get(id);
  assert.deepEqual([serverStatus(server), server.host_id, server.epoch], ['ACTIVE', host, 3]);
});

const cloudHost = async (id: HostId): Promise<string | undefined> => {
  const { rows } = await sql<{ name: string }>`select name from host where id = ${id}`.execute(db.database.query);
  return rows[0]?.name;
};

test('a resize is confirmed by itself after its time, once, and not while something else is under way', async () => {
  const large = await cloud.addFlavor({ vcpus: 2 });
  const id = await active();
  await cloud.service.act(cloud.member, id, actions.resize, { flavor: large });
  await cloud.obey(host);
  const confirming = cloud.confirming(60);
  await confirming.reconcile(id);
  assert.deepEqual(await shown(id), ['VERIFY_RESIZE', null]);
  await run(sql`update server set resized_at = now() - interval '2 minutes' where id = ${id}`);
  await run(sql`delete from graphile_worker._private_jobs`);
  await cloud.controller.reconcile(id);
  assert.equal((await get(id)).desired_resize?.state, 'kept', 'where the cloud is not set so');
  await confirming.sweep();
  const { rows } = await run(sql`select from graphile_worker.jobs where key = ${`server:${id}`}`);
  assert.equal(rows.length, 1);
  await confirming.reconcile(id);
  const { generation } = await get(id);
  await confirming.reconcile(id);
  assert.equal((await get(id)).generation, generation);
  await cloud.obey(host);
  assert.deepEqual(
    [await shown(id), await last(id)],
    [
      ['ACTIVE', null],
      ['confirmResize', 'succeeded'],
    ],
  );
  assert.equal((await get(id)).resized_at, null);
  const { rows: ended } = await run(sql`select ended from server_migration where server_id = ${id}`);
  assert.deepEqual(ended, [{ ended: 'confirmed' }]);
});

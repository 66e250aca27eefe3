/** Nova's side of volumes, by its own API. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { type HostId, newId, type ServerId } from '../../../contract/ids.ts';
import { callerOf } from '../../../control/compute/server/testing.ts';
import { testPool, testVolume } from '../../../control/storage/attachment/testing.ts';
import { type ComputeApi, computeApi } from './testing.ts';

let api: ComputeApi;
let hostId: HostId;
let flavor: string;

before(async () => {
  api = await computeApi();
  hostId = await api.cloud.addHost({ vcpus: 1000, memoryMiB: 10 ** 6 });
  await testPool(api.db.database, hostId);
  flavor = await api.cloud.addFlavor();
});
after(() => api[Symbol.asyncDispose]());

const member = () => api.cloud.member;
const volume = async (bootable = false) =>
  (await testVolume(api.db.database, { projectId: api.cloud.projectId, hostId, bootable })).id;

async function create(over: object, version = 67) {
  const server = { name: '小屋 🏔', flavorRef: flavor, networks: 'none', imageRef: api.cloud.imageId, ...over };
  return api.call(member(), 'POST', '/servers', { body: { server }, version });
}

async function running(over: object = {}): Promise<ServerId> {
  const { status, body } = await create(over);
  assert.equal(status, 202, JSON.stringify(body));
  await api.cloud.controller.reconcile(body.server.id);
  await api.cloud.obey(hostId);
  return body.server.id;
}
const get = (id: string, version?: number) =>
  api.call(member(), 'GET', `/servers/${id}`, version === undefined ? {} : { version });

test('a volume is attached, shown at each version, and detached', async () => {
  const [id, volumeId] = [await running(), await volume()];
  const path = `/servers/${id}/os-volume_attachments`;
  const attach = (body: object, version?: number) =>
    api.call(member(), 'POST', path, { body: { volumeAttachment: body }, ...(version !== undefined && { version }) });
  assert.equal((await attach({ volumeId, tag: 'x' })).status, 400, 'tags came with 2.49');
  const made = await attach({ volumeId, device: '/dev/vdz', tag: 'data', delete_on_termination: true }, 79);
  assert.deepEqual(
    [made.status, made.body.volumeAttachment],
    [200, { id: volumeId, volumeId, serverId: id, device: '/dev/vdb', tag: 'data', delete_on_termination: true }],
  );
  const list = async (version?: number) =>
    (await api.call(member(), 'GET', path, version === undefined ? {} : { version })).body.volumeAttachments;
  assert.deepEqual(await list(), [{ id: volumeId, volumeId, serverId: id, device: '/dev/vdb' }]);
  const [newest] = await list(89);
  assert.deepEqual(Object.keys(newest).sort(), [
    'attachment_id',
    'bdm_uuid',
    'delete_on_termination',
    'device',
    'serverId',
    'tag',
    'volumeId',
  ]);
  assert.deepEqual((await api.call(member(), 'GET', `${path}/${volumeId}`)).body.volumeAttachment, (await list())[0]);
  assert.deepEqual((await get(id)).body.server['os-extended-volumes:volumes_attached'], [{ id: volumeId }]);
  assert.deepEqual((await get(id, 3)).body.server['os-extended-volumes:volumes_attached'], [
    { id: volumeId, delete_on_termination: true },
  ]);
  const put = (body: object, version: number, caller = member()) =>
    api.call(caller, 'PUT', `${path}/${volumeId}`, { body: { volumeAttachment: body }, version });
  assert.equal((await put({ volumeId, delete_on_termination: false }, 85)).status, 202);
  assert.equal((await list(79))[0].delete_on_termination, false);
  assert.equal((await put({ volumeId, tag: 'other' }, 85)).status, 400);
  assert.equal((await put({ volumeId: newId() }, 85)).status, 403, 'an exchange is an administrator’s');
  assert.equal((await put({ volumeId: newId() }, 1, api.cloud.admin)).status, 409);
  assert.equal((await api.call(member(), 'DELETE', `${path}/${volumeId}`)).status, 202);
  await api.cloud.obey(hostId);
  assert.deepEqual(await list(), []);
  assert.equal((await api.call(member(), 'DELETE', `${path}/${volumeId}`)).status, 404);
  assert.equal((await api.call(member(), 'GET', `${path}/x`)).status, 404);
});

test('what can’t be attached is refused as Nova does', async () => {
  const [id, other, volumeId] = [await running(), await running(), await volume()];
  const attach = (server: string, volume: string, caller = member()) =>
    api.call(caller, 'POST', `/servers/${server}/os-volume_attachments`, {
      body: { volumeAttachment: { volumeId: volume } },
    });
  assert.equal((await attach(id, volumeId)).status, 200);
  assert.equal((await attach(id, volumeId)).status, 400);
  assert.equal((await attach(other, volumeId)).status, 400);
  assert.equal((await attach(id, newId())).status, 404);
  assert.equal((await attach(id, await volume(), callerOf(newId()))).status, 404);
  assert.equal((await attach(id, await volume(), callerOf(api.cloud.projectId, ['reader']))).status, 403);
});

test('a server boots from a volume, by either form of a block device mapping', async () => {
  const root = {
    boot_index: '0',
    source_type: 'image',
    uuid: api.cloud.imageId,
    destination_type: 'volume',
    volume_size: 2,
  };
  const id = await running({ imageRef: '', block_device_mapping_v2: [{ ...root, delete_on_termination: true }] });
  const { server } = (await get(id, 3)).body;
  assert.equal(server.image, '');
  assert.equal(server['os-extended-volumes:volumes_attached'].length, 1);
  const volumeId = await volume(true);
  const old = await create(
    { networks: undefined, imageRef: undefined, block_device_mapping: [{ device_name: 'vda', volume_id: volumeId }] },
    1,
  );
  assert.equal(old.status, 202, JSON.stringify(old.body));
  assert.equal((await get(old.body.server.id)).body.server.image, '');
  const detach = await api.call(
    member(),
    'DELETE',
    `/servers/${id}/os-volume_attachments/${server['os-extended-volumes:volumes_attached'][0].id}`,
  );
  assert.deepEqual([detach.status, detach.body.badRequest.message], [400, 'Cannot detach a root device volume']);
});

test('a mapping that asks for what is not there makes nothing, and says what is wrong', async () => {
  const blank = { source_type: 'blank', destination_type: 'volume', boot_index: -1 };
  const rows = async () =>
    (await sql`select from server union all select from volume`.execute(api.db.database.query)).rows.length;
  const before = await rows();
  const refused = async (devices: object[], message: RegExp, over: object = {}) => {
    const { status, body } = await create({ block_device_mapping_v2: devices, ...over });
    assert.deepEqual([status, message.test(body.badRequest?.message)], [400, true], JSON.stringify(body));
  };
  await refused([blank], /non-zero size/);
  await refused([{ ...blank, source_type: 'volume', uuid: newId() }], /could not be found/);
  await refused(
    [{ ...blank, volume_size: 1, boot_index: 0, source_type: 'volume', uuid: await volume() }],
    /not bootable/,
    { imageRef: '' },
  );
  await refused([{ ...blank, volume_size: 1, volume_type: 'no such' }], /could not be found/);
  await refused([{ ...blank, source_type: 'volume', uuid: await volume() }], /multiple instances/, { max_count: 2 });
  assert.equal(await rows(), before + 2);
});

test('what is done with volumes is among what was done to the server, by Nova’s names', async () => {
  const [id, volumeId] = [await running(), await volume()];
  await api.call(member(), 'POST', `/servers/${id}/os-volume_attachments`, {
    body: { volumeAttachment: { volumeId } },
  });
  const { instanceActions } = (await api.call(member(), 'GET', `/servers/${id}/os-instance-actions`)).body;
  assert.deepEqual(
    instanceActions.map(({ action }: { action: string }) => action),
    ['attach_volume', 'create'],
  );
  const shown = await api.call(member(), 'GET', `/servers/${id}/os-instance-actions/${instanceActions[0].request_id}`, {
    version: 51,
  });
  assert.equal(shown.body.instanceAction.events[0].event, 'compute_attach_volume');
});

test('until 2.35 volumes and snapshots are handed on in Nova’s older form, and a server that boots from one has a path of its own', async () => {
  const list = async (path: string, version = 1) => api.call(member(), 'GET', path, { version });
  const made = await api.call(member(), 'POST', '/os-volumes', {
    body: { volume: { size: 1, display_name: '小屋', metadata: { a: 'b' } } },
  });
  assert.equal(made.status, 200, JSON.stringify(made.body));
  const { id, displayName, size, attachments, metadata } = made.body.volume;
  assert.deepEqual([displayName, size, attachments, metadata], ['小屋', 1, [{}], { a: 'b' }]);
  assert.ok((await list('/os-volumes/detail')).body.volumes.some((one: { id: string }) => one.id === id));
  assert.equal((await list('/os-volumes', 36)).status, 404);
  assert.equal((await list('/os-volumes/')).status, 404, 'an id is missing');
  assert.equal((await list(`/os-volumes/${newId()}`)).status, 404);
  for (const size of [0, '#$%', undefined]) {
    assert.equal((await api.call(member(), 'POST', '/os-volumes', { body: { volume: { size } } })).status, 400);
  }
  const there = await volume();
  const snapshot = await api.call(member(), 'POST', '/os-snapshots', {
    body: { snapshot: { volume_id: there, display_name: 's' } },
  });
  assert.deepEqual([snapshot.status, snapshot.body.snapshot.volumeId], [200, there]);
  assert.equal((await list('/os-snapshots')).body.snapshots[0].id, snapshot.body.snapshot.id);
  assert.equal((await api.call(member(), 'DELETE', `/os-volumes/${there}`)).status, 400, 'it has a snapshot');
  await sql`update volume_snapshot set ready_at = now()`.execute(api.db.database.query);
  assert.equal((await api.call(member(), 'DELETE', `/os-snapshots/${snapshot.body.snapshot.id}`)).status, 202);
  assert.equal((await api.call(member(), 'DELETE', `/os-volumes/${there}`)).status, 202);
  const server = {
    name: 'x',
    flavorRef: flavor,
    block_device_mapping: [{ device_name: 'vda', volume_id: await volume(true) }],
  };
  assert.equal((await api.call(member(), 'POST', '/os-volumes_boot', { body: { server } })).status, 202);
});

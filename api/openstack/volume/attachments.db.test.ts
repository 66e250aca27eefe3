/** Cinder's attachments by its own API. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type HostId, newId } from '../../../contract/ids.ts';
import { callerOf } from '../../../control/compute/server/testing.ts';
import { testVolume } from '../../../control/storage/attachment/testing.ts';
import { type VolumeApi, volumeApi } from './testing.ts';

let api: VolumeApi;
let hostId: HostId;
before(async () => {
  api = await volumeApi();
  hostId = await api.cloud.addHost();
});
after(() => api[Symbol.asyncDispose]());

const volume = async () => (await testVolume(api.db.database, { projectId: api.cloud.projectId, hostId })).id;
const call = (
  method: string,
  path: string,
  options: Parameters<VolumeApi['call']>[3] = {},
  caller = api.cloud.member,
) => api.call(caller, method, path, { version: 54, ...options });

test('a volume is reserved, completed and given back, and shown meanwhile as Cinder shows it', async () => {
  const [volume_uuid, instance_uuid] = [await volume(), newId()];
  const body = { attachment: { volume_uuid, instance_uuid, mode: 'ro', connector: null } };
  assert.equal((await call('POST', '/attachments', { body, version: 26 })).status, 404);
  const { status, body: made } = await call('POST', '/attachments', { body });
  assert.equal(status, 200, JSON.stringify(made));
  const { id } = made.attachment;
  const summary = { id, volume_id: volume_uuid, instance: instance_uuid, status: 'reserved' };
  const rest = { attached_at: '', detached_at: '', attach_mode: 'ro', connection_info: {} };
  assert.deepEqual(made.attachment, { ...summary, ...rest });
  assert.equal((await call('POST', '/attachments', { body })).status, 400, 'it is reserved');
  assert.equal(
    (await call('POST', `/attachments/${id}/action`, { body: { 'os-complete': {} }, version: 43 })).status,
    404,
  );
  assert.equal((await call('POST', `/attachments/${id}/action`, { body: { 'os-complete': {} } })).status, 204);
  const list = (await call('GET', `/attachments?volume_id=${volume_uuid}&attach_status=attached`)).body.attachments;
  assert.deepEqual(list, [{ ...summary, status: 'attached' }]);
  assert.match((await call('GET', '/attachments/detail')).body.attachments[0].attached_at, /^\d{4}-/);
  assert.deepEqual(await call('DELETE', `/attachments/${id}`).then((answer) => [answer.status, answer.body]), [
    200,
    { attachments: [] },
  ]);
  assert.equal((await call('GET', `/attachments/${id}`)).status, 404);
});

test('a way for another machine there is none, which is said; and nothing is kept of the try', async () => {
  const volume_uuid = await volume();
  const body = {
    attachment: { volume_uuid, instance_uuid: newId(), connector: { host: 'elsewhere', initiator: 'iqn.x' } },
  };
  const { status, body: fault } = await call('POST', '/attachments', { body });
  assert.deepEqual([status, /only servers of that host reach it/.test(fault.badRequest.message)], [400, true]);
  assert.deepEqual((await call('GET', `/attachments?volume_id=${volume_uuid}`)).body.attachments, []);
});

test('attachments of others are not found, and a reader reserves nothing', async () => {
  const body = { attachment: { volume_uuid: await volume(), instance_uuid: newId() } };
  const { id } = (await call('POST', '/attachments', { body })).body.attachment;
  const stranger = callerOf(newId());
  for (const [method, path] of [
    ['GET', ''],
    ['DELETE', ''],
    ['PUT', ''],
  ] as const) {
    const asked = method === 'PUT' ? { body: { attachment: { connector: { host: 'x' } } } } : {};
    assert.equal((await call(method, `/attachments/${id}${path}`, asked, stranger)).status, 404, method);
  }
  assert.equal((await call('POST', '/attachments', { body }, callerOf(api.cloud.projectId, ['reader']))).status, 403);
  assert.equal((await call('GET', '/attachments/x')).status, 404);
});

test('the older calls say on the volume who has it, and change nothing that a server has', async () => {
  const [id, instance_uuid] = [await volume(), newId()];
  const act = (body: object, caller = api.cloud.member) => call('POST', `/volumes/${id}/action`, { body }, caller);
  const shown = async () => (await call('GET', `/volumes/${id}`)).body.volume;
  assert.equal((await act({ 'os-reserve': {} })).status, 202);
  assert.equal((await shown()).status, 'attaching');
  assert.equal((await act({ 'os-reserve': {} })).status, 400);
  assert.equal((await act({ 'os-unreserve': {} })).status, 202);
  assert.equal((await act({ 'os-attach': { mountpoint: '/dev/vdb' } })).status, 400);
  assert.equal((await act({ 'os-attach': { instance_uuid, mountpoint: '/dev/vdb' } })).status, 202);
  const { status, attachments } = await shown();
  assert.deepEqual([status, attachments.length], ['in-use', 1]);
  const { server_id, device, volume_id } = attachments[0];
  assert.deepEqual([server_id, device, volume_id], [instance_uuid, '/dev/vdb', id]);
  assert.equal((await act({ 'os-begin_detaching': {} })).status, 202);
  assert.equal((await shown()).status, 'detaching');
  assert.equal((await act({ 'os-roll_detaching': {} })).status, 202);
  assert.equal((await act({ 'os-initialize_connection': { connector: { host: 'x' } } })).status, 400);
  assert.equal((await act({ 'os-terminate_connection': { connector: { host: 'x' } } })).status, 202);
  assert.equal((await act({ 'os-force_detach': { attachment_id: null, connector: null } })).status, 403);
  assert.equal((await act({ 'os-detach': null })).status, 202);
  assert.deepEqual(await shown().then((one) => [one.status, one.attachments]), ['available', []]);
});

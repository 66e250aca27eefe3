/** Cinder's attachments by its own API. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type HostId, newId } from '../../../contract/ids.ts';
import { callerOf } from '../../../control/compute/server/testing.ts';
import { testVolume } from '../../../control/storage/attachment/testing.ts';
import { ExportingHost } from '../../../control/storage/connection/testing.ts';
import { type VolumeApi, volumeApi } from './testing.ts';

let api: VolumeApi;
let hostId: HostId;
before(async () => {
  api = await volumeApi();
  hostId = await api.cloud.addHost();
});
after(() => api[Symbol.asyncDispose]());

const volume = async () => (await testVolume(api.db.database, { projectId: api.cloud.projectId, hostId })).id;
const initiator = 'iqn.2004-10.com.example:machine-1';
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

test('a volume that may only be read is had for that by who does not say how, and by nobody for more', async () => {
  const volume_uuid = await volume();
  const act = (body: object) => call('POST', `/volumes/${volume_uuid}/action`, { body });
  assert.equal((await act({ 'os-update_readonly_flag': { readonly: true } })).status, 202);
  const reserve = (more = {}) =>
    call('POST', '/attachments', { body: { attachment: { volume_uuid, instance_uuid: newId(), ...more } } });
  const { attachment } = (await reserve()).body;
  assert.equal(attachment.attach_mode, 'ro');
  assert.equal((await call('DELETE', `/attachments/${attachment.id}`)).status, 200);
  assert.equal((await reserve({ mode: 'rw' })).status, 400);
  assert.equal((await act({ 'os-reserve': null })).status, 202);
  const attach = (mode: string) => act({ 'os-attach': { instance_uuid: newId(), mountpoint: '/dev/vdb', mode } });
  assert.equal((await attach('rw')).status, 400);
  assert.equal((await attach('ro')).status, 202);
  const { attachments } = (await call('GET', `/attachments/detail?volume_id=${volume_uuid}`)).body;
  assert.deepEqual(
    attachments.map((one: { status: string; attach_mode: string }) => [one.status, one.attach_mode]),
    [['attached', 'ro']],
  );
  assert.equal((await act({ 'os-detach': {} })).status, 202);
});

test('where there is no way for another machine, that is said; and nothing is kept of the try', async () => {
  const volume_uuid = await volume();
  const body = {
    attachment: { volume_uuid, instance_uuid: newId(), connector: { host: 'elsewhere', initiator } },
  };
  const { status, body: fault } = await call('POST', '/attachments', { body });
  assert.deepEqual([status, /only servers of that host reach it/.test(fault.badRequest.message)], [400, true]);
  assert.deepEqual((await call('GET', `/attachments?volume_id=${volume_uuid}`)).body.attachments, []);
});

test('what a machine says of itself is kept cut, and no character of it halved', async () => {
  const host = new ExportingHost(api.db.database, await api.cloud.addHost());
  await host.offers('192.0.2.3:3260-3263');
  const { id: volume_uuid } = await testVolume(api.db.database, { projectId: api.cloud.projectId, hostId: host.id });
  const connector = { initiator, ip: '192.0.2.9', host: `${'x'.repeat(254)}🏔` };
  const body = { attachment: { volume_uuid, instance_uuid: newId(), connector } };
  const made = await host.during(call('POST', '/attachments', { body }));
  assert.equal(made.status, 200, JSON.stringify(made.body));
});

test('another machine is told the way to a volume as os-brick reads it, and its session ends with the attachment', async () => {
  const host = new ExportingHost(api.db.database, await api.cloud.addHost());
  await host.offers('192.0.2.1:3260-3263');
  const { id: volume_uuid } = await testVolume(api.db.database, { projectId: api.cloud.projectId, hostId: host.id });
  const connector = {
    initiator,
    ip: '192.0.2.9',
    host: 'machine',
    platform: 'x86_64',
    os_type: 'linux',
    multipath: false,
  };
  const asked = { attachment: { volume_uuid, instance_uuid: newId(), connector } };
  const { status, body } = await host.during(call('POST', '/attachments', { body: asked }));
  assert.equal(status, 200, JSON.stringify(body));
  const { id, connection_info: info } = body.attachment;
  const { auth_password, ...rest } = info;
  assert.match(auth_password, /^[\w-]{16}$/);
  const data = {
    ...{ target_discovered: false, target_portal: '192.0.2.1:3260', target_lun: 1, volume_id: volume_uuid },
    ...{ target_iqn: `iqn.2010-10.org.openstack:volume-${volume_uuid}`, attachment_id: id, auth_method: 'CHAP' },
    ...{ auth_username: id, discard: true, qos_specs: null, access_mode: 'rw', encrypted: false, cacheable: false },
    enforce_multipath: false,
  };
  assert.deepEqual(rest, { driver_volume_type: 'iscsi', ...data });
  assert.deepEqual((await call('GET', `/attachments/${id}`)).body.attachment.connection_info, info);
  const reader = callerOf(api.cloud.projectId, ['reader']);
  const read = (await call('GET', `/attachments/${id}`, {}, reader)).body.attachment;
  assert.deepEqual([read.status, read.connection_info], ['attaching', {}]);
  const listed = (await call('GET', `/attachments/detail?volume_id=${volume_uuid}`)).body.attachments;
  assert.deepEqual(listed[0].connection_info, {}, 'lists tell nobody how to connect');
  const update = () => host.during(call('PUT', `/attachments/${id}`, { body: { attachment: { connector } } }));
  assert.deepEqual((await update()).body.attachment.connection_info, info);
  assert.equal((await call('POST', `/attachments/${id}/action`, { body: { 'os-complete': {} } })).status, 204);
  assert.equal((await call('DELETE', `/volumes/${volume_uuid}`)).status, 400, 'somebody has it');
  assert.equal((await host.during(call('DELETE', `/attachments/${id}`))).status, 200);
  assert.equal((await call('GET', `/attachments/${id}`)).status, 404);
  assert.equal((await call('GET', `/volumes/${volume_uuid}`)).body.volume.status, 'available');

  const act = (act: object) => host.during(call('POST', `/volumes/${volume_uuid}/action`, { body: act }));
  const older = await act({ 'os-initialize_connection': { connector } });
  assert.equal(older.status, 200, JSON.stringify(older.body));
  const { driver_volume_type, data: nested } = older.body.connection_info;
  assert.deepEqual([driver_volume_type, nested.target_iqn], ['iscsi', data.target_iqn]);
  assert.notEqual(nested.auth_password, auth_password, 'each has a secret of its own');
  assert.equal((await act({ 'os-terminate_connection': { connector } })).status, 202);
  assert.equal((await call('GET', `/volumes/${volume_uuid}`)).body.volume.status, 'available');
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

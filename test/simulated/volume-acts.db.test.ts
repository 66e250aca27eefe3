/** What people do to volumes by Cinder's API, in a whole simulated cloud: real hosts make the files, and guests go on writing. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { SimulatedCloud } from '../support/simulated-cloud.ts';
import { createServer, deleteServer, makeTenancy, reaches, type Tenancy } from '../support/tenancy.ts';

let cloud: SimulatedCloud;
let tenancy: Tenancy;
before(async () => {
  cloud = await SimulatedCloud.start();
  tenancy = await makeTenancy(cloud);
});
after(() => cloud[Symbol.asyncDispose]());

async function must(method: string, path: string, body?: object) {
  const version = { 'openstack-api-version': 'volume 3.68' };
  const answer = await tenancy.client.call(method, 'block-storage', path, body, version);
  assert.ok(answer.status < 300, `${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
  return answer.body;
}
const act = (id: string, body: object) => must('POST', `/volumes/${id}/action`, body);
const shown = async (kind: 'volume' | 'snapshot', id: string) => (await must('GET', `/${kind}s/${id}`))[kind];
const is = (kind: 'volume' | 'snapshot', id: string, status: string) =>
  cloud.until(`${kind} ${id} to be ${status}`, async () => {
    const found = await shown(kind, id);
    assert.ok(!found.status.startsWith('error'), `${kind} is ${found.status} instead of ${status}`);
    return found.status === status;
  });

async function made(over: object = {}): Promise<string> {
  const { id } = (await must('POST', '/volumes', { volume: { size: 1, name: '小屋 🏔', ...over } })).volume;
  await is('volume', id, 'available');
  return id;
}
async function snapshotOf(volume_id: string): Promise<string> {
  const { id } = (await must('POST', '/snapshots', { snapshot: { volume_id } })).snapshot;
  await is('snapshot', id, 'available');
  return id;
}
/** The simulated tools copy files as they are: formats are for the live tests of layers. */
async function imageOf(id: string): Promise<void> {
  const before = (await shown('volume', id)).status;
  const wish = { image_name: 'of a volume', disk_format: 'qcow2', force: true };
  const { image_id } = (await act(id, { 'os-volume_upload_image': wish }))['os-volume_upload_image'];
  await is('volume', id, before);
  const image = await tenancy.client.must('GET', 'image', `/v2/images/${image_id}`);
  assert.deepEqual([image.status, image.disk_format, image.virtual_size], ['active', 'qcow2', 2 * 2 ** 30]);
  await tenancy.client.must('DELETE', 'image', `/v2/images/${image_id}`);
}

test('a volume of an image grows, is put back, becomes an image, and outlives what it was made from', async () => {
  const id = await made({ imageRef: tenancy.imageId });
  await act(id, { 'os-extend': { new_size: 2 } });
  await is('volume', id, 'available');
  const snapshot = await snapshotOf(id);
  await act(id, { revert: { snapshot_id: snapshot } });
  await is('volume', id, 'available');
  const clone = await made({ snapshot_id: snapshot, size: null });
  assert.equal((await shown('volume', clone)).size, 2);
  await imageOf(id);
  await act(id, { 'os-reimage': { image_id: tenancy.imageId } });
  await is('volume', id, 'available');
  await must('DELETE', `/volumes/${id}?cascade=true`);
  await act(clone, { 'os-extend': { new_size: 3 } });
  await is('volume', clone, 'available');
  await must('DELETE', `/volumes/${clone}`);
  await nothingLeft();
});

test('a volume that a guest has grows, is snapshot, cloned and made an image of while the guest goes on', async () => {
  const [id, server] = [await made(), await createServer(tenancy, 'writer')];
  await reaches(cloud, tenancy, server, 'ACTIVE');
  const attach = { volumeAttachment: { volumeId: id } };
  await tenancy.client.must('POST', 'compute', `/servers/${server}/os-volume_attachments`, attach);
  await is('volume', id, 'in-use');
  await act(id, { 'os-extend': { new_size: 2 } });
  await is('volume', id, 'in-use');
  const [first, second] = [await snapshotOf(id), await snapshotOf(id)];
  const clone = await made({ source_volid: id, size: null });
  await imageOf(id);
  for (const snapshot of [first, second]) await must('DELETE', `/snapshots/${snapshot}`);
  await deleteServer(cloud, tenancy, server);
  await reaches(cloud, tenancy, server, 'gone');
  await is('volume', id, 'available');
  for (const volume of [clone, id]) await must('DELETE', `/volumes/${volume}`);
  await nothingLeft();
});

test('volumes of a group that one guest has are snapshotted and cloned at one moment, again and again, while the guest goes on', async () => {
  const group_specs = { consistent_group_snapshot_enabled: '<is> True' };
  const { id: group_type } = (await must('POST', '/group_types', { group_type: { name: '瞬', group_specs } }))
    .group_type;
  const { id: type } = (await must('POST', '/types', { volume_type: { name: '組' } })).volume_type;
  const groupOf = { group: { name: 'g', group_type, volume_types: [type] } };
  const { id: group } = (await must('POST', '/groups', groupOf)).group;
  const volumes = [
    await made({ group_id: group, volume_type: type }),
    await made({ group_id: group, volume_type: type }),
  ];
  const server = await createServer(tenancy, 'writer of two');
  await reaches(cloud, tenancy, server, 'ACTIVE');
  for (const volumeId of volumes) {
    const path = `/servers/${server}/os-volume_attachments`;
    await tenancy.client.must('POST', 'compute', path, { volumeAttachment: { volumeId } });
    await is('volume', volumeId, 'in-use');
  }
  const available = (kind: 'group' | 'group_snapshot', id: string) =>
    cloud.until(`${kind} ${id}`, async () => (await must('GET', `/${kind}s/${id}`))[kind].status === 'available');
  const snapshots: string[] = [];
  for (let round = 0; round < 3; round++) {
    const { id } = (await must('POST', '/group_snapshots', { group_snapshot: { group_id: group, name: '' } }))
      .group_snapshot;
    await available('group_snapshot', id);
    snapshots.push(id);
  }
  const from = { 'create-from-src': { name: 'copy', source_group_id: group } };
  const { id: copy } = (await must('POST', '/groups/action', from)).group;
  await available('group', copy);
  for (const id of snapshots) await must('DELETE', `/group_snapshots/${id}`);
  await deleteServer(cloud, tenancy, server);
  await reaches(cloud, tenancy, server, 'gone');
  for (const volume of volumes) await is('volume', volume, 'available');
  for (const id of [group, copy]) await must('POST', `/groups/${id}/action`, { delete: { 'delete-volumes': true } });
  await nothingLeft();
});

/** What hosts put on disks, and who asks for keys, is test/live's; here it is told and said by whom it should be. */
test('a volume becomes encrypted and clear again, is cloned and backed up on the way, and every key goes with what it opens', async () => {
  const { id: typeId } = (await must('POST', '/types', { volume_type: { name: 'versiegelt 🔒' } })).volume_type;
  const encryption = { provider: 'luks', cipher: 'aes-xts-plain64', key_size: 512, control_location: 'front-end' };
  await must('POST', `/types/${typeId}/encryption`, { encryption });
  const id = await made({ imageRef: tenancy.imageId });
  const clear = (await shown('volume', id)).volume_type;
  const retype = (new_type: string) => act(id, { 'os-retype': { new_type, migration_policy: 'on-demand' } });
  await retype(typeId);
  await is('volume', id, 'available');
  const sealed = await shown('volume', id);
  assert.deepEqual([sealed.encrypted, sealed.volume_type], [true, 'versiegelt 🔒']);
  const clone = await made({ source_volid: id, size: null });
  assert.equal((await shown('volume', clone)).encryption_key_id, sealed.encryption_key_id);
  const { id: backup } = (await must('POST', '/backups', { backup: { volume_id: clone, name: 'b' } })).backup;
  await cloud.until('the backup', async () => (await must('GET', `/backups/${backup}`)).backup.status === 'available');
  await must('DELETE', `/volumes/${clone}`);
  await retype(clear);
  await is('volume', id, 'available');
  assert.equal((await shown('volume', id)).encrypted, false);
  const { volume_id: again } = (await must('POST', `/backups/${backup}/restore`, { restore: {} })).restore;
  await is('volume', again, 'available');
  assert.equal((await shown('volume', again)).encryption_key_id, sealed.encryption_key_id);
  await must('DELETE', `/backups/${backup}`);
  for (const volume of [id, again]) await must('DELETE', `/volumes/${volume}`);
  await nothingLeft();
  await cloud.until('every key to be gone', async () => {
    const { rows } = await sql`select from volume_key`.execute(cloud.database.query);
    return rows.length === 0;
  });
});

/** No row of any volume, layer or attachment is left. */
const nothingLeft = () =>
  cloud.until('nothing to be left of volumes', async () => {
    const { rows } = await sql<{ n: number }>`select (select count(*) from volume) + (select count(*) from volume_layer)
      + (select count(*) from volume_snapshot) + (select count(*) from operation where state = 'running') as n`.execute(
      cloud.database.query,
    );
    return rows[0]!.n === 0;
  });

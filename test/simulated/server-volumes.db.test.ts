/** Volumes of servers in a whole simulated cloud, by Nova's API alone: what a user sees of them, and that nothing is left behind. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import type { ServerId } from '../../contract/ids.ts';
import { SimulatedCloud } from '../support/simulated-cloud.ts';
import { createServer, deleteServer, makeTenancy, reaches, type Tenancy } from '../support/tenancy.ts';

let cloud: SimulatedCloud;
let tenancy: Tenancy;
before(async () => {
  cloud = await SimulatedCloud.start();
  tenancy = await makeTenancy(cloud);
});
after(() => cloud[Symbol.asyncDispose]());

const must = (method: string, path: string, body?: object) => tenancy.client.must(method, 'compute', path, body);

/** Nova's older calls hand volumes on. */
async function volume(name = '小屋 🏔'): Promise<string> {
  const { id } = (await must('POST', '/os-volumes', { volume: { size: 1, display_name: name } })).volume;
  await is(id, 'available');
  return id;
}
const statusOf = async (id: string): Promise<string> => {
  const { status, body } = await tenancy.client.call('GET', 'compute', `/os-volumes/${id}`);
  return status === 404 ? 'gone' : body.volume?.status;
};
const is = (id: string, status: string) =>
  cloud.until(`volume ${id} to be ${status}`, async () => (await statusOf(id)) === status);

/** No row of any volume, layer or attachment is left. */
const nothingLeft = () =>
  cloud.until('nothing to be left of volumes', async () => {
    const { rows } = await sql<{ n: number }>`select (select count(*) from volume) + (select count(*) from volume_layer)
      + (select count(*) from volume_attachment) as n`.execute(cloud.database.query);
    return rows[0]!.n === 0;
  });
const remove = (id: string) => must('DELETE', `/os-volumes/${id}`);

async function running(name: string, more = {}): Promise<ServerId> {
  const id = await createServer(tenancy, name, more);
  await reaches(cloud, tenancy, id, 'ACTIVE');
  return id;
}
async function gone(id: ServerId): Promise<void> {
  await deleteServer(cloud, tenancy, id);
  await reaches(cloud, tenancy, id, 'gone');
}

test('a volume is made and goes, and its host keeps nothing', async () => {
  const id = await volume();
  await remove(id);
  await nothingLeft();
});

test('a volume is attached while the guest runs, stays over a stop, and is let go of', async () => {
  const [id, volumeId] = [await running('attach'), await volume()];
  const path = `/servers/${id}/os-volume_attachments`;
  const { volumeAttachment } = await must('POST', path, { volumeAttachment: { volumeId } });
  assert.equal(volumeAttachment.device, '/dev/vdb');
  await is(volumeId, 'in-use');
  await must('POST', `/servers/${id}/action`, { 'os-stop': null });
  await reaches(cloud, tenancy, id, 'SHUTOFF');
  assert.equal(await statusOf(volumeId), 'in-use');
  await must('POST', `/servers/${id}/action`, { 'os-start': null });
  await reaches(cloud, tenancy, id, 'ACTIVE');
  await must('DELETE', `${path}/${volumeId}`);
  await is(volumeId, 'available');
  await remove(volumeId);
  await gone(id);
  await nothingLeft();
});

test('a server boots from a volume that is made of an image with it, and takes it along', async () => {
  const root = {
    boot_index: 0,
    source_type: 'image',
    uuid: tenancy.imageId,
    destination_type: 'volume',
    volume_size: 1,
  };
  const devices = [
    { ...root, delete_on_termination: true },
    { source_type: 'blank', destination_type: 'volume', volume_size: 1 },
  ];
  const id = await running('from volume', { imageRef: '', block_device_mapping_v2: devices });
  const { server } = await must('GET', `/servers/${id}`);
  assert.equal(server.image, '');
  const [first, second] = server['os-extended-volumes:volumes_attached'].map((one: { id: string }) => one.id);
  await is(first, 'in-use');
  await gone(id);
  await is(second, 'available');
  await is(first, 'gone');
  await remove(second);
  await nothingLeft();
});

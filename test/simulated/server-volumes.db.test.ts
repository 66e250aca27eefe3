/** Volumes of servers in a whole simulated cloud, by Nova's API alone: what a user sees of them, and that nothing is left behind. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import type { ServerId } from '../../contract/ids.ts';
import { effort } from '../fuzz/effort.ts';
import { Random } from '../support/random.ts';
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

const { seed, full } = effort();
const random = new Random(seed);

test(`a storm of attaching, detaching, snapshots, clones and stops ends with nothing left that nobody asked for (seed ${seed})`, async () => {
  const servers = await Promise.all([1, 2, 3].map((n) => running(`storm ${n}`)));
  const volumes = await Promise.all([1, 2, 3, 4].map(() => volume()));
  const one = <T>(list: readonly T[]): T => list[random.below(Math.max(list.length, 1))]!;
  const snapshots: string[] = [];
  const call = async (method: string, path: string, body?: object) => {
    const answer = await tenancy.client.call(method, 'compute', path, body);
    // What the state of things does not allow is refused; nothing else goes wrong.
    assert.ok(answer.status < 500, `${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer.body;
  };
  const acts: (() => Promise<unknown>)[] = [
    () =>
      call('POST', `/servers/${one(servers)}/os-volume_attachments`, { volumeAttachment: { volumeId: one(volumes) } }),
    () => call('DELETE', `/servers/${one(servers)}/os-volume_attachments/${one(volumes)}`),
    async () => {
      const made = await call('POST', '/os-snapshots', { snapshot: { volume_id: one(volumes), force: true } });
      if (made?.snapshot) snapshots.push(made.snapshot.id);
    },
    async () => {
      const snapshot_id = one(snapshots);
      const made = snapshot_id && (await call('POST', '/os-volumes', { volume: { size: 1, snapshot_id } }));
      if (made?.volume) volumes.push(made.volume.id);
    },
    () => call('DELETE', `/os-snapshots/${one(snapshots) ?? 'none'}`),
    () => call('POST', `/servers/${one(servers)}/action`, { [one(['os-stop', 'os-start'])]: null }),
  ];
  await Promise.all(
    Array.from({ length: 4 }, async () => {
      for (let n = 0; n < (full ? 60 : 12); n++) await one(acts)();
    }),
  );
  await Promise.all(servers.map(gone));
  const rest = (path: string, ids: readonly string[]) =>
    cloud.until(`${path} to go`, async () => {
      const answers = await Promise.all(ids.map((id) => tenancy.client.call('DELETE', 'compute', `/${path}/${id}`)));
      return answers.every(({ status }) => status === 404);
    });
  await rest('os-snapshots', snapshots);
  await rest('os-volumes', volumes);
  await nothingLeft();
  const files = cloud.hosts.flatMap(({ machine }) => readdirSync(join(machine.dataDirectory, 'volumes/layers')));
  assert.deepEqual(
    files.filter((name) => name.endsWith('.qcow2')),
    [],
  );
});

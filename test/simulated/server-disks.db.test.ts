/**
 * What is done to a server's disk, by the API in a whole cloud, with control killed on the way: as soon as it has accepted, and after the
 * n-th statement that it sent since, another n at each act. The end is what was asked for, and nothing is left over.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import type { ServerId } from '../../contract/ids.ts';
import { partOf } from '../support/part-of.ts';
import { SimulatedCloud } from '../support/simulated-cloud.ts';
import { assertInOrder, createServer, makeTenancy, reaches, type Tenancy } from '../support/tenancy.ts';

let cloud: SimulatedCloud;
let tenancy: Tenancy;
let larger: string;
before(async () => {
  cloud = await SimulatedCloud.start();
  tenancy = await makeTenancy(cloud);
  const flavor = { name: 'larger', vcpus: 2, ram: 1024, disk: 2 };
  larger = (await tenancy.client.must('POST', 'compute', '/flavors', { flavor })).flavor.id;
});
after(() => cloud[Symbol.asyncDispose]());

const life = (): { act: object; status: string; image?: true }[] => [
  { act: { createImage: { name: 'made' } }, status: 'ACTIVE', image: true },
  { act: { rebuild: { imageRef: tenancy.imageId } }, status: 'ACTIVE' },
  { act: { resize: { flavorRef: larger } }, status: 'VERIFY_RESIZE' },
  { act: { revertResize: null }, status: 'ACTIVE' },
  { act: { resize: { flavorRef: larger } }, status: 'VERIFY_RESIZE' },
  { act: { confirmResize: null }, status: 'ACTIVE' },
  { act: { shelve: null }, status: 'SHELVED_OFFLOADED' },
  { act: { unshelve: null }, status: 'ACTIVE' },
];

/** Its own images, made ready and otherwise. */
async function images(id: ServerId): Promise<string[]> {
  const { rows } = await sql<{ status: string }>`select status from image
    where owner_properties ->> 'instance_uuid' = ${id}`.execute(cloud.database.query);
  return rows.map(({ status }) => status);
}

const ended = (id: ServerId) =>
  cloud.until('no operation to be open', async () => {
    const open = sql`select count(*) as n from operation where state = 'running' and resource_id = ${id}`;
    return (await cloud.count(open)) === 0;
  });

/** @param kill arranges the death of control */
async function live(kill: (at: number) => void): Promise<void> {
  const id = await createServer(tenancy, 'a disk');
  await reaches(cloud, tenancy, id, 'ACTIVE');
  for (const [at, { act, status, image }] of life().entries()) {
    await tenancy.client.must('POST', 'compute', `/servers/${id}/action`, act);
    const { control } = cloud;
    kill(at);
    await cloud.until('control to die, or all to be done', async () => !control.alive || (await isDone(id, status)));
    control.kill();
    await cloud.startControl();
    await ended(id);
    await reaches(cloud, tenancy, id, status);
    if (image) assert.deepEqual(await images(id), ['active']);
    const { rows } = await sql<{ state: string; verb: string }>`select state, verb from operation
      where resource_id = ${id} order by id desc limit 1`.execute(cloud.database.query);
    assert.equal(rows[0]!.state, 'succeeded', `${rows[0]!.verb} ${JSON.stringify(act)}`);
    if (status !== 'SHELVED_OFFLOADED') continue;
    assert.deepEqual(
      cloud.hosts.flatMap((host) => host.leftovers()).filter((entry) => entry.includes(id)),
      [],
    );
  }
  await assertInOrder(cloud, [id]);
  await cloud.until('the image of the shelved disk to be gone', async () => (await images(id)).length === 1);
  await tenancy.client.must('DELETE', 'compute', `/servers/${id}`);
  await reaches(cloud, tenancy, id, 'gone');
  await assertInOrder(cloud, []);
}

async function isDone(id: ServerId, status: string): Promise<boolean> {
  const { status: code, body } = await tenancy.client.call('GET', 'compute', `/servers/${id}`);
  return code === 200 && body.server.status === status && body.server['OS-EXT-STS:task_state'] === null;
}

/** 0: as soon as it has accepted. */
for (const statements of partOf([0, 3, 7, 12, 18, 25], 1)) {
  test(`whatever is done to a disk ends as asked, though control dies some ${statements} statements later`, () =>
    live((at) => {
      const { control } = cloud;
      let sent = 0;
      if (statements === 0) control.kill();
      control.databaseWire.onSent = () => {
        if (++sent === statements + at) control.kill();
      };
    }));
}

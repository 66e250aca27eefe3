/** A whole simulated cloud: servers go from one host to the other and back, by Nova's API, and leave nothing where they were. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import type { ServerId } from '../../contract/ids.ts';
import { SimulatedCloud } from '../support/simulated-cloud.ts';
import { rawImage } from '../support/small-image.ts';
import { assertInOrder, createServer, deleteServer, makeTenancy, reaches, type Tenancy } from '../support/tenancy.ts';

let cloud: SimulatedCloud;
let tenancy: Tenancy;
before(async () => {
  cloud = await SimulatedCloud.start({ hosts: 2 });
  tenancy = await makeTenancy(cloud);
});
after(() => cloud[Symbol.asyncDispose]());

const live = { 'os-migrateLive': { host: null, block_migration: 'auto' } };

const hostOf = async (id: ServerId): Promise<string> =>
  (await tenancy.client.must('GET', 'compute', `/servers/${id}`)).server['OS-EXT-SRV-ATTR:host'];

async function act(id: ServerId, body: object): Promise<void> {
  const headers = { 'openstack-api-version': 'compute 2.30' };
  const answer = await tenancy.client.call('POST', 'compute', `/servers/${id}/action`, body, headers);
  assert.ok(answer.status < 300, `${JSON.stringify(body)}: ${answer.status} ${JSON.stringify(answer.body)}`);
}

async function migrations(id: ServerId): Promise<string[]> {
  const all = await tenancy.client.must('GET', 'compute', `/os-migrations?instance_uuid=${id}`);
  return all.migrations.map(({ status }: { status: string }) => status);
}

async function arrives(id: ServerId, status: string, from: string): Promise<void> {
  await cloud.until(`the server to be ${status} elsewhere`, async () => {
    const { server } = await tenancy.client.must('GET', 'compute', `/servers/${id}`);
    const ended = (await migrations(id)).filter((each) => /^(failed|error)$/.test(each));
    assert.deepEqual(ended, [], JSON.stringify(server));
    return server.status === status && server['OS-EXT-SRV-ATTR:host'] !== from && !server['OS-EXT-STS:task_state'];
  });
}

test('a server goes live to the other host and back', async () => {
  const id = await createServer(tenancy, '小屋 🏔');
  await reaches(cloud, tenancy, id, 'ACTIVE');
  for (let n = 0; n < 2; n++) {
    const from = await hostOf(id);
    await act(id, live);
    await arrives(id, 'ACTIVE', from);
    await assertInOrder(cloud, [id]);
  }
  assert.deepEqual(await migrations(id), ['completed', 'completed']);
  await deleteServer(cloud, tenancy, id);
  await reaches(cloud, tenancy, id, 'gone');
  await assertInOrder(cloud, []);
});

test('a server goes live and cold where its image was deleted since', async () => {
  const image = { name: 'old', disk_format: 'raw', container_format: 'bare' };
  const { id: imageRef } = await tenancy.client.must('POST', 'image', '/v2/images', image);
  const headers = { 'content-type': 'application/octet-stream' };
  await tenancy.client.call('PUT', 'image', `/v2/images/${imageRef}/file`, rawImage(), headers);
  const id = await createServer(tenancy, 'old', { imageRef });
  await reaches(cloud, tenancy, id, 'ACTIVE');
  await tenancy.client.must('DELETE', 'image', `/v2/images/${imageRef}`);
  await cloud.until('no host to be said to have it', async () => {
    const { rows } = await sql`select from image where id = ${imageRef}`.execute(cloud.database.query);
    return rows.length === 0;
  });
  for (const { body, status } of [
    { body: live, status: 'ACTIVE' },
    { body: { migrate: null }, status: 'VERIFY_RESIZE' },
  ]) {
    const from = await hostOf(id);
    await act(id, body);
    await arrives(id, status, from);
  }
  await act(id, { confirmResize: null });
  await reaches(cloud, tenancy, id, 'ACTIVE');
  await deleteServer(cloud, tenancy, id);
  await reaches(cloud, tenancy, id, 'gone');
  await assertInOrder(cloud, []);
});

test('a server goes cold, back again, and once more for good', async () => {
  const id = await createServer(tenancy, 'cold');
  await reaches(cloud, tenancy, id, 'ACTIVE');
  const from = await hostOf(id);
  await act(id, { migrate: null });
  await arrives(id, 'VERIFY_RESIZE', from);
  await act(id, { revertResize: null });
  await reaches(cloud, tenancy, id, 'ACTIVE');
  assert.equal(await hostOf(id), from);
  await assertInOrder(cloud, [id]);
  await act(id, { migrate: null });
  await arrives(id, 'VERIFY_RESIZE', from);
  await act(id, { confirmResize: null });
  await reaches(cloud, tenancy, id, 'ACTIVE');
  await assertInOrder(cloud, [id]);
  assert.deepEqual(await migrations(id), ['reverted', 'confirmed']);
  await deleteServer(cloud, tenancy, id);
  await reaches(cloud, tenancy, id, 'gone');
  await assertInOrder(cloud, []);
});

/** It is where it was or where it should go, runs once, and nothing is under way. */
async function settles(id: ServerId): Promise<string> {
  let status = '';
  await cloud.until('the server to be settled', async () => {
    for (const host of cloud.hosts) if (!host.running) await host.start();
    const answer = await tenancy.client.call('GET', 'compute', `/servers/${id}`).catch(() => undefined);
    const server = answer?.status === 200 ? answer.body.server : undefined;
    status = server?.status;
    return /^(ACTIVE|VERIFY_RESIZE)$/.test(status) && !server['OS-EXT-STS:task_state'];
  });
  return status;
}

const ways = [
  {
    name: 'live',
    body: live,
    steps: [
      'make-received',
      'listen',
      'record-receiving',
      'record-sending',
      'mirror',
      'migrate',
      'record-hand-over',
    ].concat(['migrate-continue', 'record-take-over']),
  },
  {
    name: 'cold',
    body: { migrate: null },
    steps: ['make-received', 'listen', 'record-receiving', 'record-sending', 'mirror', 'send-end', 'record-take-over'],
  },
];

for (const { name, body, steps } of ways)
  test(`whichever host dies after whichever step, a server that goes ${name} runs once in the end`, async () => {
    const id = await createServer(tenancy, `mortal ${name}`);
    await reaches(cloud, tenancy, id, 'ACTIVE');
    const died: string[] = [];
    for (const step of steps) {
      for (const host of cloud.hosts) host.dieAfter = step;
      await act(id, body);
      await cloud.until('a death, or the end', async () => {
        const { server } = await tenancy.client.must('GET', 'compute', `/servers/${id}`);
        return cloud.hosts.some((host) => !host.running) || !server['OS-EXT-STS:task_state'];
      });
      if (cloud.hosts.some((host) => !host.running)) died.push(step);
      for (const host of cloud.hosts) host.dieAfter = undefined;
      if ((await settles(id)) === 'VERIFY_RESIZE') {
        await act(id, { confirmResize: null });
        await settles(id);
      }
      await assertInOrder(cloud, [id]);
    }
    assert.deepEqual(died, steps, 'each step was reached');
    await deleteServer(cloud, tenancy, id);
    await reaches(cloud, tenancy, id, 'gone');
    await assertInOrder(cloud, []);
  });

test('a control that dies while a server is on its way finds it where it is', async () => {
  const id = await createServer(tenancy, 'without control');
  await reaches(cloud, tenancy, id, 'ACTIVE');
  for (const step of ['listen', 'mirror', 'record-hand-over', 'record-take-over']) {
    const before = cloud.hosts.map((host) => host.steps.length);
    await act(id, live);
    await cloud.until(`step ${step}`, async () =>
      cloud.hosts.some((host, index) => host.steps.slice(before[index]).some((name) => name.includes(step))),
    );
    cloud.control.kill();
    await cloud.startControl();
    await settles(id);
    await assertInOrder(cloud, [id]);
  }
  await deleteServer(cloud, tenancy, id);
  await reaches(cloud, tenancy, id, 'gone');
  await assertInOrder(cloud, []);
});

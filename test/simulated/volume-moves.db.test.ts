/**
 * Volumes change hosts in a whole simulated cloud, with their servers (by Nova's API) and by themselves (by Cinder's): what of them is on which host, and
 * that nothing is left where they were, whoever dies on the way.
 */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import type { ServerId } from '../../contract/ids.ts';
import { partOf } from '../support/part-of.ts';
import { SimulatedCloud } from '../support/simulated-cloud.ts';
import { assertInOrder, createServer, deleteServer, makeTenancy, reaches, type Tenancy } from '../support/tenancy.ts';

let cloud: SimulatedCloud;
let tenancy: Tenancy;
before(async () => {
  cloud = await SimulatedCloud.start({ hosts: 2 });
  tenancy = await makeTenancy(cloud);
});
after(() => cloud[Symbol.asyncDispose]());

const live = { 'os-migrateLive': { host: null, block_migration: 'auto' } };
const compute = (method: string, path: string, body?: object) => tenancy.client.must(method, 'compute', path, body);
const storage = (method: string, path: string, body?: object) =>
  tenancy.client.must(method, 'block-storage', path, body);

const volumeOf = async (id: string) => (await storage('GET', `/volumes/${id}`)).volume;
const is = (id: string, status: string) =>
  cloud.until(`volume ${id} to be ${status}`, async () => (await volumeOf(id)).status === status);

async function made(body: object, kind: 'volumes' | 'snapshots' = 'volumes'): Promise<string> {
  const noun = kind.slice(0, -1);
  const { id } = (await storage('POST', `/${kind}`, { [noun]: { ...(kind === 'volumes' && { size: 1 }), ...body } }))[
    noun
  ];
  await cloud.until(`${noun} ${id} to be available`, async () => {
    return (await storage('GET', `/${kind}/${id}`))[noun].status === 'available';
  });
  return id;
}

async function attach(serverId: ServerId, volumeId: string): Promise<void> {
  await compute('POST', `/servers/${serverId}/os-volume_attachments`, { volumeAttachment: { volumeId } });
  await is(volumeId, 'in-use');
}

const serverOf = async (id: ServerId) => (await compute('GET', `/servers/${id}`)).server;
const hostOf = async (id: ServerId): Promise<string> => (await serverOf(id))['OS-EXT-SRV-ATTR:host'];

async function act(id: ServerId, body: object): Promise<void> {
  const headers = { 'openstack-api-version': 'compute 2.30' };
  const answer = await tenancy.client.call('POST', 'compute', `/servers/${id}/action`, body, headers);
  assert.ok(answer.status < 300, `${JSON.stringify(body)}: ${answer.status} ${JSON.stringify(answer.body)}`);
}

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

/** Files of layers, by the host's name. */
const filesOn = (name: string): string[] => {
  const { dataDirectory } = cloud.hosts.find((host) => host.name === name)!.machine;
  return readdirSync(join(dataDirectory, 'volumes/layers')).sort();
};

interface LayerRow {
  id: string;
  host: string;
  copy: boolean;
}
const layers = async (): Promise<LayerRow[]> =>
  (
    await sql<LayerRow>`select l.id, h.name as host, l.desired_source is not null as copy from volume_layer l
      join host h on h.id = l.host_id`.execute(cloud.database.query)
  ).rows;

/** All layers that there are have their files, and no other file is there. */
const inOrder = (where: Record<string, number>) =>
  cloud.until(`layers to be ${JSON.stringify(where)}`, async () => {
    const rows = await layers();
    return cloud.hosts.every(({ name }) => {
      const here = rows.filter(({ host }) => host === name).map(({ id }) => `${id}.qcow2`);
      const files = filesOn(name);
      return here.length === (where[name] ?? 0) && JSON.stringify(here.sort()) === JSON.stringify(files);
    });
  });

const otherThan = (name: string): string => cloud.hosts.find((host) => host.name !== name)!.name;

test('a volume with a snapshot goes live with its server and comes back, and what others build on it stays', async () => {
  const serverId = await createServer(tenancy, '小屋 🏔');
  await reaches(cloud, tenancy, serverId, 'ACTIVE');
  const from = await hostOf(serverId);
  const volumeId = await made({ name: '卷' });
  if (!(await volumeOf(volumeId))['os-vol-host-attr:host'].startsWith(`${from}@`)) {
    await storage('POST', `/volumes/${volumeId}/action`, { 'os-migrate_volume': { host: `${from}@local` } });
    await is(volumeId, 'available');
  }
  const snapshotId = await made({ volume_id: volumeId }, 'snapshots');
  const cloneId = await made({ snapshot_id: snapshotId });
  await attach(serverId, volumeId);
  await inOrder({ [from]: 3 });

  await act(serverId, live);
  await cloud.until('the server to be elsewhere', async () => (await hostOf(serverId)) !== from);
  const to = otherThan(from);
  assert.equal(await settles(serverId), 'ACTIVE');
  await is(volumeId, 'in-use');
  assert.match((await volumeOf(volumeId))['os-vol-host-attr:host'], new RegExp(`^${to}@`));
  await inOrder({ [to]: 2, [from]: 2 });
  await storage('DELETE', `/volumes/${cloneId}`);
  await inOrder({ [to]: 2 });
  // The snapshot is there, too: a clone of it is made where it is now.
  const again = await made({ snapshot_id: snapshotId });
  assert.match((await volumeOf(again))['os-vol-host-attr:host'], new RegExp(`^${to}@`));
  await storage('DELETE', `/volumes/${again}`);

  await act(serverId, live);
  await cloud.until('the server to be back', async () => (await hostOf(serverId)) === from);
  assert.equal(await settles(serverId), 'ACTIVE');
  await inOrder({ [from]: 2 });
  await storage('DELETE', `/snapshots/${snapshotId}`);
  await deleteServer(cloud, tenancy, serverId);
  await reaches(cloud, tenancy, serverId, 'gone');
  await is(volumeId, 'available');
  await storage('POST', `/volumes/${volumeId}/action`, { 'os-migrate_volume': { host: `${to}@local` } });
  await is(volumeId, 'available');
  await cloud.until('it to be there', async () =>
    (await volumeOf(volumeId))['os-vol-host-attr:host'].startsWith(`${to}@`),
  );
  await storage('DELETE', `/volumes/${volumeId}`);
  await inOrder({});
});

const ways = {
  live: {
    body: live,
    steps: ['copy-layer', 'place-layer', 'make-received', 'listen', 'mirror', 'record-hand-over', 'record-take-over'],
  },
  cold: {
    body: { migrate: null },
    steps: ['copy-layer', 'place-layer', 'make-received', 'listen', 'mirror', 'send-end', 'record-take-over'],
  },
};

for (const [name, { body, steps }] of Object.entries(ways))
  test(`whichever host dies after whichever step, a server goes ${name} with its volume or stays with it`, async () => {
    const serverId = await createServer(tenancy, `mortal ${name}`);
    await reaches(cloud, tenancy, serverId, 'ACTIVE');
    const volumeId = await made({});
    const from = await hostOf(serverId);
    if (!(await volumeOf(volumeId))['os-vol-host-attr:host'].startsWith(`${from}@`)) {
      await storage('POST', `/volumes/${volumeId}/action`, { 'os-migrate_volume': { host: `${from}@local` } });
      await is(volumeId, 'available');
    }
    await made({ volume_id: volumeId }, 'snapshots');
    await attach(serverId, volumeId);
    for (const step of partOf(steps, 3)) {
      for (const host of cloud.hosts) host.dieAfter = step;
      await act(serverId, body);
      await cloud.until(`a death after ${step}, or the end`, async () => {
        return cloud.hosts.some((host) => !host.running) || !(await serverOf(serverId))['OS-EXT-STS:task_state'];
      });
      for (const host of cloud.hosts) host.dieAfter = undefined;
      if ((await settles(serverId)) === 'VERIFY_RESIZE') {
        await act(serverId, { confirmResize: null });
        await settles(serverId);
      }
      await is(volumeId, 'in-use');
      const host = await hostOf(serverId);
      assert.match((await volumeOf(volumeId))['os-vol-host-attr:host'], new RegExp(`^${host}@`));
      await inOrder({ [host]: 2 });
      await assertInOrder(cloud, [serverId]);
    }
    await deleteServer(cloud, tenancy, serverId);
    await reaches(cloud, tenancy, serverId, 'gone');
    await is(volumeId, 'available');
    await storage('DELETE', `/volumes/${volumeId}?cascade=true`);
    await inOrder({});
  });

test('a server that is deleted on its way goes at once, and its volume is whole on one of both hosts, with nothing left on the other', async () => {
  for (const step of partOf(['copy-layer', 'listen', 'mirror', 'record-hand-over', 'record-take-over'], 2)) {
    const serverId = await createServer(tenancy, `deleted after ${step}`);
    await reaches(cloud, tenancy, serverId, 'ACTIVE');
    const from = await hostOf(serverId);
    const volumeId = await made({});
    if (!(await volumeOf(volumeId))['os-vol-host-attr:host'].startsWith(`${from}@`)) {
      await storage('POST', `/volumes/${volumeId}/action`, { 'os-migrate_volume': { host: `${from}@local` } });
      await is(volumeId, 'available');
    }
    await made({ volume_id: volumeId }, 'snapshots');
    await attach(serverId, volumeId);
    const seen = cloud.hosts.map((host) => host.steps.length);
    await act(serverId, live);
    await cloud.until(`step ${step}`, async () =>
      cloud.hosts.some((host, index) => host.steps.slice(seen[index]).some((name) => name.includes(step))),
    );
    await deleteServer(cloud, tenancy, serverId);
    await reaches(cloud, tenancy, serverId, 'gone');
    await is(volumeId, 'available');
    const [host] = (await volumeOf(volumeId))['os-vol-host-attr:host'].split('@');
    await inOrder({ [host]: 2 });
    await assertInOrder(cloud, []);
    await storage('DELETE', `/volumes/${volumeId}?cascade=true`);
    await inOrder({});
  }
});

/**
 * Nova's attach of a volume that lies on another host, in a whole simulated cloud: the volume is carried to the server's host and plugged while the guest runs,
 * whoever dies on the way; what is called off leaves the volume whole on one host, and nothing on the other.
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

const compute = (method: string, path: string, body?: object) => tenancy.client.must(method, 'compute', path, body);
const storage = (method: string, path: string, body?: object) =>
  tenancy.client.must(method, 'block-storage', path, body);

const volumeOf = async (id: string) => (await storage('GET', `/volumes/${id}`)).volume;
const statusOf = async (id: string): Promise<string> => (await volumeOf(id)).status;
const is = (id: string, status: string) =>
  cloud.until(`volume ${id} to be ${status}`, async () => {
    for (const host of cloud.hosts) if (!host.running) await host.start();
    return (await statusOf(id)) === status;
  });
const hostOfVolume = async (id: string): Promise<string> => (await volumeOf(id))['os-vol-host-attr:host'].split('@')[0];
const hostOf = async (id: ServerId): Promise<string> =>
  (await compute('GET', `/servers/${id}`)).server['OS-EXT-SRV-ATTR:host'];
const otherThan = (name: string): string => cloud.hosts.find((host) => host.name !== name)!.name;

/** An available volume with a snapshot, on another host than the server. */
async function farFrom(serverId: ServerId): Promise<string> {
  const { id } = (await storage('POST', '/volumes', { volume: { size: 1, name: '卷' } })).volume;
  await is(id, 'available');
  const far = otherThan(await hostOf(serverId));
  if ((await hostOfVolume(id)) !== far) {
    await storage('POST', `/volumes/${id}/action`, { 'os-migrate_volume': { host: `${far}@local` } });
    await cloud.until('it to be there', async () => (await hostOfVolume(id)) === far);
    await is(id, 'available');
  }
  const { snapshot } = await storage('POST', '/snapshots', { snapshot: { volume_id: id } });
  await cloud.until('the snapshot to be available', async () => {
    return (await storage('GET', `/snapshots/${snapshot.id}`)).snapshot.status === 'available';
  });
  return id;
}

const attach = (serverId: ServerId, volumeId: string) =>
  compute('POST', `/servers/${serverId}/os-volume_attachments`, { volumeAttachment: { volumeId } });
const detach = (serverId: ServerId, volumeId: string) =>
  compute('DELETE', `/servers/${serverId}/os-volume_attachments/${volumeId}`);

interface LayerRow {
  id: string;
  host: string;
}
/** All layers that there are have their files, so many on each host, and no other file is there. */
const inOrder = (where: Record<string, number>) =>
  cloud.until(`layers to be ${JSON.stringify(where)}`, async () => {
    const { rows } =
      await sql<LayerRow>`select l.id, h.name as host from volume_layer l join host h on h.id = l.host_id`.execute(
        cloud.database.query,
      );
    return cloud.hosts.every(({ name, machine }) => {
      const here = rows.filter(({ host }) => host === name).map(({ id }) => `${id}.qcow2`);
      const files = readdirSync(join(machine.dataDirectory, 'volumes/layers')).sort();
      return here.length === (where[name] ?? 0) && JSON.stringify(here.sort()) === JSON.stringify(files);
    });
  });

/** Of the way, and of the plug. */
const steps = ['copy-layer', 'place-layer', 'record-volume', 'add-node', 'add-disk'];

test('a volume of another host is attached to a server that goes on running, and comes back to nobody there', async () => {
  const serverId = await createServer(tenancy, '小屋 🏔');
  await reaches(cloud, tenancy, serverId, 'ACTIVE');
  const volumeId = await farFrom(serverId);
  const [here, far] = [await hostOf(serverId), await hostOfVolume(volumeId)];
  const outcome = (await volumeOf(volumeId)).migration_status;
  const { volumeAttachment } = await attach(serverId, volumeId);
  assert.deepEqual(volumeAttachment, { id: volumeId, serverId, volumeId, device: '/dev/vdb' });
  assert.equal(await statusOf(volumeId), 'attaching');
  assert.equal((await compute('GET', `/servers/${serverId}`)).server.status, 'ACTIVE');
  await is(volumeId, 'in-use');
  assert.equal(await hostOfVolume(volumeId), here);
  assert.equal((await volumeOf(volumeId)).migration_status, outcome, 'nobody asked for a migration');
  await inOrder({ [here]: 2 });
  await assertInOrder(cloud, [serverId]);
  await detach(serverId, volumeId);
  await is(volumeId, 'available');
  assert.notEqual(here, far);
  await deleteServer(cloud, tenancy, serverId);
  await reaches(cloud, tenancy, serverId, 'gone');
  await storage('DELETE', `/volumes/${volumeId}?cascade=true`);
  await inOrder({});
});

test('whichever host dies after whichever step, the volume comes to its server', async () => {
  const serverId = await createServer(tenancy, 'mortal');
  await reaches(cloud, tenancy, serverId, 'ACTIVE');
  for (const step of partOf(steps, 3)) {
    const volumeId = await farFrom(serverId);
    for (const host of cloud.hosts) host.dieAfter = step;
    await attach(serverId, volumeId);
    await cloud.until(`a death after ${step}`, () => cloud.hosts.some((host) => !host.running));
    for (const host of cloud.hosts) host.dieAfter = undefined;
    await is(volumeId, 'in-use');
    const here = await hostOf(serverId);
    assert.equal(await hostOfVolume(volumeId), here);
    await inOrder({ [here]: 2 });
    await assertInOrder(cloud, [serverId]);
    await detach(serverId, volumeId);
    await is(volumeId, 'available');
    await storage('DELETE', `/volumes/${volumeId}?cascade=true`);
    await inOrder({});
  }
  await deleteServer(cloud, tenancy, serverId);
  await reaches(cloud, tenancy, serverId, 'gone');
});

for (const [how, callOff] of [
  ['is detached', detach],
  ['loses its server', (serverId: ServerId) => deleteServer(cloud, tenancy, serverId)],
] as const)
  test(`a volume that ${how} after whichever step of its way is whole on one host, with nothing left on the other`, async () => {
    for (const step of partOf(steps, 3)) {
      const serverId = await createServer(tenancy, `called off after ${step}`);
      await reaches(cloud, tenancy, serverId, 'ACTIVE');
      const volumeId = await farFrom(serverId);
      const seen = cloud.hosts.map((host) => host.steps.length);
      await attach(serverId, volumeId);
      await cloud.until(`step ${step}`, async () =>
        cloud.hosts.some((host, index) => host.steps.slice(seen[index]).some((name) => name.includes(step))),
      );
      await callOff(serverId, volumeId);
      await is(volumeId, 'available');
      await cloud.until('all layers to be on its host', async () => {
        const { rows } = await sql<{
          hosts: number;
        }>`select count(distinct host_id)::integer as hosts from volume_layer`.execute(cloud.database.query);
        return rows[0]!.hosts === 1;
      });
      const { rows } = await sql<{ n: number }>`select count(*)::integer as n from volume_layer`.execute(
        cloud.database.query,
      );
      await inOrder({ [await hostOfVolume(volumeId)]: rows[0]!.n });
      if (callOff === detach) await deleteServer(cloud, tenancy, serverId);
      await reaches(cloud, tenancy, serverId, 'gone');
      await assertInOrder(cloud, []);
      await storage('DELETE', `/volumes/${volumeId}?cascade=true`);
      await inOrder({});
    }
  });

/**
 * A whole simulated cloud: second copies of volumes, from the type that asks for them to the mirrors of real hosts. Each process dies after each of its steps; the copy's daemon
 * dies; the guest's machine is lost.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { newId, type ServerId } from '../../contract/ids.ts';
import { SimulatedCloud } from '../support/simulated-cloud.ts';
import type { SimulatedHost } from '../support/simulated-host.ts';
import { createServer, makeTenancy, reaches, type Tenancy } from '../support/tenancy.ts';

const hooks = {
  streams: { leaseMs: 2000, pingMs: 200, silentMs: 1000 },
  evacuation: { everyMs: 50, steadyMs: 2500, gapMs: 1000, retryMs: 200, marginMs: 300 },
};

let cloud: SimulatedCloud;
let tenancy: Tenancy;
before(async () => {
  cloud = await SimulatedCloud.start({ hosts: 2, hooks, settings: { imageCopies: 2 } });
  tenancy = await makeTenancy(cloud);
  await cloud.until('each host to have the image', async () => {
    return (await cloud.count(sql`select count(*) as n from image_location where image_id = ${tenancy.imageId}`)) === 2;
  });
  const specs = { replication_enabled: '<is> True', replication_type: '<in> sync' };
  await sql`insert into volume_type (id, name, public, extra_specs) values (${newId()}, 'synchronous', true, ${JSON.stringify(specs)}::jsonb)`.execute(
    cloud.database.query,
  );
});
after(() => cloud[Symbol.asyncDispose]());

interface Copy {
  state: string | null;
  layer_id: string | null;
  of: string | null;
}
const copyOf = async (volumeId: string): Promise<Copy> => {
  const { rows } =
    await sql<Copy>`select copy_state as state, copy_layer_id as layer_id, copy_of_layer_id as of from volume_replica
    where volume_id = ${volumeId}`.execute(cloud.database.query);
  return rows[0]!;
};
const inSync = (volumeId: string, but?: string | null) =>
  cloud.until(
    'the copy to be in sync',
    async () => {
      const { state, layer_id } = await copyOf(volumeId);
      return state === 'in_sync' && layer_id !== but;
    },
    60_000,
  );
const hostOf = (id: ServerId): SimulatedHost =>
  cloud.hosts.find((host) => host.machine.qemus.guests.some((qemu) => qemu.alive && qemu.machine.uuid === id))!;
const must = (method: string, path: string, body?: object) => tenancy.client.must(method, 'compute', path, body);

/** A server that is restarted elsewhere, with a volume whose second copy is in sync. */
async function protectedServer(name: string): Promise<{ id: ServerId; volumeId: string }> {
  const id = await createServer(tenancy, name);
  await reaches(cloud, tenancy, id, 'ACTIVE');
  const policy = { restart: 'elsewhere', disk: 'from_image', on_lease_end: 'pause' };
  await tenancy.client.native('PUT', `/servers/${id}/evacuation-policy`, { evacuation_policy: policy });
  const { volume } = await tenancy.client.must('POST', 'block-storage', '/volumes', {
    volume: { size: 1, volume_type: 'synchronous' },
    'OS-SCH-HNT:scheduler_hints': { local_to_instance: id },
  });
  await cloud.until('the volume to be there', async () => {
    const shown = (await tenancy.client.must('GET', 'block-storage', `/volumes/${volume.id}`)).volume;
    return shown.status === 'available';
  });
  await must('POST', `/servers/${id}/os-volume_attachments`, { volumeAttachment: { volumeId: volume.id } });
  await inSync(volume.id);
  return { id, volumeId: volume.id };
}
async function gone(id: ServerId, volumeId: string): Promise<void> {
  await must('DELETE', `/servers/${id}`);
  await reaches(cloud, tenancy, id, 'gone');
  await cloud.until('the volume to be free', async () => {
    const { status, body } = await tenancy.client.call('GET', 'block-storage', `/volumes/${volumeId}`);
    return status === 404 || body.volume.status === 'available';
  });
  await tenancy.client.call('DELETE', 'block-storage', `/volumes/${volumeId}`);
  await cloud.until(
    'no layer to be left',
    async () => (await cloud.count(sql`select count(*) as n from volume_layer`)) === 0,
  );
  for (const host of cloud.hosts) assert.deepEqual(host.machine.receivers.layerIds, []);
}

test('a copy comes to be in sync, also where each host process dies after each of its steps', async () => {
  const { id, volumeId } = await protectedServer('dying');
  const source = hostOf(id);
  const target = cloud.hosts.find((host) => host !== source)!;
  for (const [host, steps] of [
    [target, ['receive-writes', 'end-receiving']],
    [source, ['record-copy', 'begin-copy', 'drop-copy']],
  ] as const) {
    for (const step of steps) {
      const { layer_id: before } = await copyOf(volumeId);
      host.dieAfter = step;
      // A copy that is lost is made anew: all of the steps come.
      target.machine.receivers.kill(before!);
      await cloud.until(`its host process to die after ${step}`, () => !host.running, 30_000);
      await host.start();
      await inSync(volumeId, before);
    }
  }
  await gone(id, volumeId);
});

test('a host process that is started anew goes on with the mirror that its guest has', async () => {
  const { id, volumeId } = await protectedServer('adopted');
  const { layer_id: before } = await copyOf(volumeId);
  for (const host of cloud.hosts) {
    host.kill();
    await host.start();
  }
  await cloud.until('both to be here', async () => (await cloud.connectedHosts()) === 2);
  await new Promise((resolve) => setTimeout(resolve, 2500));
  assert.deepEqual([(await copyOf(volumeId)).state, (await copyOf(volumeId)).layer_id], ['in_sync', before]);
  await gone(id, volumeId);
});

test('a guest that is started anew is in sync again, by another copy', async () => {
  const { id, volumeId } = await protectedServer('rebooted');
  const { layer_id: before } = await copyOf(volumeId);
  await must('POST', `/servers/${id}/action`, { 'os-stop': null });
  await reaches(cloud, tenancy, id, 'SHUTOFF');
  assert.deepEqual(await copyOf(volumeId), { ...(await copyOf(volumeId)), state: 'in_sync', layer_id: before });
  await must('POST', `/servers/${id}/action`, { 'os-start': null });
  await reaches(cloud, tenancy, id, 'ACTIVE');
  await inSync(volumeId, before);
  await must('POST', `/servers/${id}/action`, { reboot: { type: 'HARD' } });
  const { layer_id: second } = await copyOf(volumeId);
  await reaches(cloud, tenancy, id, 'ACTIVE');
  await inSync(volumeId, second);
  const { layer_id: third } = await copyOf(volumeId);
  await must('POST', `/servers/${id}/action`, { suspend: null });
  await reaches(cloud, tenancy, id, 'SUSPENDED');
  assert.notEqual((await copyOf(volumeId)).state, 'in_sync', 'its memory is saved without a mirror');
  await must('POST', `/servers/${id}/action`, { resume: null });
  await reaches(cloud, tenancy, id, 'ACTIVE');
  await inSync(volumeId, third);
  await gone(id, volumeId);
});

test('the machine is lost: its server runs elsewhere from the very copy that was in sync', async () => {
  const { id, volumeId } = await protectedServer('mortal');
  const { layer_id: copyId } = await copyOf(volumeId);
  const [source] = [hostOf(id)];
  source.kill();
  source.machine.powerCut();
  await cloud.until('it to run elsewhere', () => hostOf(id) !== undefined && hostOf(id) !== source, 60_000);
  const { rows } = await sql<{
    parent_id: string;
    age: number;
  }>`select l.parent_id, (select (m.evidence -> 'replicas' -> 0 ->> 'age_seconds')::float8
      from server_migration m where m.server_id = ${id}) as age
    from volume v join volume_layer l on l.id = v.layer_id where v.id = ${volumeId}`.execute(cloud.database.query);
  assert.deepEqual(rows, [{ parent_id: copyId, age: 0 }]);
  await source.start();
  await inSync(volumeId, copyId);
  await gone(id, volumeId);
});

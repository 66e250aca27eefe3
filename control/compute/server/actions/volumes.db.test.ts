/** What is done to servers with volumes, and to servers that boot from one. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import {
  type HostId,
  type ImageId,
  type LayerId,
  newId,
  type ServerId,
  type VolumeId,
} from '../../../../contract/ids.ts';
import { Secret } from '../../../../contract/secret.ts';
import { type TestDatabase, testDatabase } from '../../../kit/database/testing.ts';
import { testPool, testVolume } from '../../../storage/attachment/testing.ts';
import { findVolume, volumeStatus } from '../../../storage/volume/index.ts';
import { lookAtIncomplete } from '../../../storage/volume/testing.ts';
import type { ServerVolumeWish } from '../create-volumes.ts';
import { serverStatus } from '../states.ts';
import { type ServerCloud, serverCloud } from '../testing.ts';
import * as serverActions from './index.ts';

let db: TestDatabase;
let cloud: ServerCloud;
let hostId: HostId;
let flavor: string;

before(async () => {
  db = await testDatabase();
  cloud = await serverCloud(db.database);
  hostId = await cloud.addHost({ vcpus: 1000, memoryMiB: 10 ** 6 });
  await testPool(db.database, hostId);
  flavor = await cloud.addFlavor();
});
after(() => db[Symbol.asyncDispose]());

const plain: ServerVolumeWish = {
  ...{ source: 'blank', id: null, sizeGib: 1, bootIndex: null, tag: null, deleteOnTermination: false, type: null },
};
const bootVolume = (): ServerVolumeWish => ({ ...plain, source: 'image', id: cloud.imageId, sizeGib: 2, bootIndex: 0 });

/** A server that runs. */
async function running(over: Partial<Parameters<ServerCloud['wish']>[0]> = {}): Promise<ServerId> {
  const { ids } = await cloud.service.create(cloud.member, cloud.wish({ flavor, ...over }));
  await cloud.controller.reconcile(ids[0]!);
  await hostDoes();
  return ids[0]!;
}
const fromVolume = () => running({ imageId: null, volumes: [bootVolume()] });

/** Layers are ready, guests have what they shall have, and no more; and the controllers look at that. */
async function hostDoes(): Promise<void> {
  await sql`update volume_layer set observed_state = 'ready', observed_generation = generation`.execute(
    db.database.query,
  );
  for (const server of await cloud.side.desiredServers(db.database.query, { hostId })) {
    const has = (server.volumes ?? []).map(({ id, layerId, sizeBytes }) => ({
      id,
      layerId,
      sizeBytes,
      state: 'attached' as const,
    }));
    const state = server.presence === 'absent' ? 'absent' : server.power === 'off' ? 'stopped' : 'running';
    await cloud.report(hostId, server.id, {
      ...{
        state,
        generation: server.generation,
        rebootCount: server.reboot.count,
        rescueCount: server.rescue?.count ?? 0,
      },
      ...{ rootCount: server.rootCount ?? 0, volumes: state === 'running' ? has : [] },
    });
  }
  await lookAtIncomplete(db.database);
}

const volume = () => testVolume(db.database, { projectId: cloud.projectId, hostId });
const attach = (id: ServerId, volumeId: string, over: Partial<serverActions.AttachVolumeWish> = {}) => {
  let device = '';
  const attached = (name: string) => {
    device = name;
  };
  const wish = { volumeId, tag: null, deleteOnTermination: false, attached, ...over };
  return cloud.service.act(cloud.member, id, serverActions.attachVolume, wish).then(() => device);
};
const detach = (id: ServerId, volumeId: string) =>
  cloud.service.act(cloud.member, id, serverActions.detachVolume, volumeId);
const status = async (volumeId: string) => volumeStatus(await shown(volumeId));
const shown = (volumeId: string) => findVolume(db.database.query, 'all', volumeId);
const serverState = async (id: ServerId) => serverStatus(await cloud.service.get(cloud.member, id));

test('a volume is attaching until its guest has it, in use until the guest has let go, and then free', async () => {
  const [id, { id: volumeId }] = [await running(), await volume()];
  assert.equal(await attach(id, volumeId, { tag: 'data' }), '/dev/vdb');
  assert.equal(await status(volumeId), 'attaching');
  await hostDoes();
  assert.equal(await status(volumeId), 'in-use');
  assert.equal(await serverState(id), 'ACTIVE');
  assert.deepEqual((await cloud.service.get(cloud.member, id)).volumes, [
    { volume_id: volumeId, delete_on_termination: false },
  ]);
  await detach(id, volumeId);
  assert.equal(await status(volumeId), 'detaching');
  await detach(id, volumeId);
  await hostDoes();
  assert.equal(await status(volumeId), 'available');
  const { operations } = await cloud.service.operations(cloud.member, id);
  assert.deepEqual(
    operations.map(({ verb, state }) => `${verb} ${state}`),
    ['detach_volume succeeded', 'attach_volume succeeded', 'create succeeded'],
  );
});

test('whose volume a guest does not let go of is told so, once each time that it was to go, and it goes with the guest’s stop', async () => {
  const [id, { id: volumeId }] = [await running(), await volume()];
  const { layer_id } = await shown(volumeId);
  const releasing = {
    id: volumeId as VolumeId,
    layerId: layer_id as LayerId,
    sizeBytes: 2 ** 30,
    state: 'releasing',
  } as const;
  const say = async (state: 'building' | 'running') => {
    const all = await cloud.side.desiredServers(db.database.query, { hostId });
    const { generation } = all.find((server) => server.id === id)!;
    await cloud.report(hostId, id, { state, generation, volumes: [releasing] });
  };
  const told = async () => {
    const { rows } = await sql<{ verb: string }>`select verb, error_message from storage_message
      where resource_id = ${volumeId}`.execute(db.database.query);
    return rows.map(({ verb }) => verb);
  };
  for (const times of [1, 2]) {
    await attach(id, volumeId);
    await hostDoes();
    await detach(id, volumeId);
    await say('building');
    assert.equal((await told()).length, times - 1, 'its host still waits for the guest');
    for (const state of ['running', 'building', 'running'] as const) await say(state);
    assert.deepEqual([await told(), await status(volumeId)], [Array(times).fill('detach'), 'detaching']);
    await cloud.service.act(cloud.member, id, serverActions.stop);
    await hostDoes();
    assert.equal(await status(volumeId), 'available');
    await cloud.service.act(cloud.member, id, serverActions.start);
    await hostDoes();
  }
});

test('of two servers that ask for one volume at once one gets it', async () => {
  const [a, b, { id: volumeId }] = [await running(), await running(), await volume()];
  const all = await Promise.allSettled([attach(a, volumeId), attach(b, volumeId)]);
  assert.equal(all.filter((one) => one.status === 'fulfilled').length, 1);
  const refused = all.find((one) => one.status === 'rejected');
  assert.equal(refused?.reason.reason, 'volume_status_unfit');
});

test('what can’t be attached is refused with the reason', async () => {
  const id = await running();
  const elsewhere = await cloud.addHost();
  const far = await testVolume(db.database, { projectId: cloud.projectId, hostId: elsewhere });
  await sql`update host set enabled = false, connected = false where id = ${elsewhere}`.execute(db.database.query);
  await assert.rejects(attach(id, far.id), { code: 'invalid', reason: 'volume_not_brought' });
  await assert.rejects(attach(id, newId()), { code: 'not_found', reason: 'volume_not_found' });
  await assert.rejects(detach(id, far.id), { code: 'not_found', reason: 'volume_not_attached' });
  const { id: volumeId } = await volume();
  await cloud.service.act(cloud.admin, id, serverActions.lock, { reason: null });
  await assert.rejects(attach(id, volumeId), { reason: 'server_locked' });
});

test('a machine has as many volumes as it has places, and a place that is freed is given again', async () => {
  const id = await running();
  const volumes: string[] = [];
  for (let n = 0; n < 26; n++) volumes.push((await volume()).id);
  for (const each of volumes) await attach(id, each);
  const { id: more } = await volume();
  await assert.rejects(attach(id, more), { code: 'forbidden', reason: 'server_volumes_full' });
  await hostDoes();
  await detach(id, volumes[3]!);
  await hostDoes();
  assert.equal(await attach(id, more), '/dev/vde');
});

test('a server that is off has its volumes when its host knows of them, one that has no host at once', async () => {
  const [id, a, b] = [await running(), await volume(), await volume()];
  await cloud.service.act(cloud.member, id, serverActions.stop);
  await hostDoes();
  await attach(id, a.id);
  await hostDoes();
  assert.equal(await status(a.id), 'in-use');
  await cloud.service.act(cloud.member, id, serverActions.start);
  await hostDoes();
  await cloud.service.act(cloud.member, id, serverActions.shelve);
  const { rows } = await sql<{
    image_id: ImageId;
  }>`select desired_capture ->> 'image_id' as image_id from server where id = ${id}`.execute(db.database.query);
  await hostDoes();
  await cloud.report(hostId, id, {
    state: 'stopped',
    captures: [{ imageId: rows[0]!.image_id, result: { sizeBytes: 1, virtualSizeBytes: 2 ** 30 }, error: null }],
  });
  await hostDoes();
  await cloud.controller.reconcile(id);
  assert.equal(await serverState(id), 'SHELVED_OFFLOADED');
  assert.equal(await status(a.id), 'in-use', 'it keeps its volumes');
  await attach(id, b.id);
  assert.equal(await status(b.id), 'in-use');
  await detach(id, a.id);
  assert.equal(await status(a.id), 'available');
});

test('a server that boots from a volume is shelved without an image, and comes back where its volume is', async () => {
  const id = await fromVolume();
  await cloud.service.act(cloud.member, id, serverActions.shelve);
  const documents = await cloud.side.desiredServers(db.database.query, { serverIds: [id] });
  assert.deepEqual(
    [documents[0]!.power, documents[0]!.presence, documents[0]!.captures],
    ['off', 'present', undefined],
  );
  await hostDoes();
  await hostDoes();
  await cloud.controller.reconcile(id);
  assert.equal(await serverState(id), 'SHELVED_OFFLOADED');
  await cloud.service.act(cloud.member, id, serverActions.unshelve, { host: null });
  await cloud.controller.reconcile(id);
  await hostDoes();
  const server = await cloud.service.get(cloud.member, id);
  assert.deepEqual([serverStatus(server), server.host_id, server.desired_shelve], ['ACTIVE', hostId, null]);
});

test('the volume that a server boots from stays with it, and what needs a disk of its own is refused', async () => {
  const id = await fromVolume();
  const root = (await cloud.service.get(cloud.member, id)).volumes[0]!.volume_id;
  await assert.rejects(detach(id, root), { code: 'invalid', reason: 'root_volume_stays' });
  const { member, imageId } = cloud;
  await assert.rejects(cloud.service.act(member, id, serverActions.rescue, { imageId, password: null }), {
    reason: 'volume_backed',
  });
  const backup = { imageId: newId<ImageId>(), name: 'b', metadata: {}, backupType: 'daily', rotation: 1 };
  await assert.rejects(cloud.service.act(member, id, serverActions.createBackup, backup), { reason: 'volume_backed' });
  await cloud.service.act(member, id, serverActions.rescue, { imageId, password: null, volumeBacked: true });
  await hostDoes();
  assert.equal(await serverState(id), 'RESCUE');
});

test('a rebuild leaves the volume that a server boots from as it is, or writes the image to it', async () => {
  const id = await fromVolume();
  const root = (await cloud.service.get(cloud.member, id)).volumes[0]!.volume_id;
  const other = newId<ImageId>();
  await sql`insert into image (id, project_id, name, status, disk_format, container_format, size_bytes, virtual_size_bytes, sha256, visibility)
    values (${other}, ${cloud.projectId}, 'other', 'active', 'raw', 'bare', 1000, 1000000, 'bb', 'public')`.execute(
    db.database.query,
  );
  const rebuild = (imageId: ImageId, reimage: boolean) =>
    cloud.service.act(cloud.member, id, serverActions.rebuild, {
      imageId,
      password: new Secret('x'),
      notes: {},
      files: [],
      reimage,
    });
  await assert.rejects(rebuild(other, false), { reason: 'rebuild_to_other_image' });
  const top = (await shown(root)).layer_id;
  await rebuild(cloud.imageId, false);
  await hostDoes();
  assert.equal((await shown(root)).layer_id, top);
  assert.equal(await serverState(id), 'ACTIVE');
  await rebuild(other, true);
  assert.equal(await status(root), 'downloading');
  const { rows } = await sql<{
    image_id: string;
  }>`select image_id from volume_layer where id = ${(await shown(root)).layer_id}`.execute(db.database.query);
  assert.equal(rows[0]!.image_id, other);
  const [document] = await cloud.side.desiredServers(db.database.query, { serverIds: [id] });
  assert.deepEqual([document!.image, document!.reboot.type, document!.reboot.count], [null, 'hard', 2]);
});

test('an image of a server that boots from a volume is snapshots of its volumes, and servers can be made of it', async () => {
  const id = await running({ imageId: null, volumes: [bootVolume(), plain] });
  const imageId = newId<ImageId>();
  await cloud.service.act(cloud.member, id, serverActions.createImage, {
    imageId,
    name: '小屋',
    metadata: { mine: 'x' },
  });
  const image = await cloud.images.show(cloud.member, imageId);
  assert.deepEqual([image.status, image.size_bytes, image.owner_properties.mine], ['active', 0, 'x']);
  assert.match(image.md5!, /^d41d8cd9/, 'nobody is asked for the digests of no bytes');
  const mapping = JSON.parse(image.owner_properties.block_device_mapping!);
  assert.deepEqual(
    mapping.map((each: { boot_index: number | null; volume_size: number }) => [each.boot_index, each.volume_size]),
    [
      [0, 2],
      [null, 1],
    ],
  );
  await hostDoes();
  assert.equal(await serverState(id), 'ACTIVE');
  const made = await running({ imageId });
  const volumes = (await cloud.service.get(cloud.member, made)).volumes;
  assert.equal(volumes.length, 2);
  const { rows } = await sql<{
    source: string;
  }>`select source_snapshot_id as source from volume where id = ${volumes[0]!.volume_id}`.execute(db.database.query);
  assert.equal(rows[0]!.source, mapping[0].snapshot_id);
  assert.equal(await serverState(made), 'ACTIVE');
});

test('snapshots that an image takes are counted by the type of their volumes, too', async () => {
  const id = await running({ imageId: null, volumes: [bootVolume(), plain] });
  const { type_name } = await shown((await cloud.service.get(cloud.member, id)).volumes[0]!.volume_id);
  const { rows } = await sql<{ taken: number }>`select count(*) as taken from volume_snapshot
    where project_id = ${cloud.projectId}`.execute(db.database.query);
  await sql`insert into quota (id, project_id, resource, maximum)
    values (${newId()}, ${cloud.projectId}, ${`snapshots_${type_name}`}, ${rows[0]!.taken + 1})`.execute(
    db.database.query,
  );
  const imageId = newId<ImageId>();
  const image = cloud.service.act(cloud.member, id, serverActions.createImage, { imageId, name: 'i', metadata: {} });
  await assert.rejects(image, { code: 'quota_exceeded' });
  await assert.rejects(cloud.images.show(cloud.member, imageId), { code: 'not_found' });
});

test('an image of a server whose root volume is encrypted is snapshots that stay so, and so are the volumes of servers made of it', async () => {
  await sql`with made as (insert into volume_type (id, name, public) values (${newId()}, 'sealed', true) returning id)
    insert into volume_type_encryption (volume_type_id, id, provider, control_location, cipher, key_size)
    select id, ${newId()}, 'luks', 'front-end', 'aes-xts-plain64', 256 from made`.execute(db.database.query);
  const id = await running({ imageId: null, volumes: [{ ...bootVolume(), type: 'sealed' }] });
  const imageId = newId<ImageId>();
  const wish = { imageId, name: 'sealed', metadata: {} };
  await cloud.service.act(cloud.member, id, serverActions.createImage, wish);
  await hostDoes();
  const made = await running({ imageId });
  const keyOf = async (server: ServerId) => {
    const [{ volume_id } = { volume_id: '' }] = (await cloud.service.get(cloud.member, server)).volumes;
    const { rows } = await sql<{
      key_id: string | null;
    }>`select l.key_id from volume v join volume_layer l on l.id = v.layer_id
      where v.id = ${volume_id}`.execute(db.database.query);
    return rows[0]!.key_id;
  };
  assert.notEqual(await keyOf(id), null);
  assert.equal(await keyOf(made), await keyOf(id));
});

test('what reports of the host are never read as: another server’s volume', async () => {
  const [id, { id: volumeId, layerId }] = [await running(), await volume()];
  const has = { id: volumeId as VolumeId, layerId: layerId as LayerId, sizeBytes: 1, state: 'attached' as const };
  await cloud.report(hostId, id, { volumes: [has] });
  assert.equal(await status(volumeId), 'available');
});

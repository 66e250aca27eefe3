/** Servers that are made with volumes: one transaction, one host. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { newId, type ServerId } from '../../../contract/ids.ts';
import { type TestDatabase, testDatabase } from '../../kit/database/testing.ts';
import { testPool, testVolume } from '../../storage/attachment/testing.ts';
import { findVolume, VolumeController, volumeStatus } from '../../storage/volume/index.ts';
import * as serverActions from './actions/index.ts';
import type { ServerVolumeWish } from './create-volumes.ts';
import { serverStatus } from './states.ts';
import { type ServerCloud, serverCloud, silentLog } from './testing.ts';

let db: TestDatabase;
let cloud: ServerCloud;
let flavor: string;

before(async () => {
  db = await testDatabase();
  cloud = await serverCloud(db.database);
  flavor = await cloud.addFlavor();
});
after(() => db[Symbol.asyncDispose]());

const wishOf = (over: Partial<ServerVolumeWish> = {}): ServerVolumeWish => ({
  ...{ source: 'blank', id: null, sizeGib: null, bootIndex: null, tag: null, deleteOnTermination: false, type: null },
  ...over,
});

async function hostWithPool(options: Parameters<ServerCloud['addHost']>[0] = {}) {
  const hostId = await cloud.addHost(options);
  await testPool(db.database, hostId);
  return hostId;
}

async function create(volumes: ServerVolumeWish[], over: Partial<Parameters<ServerCloud['wish']>[0]> = {}) {
  const { ids } = await cloud.service.create(cloud.member, cloud.wish({ flavor, volumes, ...over }));
  for (const id of ids) await cloud.controller.reconcile(id);
  return ids;
}

interface Row {
  device: string;
  boot_index: number | null;
  tag: string | null;
  delete_on_termination: boolean;
  volume_id: string;
  host_id: string | null;
  size_gib: number;
  source_image_id: string | null;
}
const volumesOf = async (id: string) =>
  (
    await sql<Row>`select a.device, a.boot_index, a.tag, a.delete_on_termination, a.volume_id, v.host_id, v.size_gib, v.source_image_id
      from volume_attachment a join volume v on v.id = a.volume_id where a.server_id = ${id} order by a.slot`.execute(
      db.database.query,
    )
  ).rows;
const row = async (id: string) =>
  (
    await sql<{ host_id: string | null; image_id: string | null; disk_gib: number; fault: { message: string } | null }>`
      select host_id, image_id, disk_gib, fault from server where id = ${id}`.execute(db.database.query)
  ).rows[0]!;

test('a server boots from a volume that is made of an image with it, and both are on one host', async () => {
  await hostWithPool();
  await cloud.addHost({ vcpus: 1000, memoryMiB: 10 ** 6 });
  const root = wishOf({
    source: 'image',
    id: cloud.imageId,
    sizeGib: 3,
    bootIndex: 0,
    tag: 'boot',
    deleteOnTermination: true,
  });
  const [id] = await create([wishOf({ sizeGib: 1 }), root], { imageId: null });
  const [first, second] = await volumesOf(id!);
  const server = await row(id!);
  assert.ok(server.host_id !== null, server.fault?.message);
  assert.deepEqual([server.image_id, server.disk_gib], [null, 0]);
  const made = {
    device: '/dev/vda',
    boot_index: 0,
    tag: 'boot',
    delete_on_termination: true,
    size_gib: 3,
    source_image_id: cloud.imageId,
  };
  assert.deepEqual(first, { ...made, host_id: server.host_id, volume_id: first!.volume_id });
  assert.equal(second!.device, '/dev/vdb');
  const [document] = await cloud.side.desiredServers(db.database.query, { serverIds: [id!] });
  assert.equal(document!.image, null);
  assert.deepEqual(
    document!.volumes!.map(({ bootIndex }) => bootIndex),
    [0, null],
  );
});

test('a server goes where its volumes are, although there is more room elsewhere', async () => {
  const small = await hostWithPool();
  await hostWithPool({ vcpus: 500, memoryMiB: 10 ** 6 });
  const volume = await testVolume(db.database, { projectId: cloud.projectId, hostId: small });
  const [id] = await create([wishOf({ source: 'volume', id: volume.id })]);
  assert.equal((await row(id!)).host_id, small);
  const { rows } = await sql<{
    message: string;
  }>`select explanation ->> 'refusals' as message from decision where resource_id = ${id!}`.execute(db.database.query);
  assert.match(rows[0]!.message, /volumes_elsewhere/);
});

test('a server whose volumes are made with it is beside whom it names, or away from them', async () => {
  const zone = newId();
  for (let n = 0; n < 2; n++) await hostWithPool({ zone });
  const make = async (over: Parameters<typeof create>[1]) =>
    row((await create([wishOf({ sizeGib: 1 })], { availabilityZone: zone, ...over }))[0]!);
  const [first] = await create([], { availabilityZone: zone });
  const { host_id } = await row(first!);
  assert.ok(host_id !== null);
  for (let n = 0; n < 3; n++) assert.equal((await make({ sameHost: [first!] })).host_id, host_id);
  const apart = await make({ differentHost: [first!] });
  assert.ok(apart.host_id !== null && apart.host_id !== host_id, apart.fault?.message);
  assert.match((await make({ sameHost: [newId()] })).fault!.message, /hint same_host/);
});

test('volumes of several hosts come to where the server boots from: it runs meanwhile, and has them when they are there', async () => {
  const [here, far] = [await hostWithPool(), await hostWithPool()];
  const { projectId } = cloud;
  const root = await testVolume(db.database, { projectId, hostId: here, bootable: true });
  const data = await testVolume(db.database, { projectId, hostId: far, sizeGib: 9 });
  const there = (id: string, over: Partial<ServerVolumeWish> = {}) => wishOf({ source: 'volume', id, ...over });
  const [id] = await create([there(data.id.toUpperCase()), there(root.id, { bootIndex: 0 })], { imageId: null });
  assert.equal((await row(id!)).host_id, here);
  const document = async () => (await cloud.side.desiredServers(db.database.query, { serverIds: [id!] }))[0]!;
  const told = async () => (await document()).volumes!.map((one) => one.id);
  assert.deepEqual(await told(), [root.id], 'what is not there is told to no host');
  await cloud.obey(here);
  assert.equal(serverStatus(await cloud.service.get(cloud.member, id!)), 'ACTIVE');
  const status = async () => volumeStatus(await findVolume(db.database.query, 'all', data.id));
  assert.equal(await status(), 'attaching');
  await sql`update volume_layer set observed_state = 'ready', observed_generation = generation, observed_epoch = epoch,
    desired_source = null where volume_id = ${data.id} and host_id = ${here}`.execute(db.database.query);
  await new VolumeController({ database: db.database, log: silentLog }).reconcile(data.id);
  assert.deepEqual(await told(), [root.id, data.id]);
  assert.deepEqual(
    (await volumesOf(id!)).map(({ volume_id, device, host_id }) => [volume_id, device, host_id]),
    [
      [root.id, '/dev/vda', here],
      [data.id, '/dev/vdb', here],
    ],
  );
});

test('without one that it boots from a server goes to where most of its volumes’ bytes are', async () => {
  const [small, large] = [await hostWithPool(), await hostWithPool()];
  const { projectId } = cloud;
  const [few, many] = [
    await testVolume(db.database, { projectId, hostId: small }),
    await testVolume(db.database, { projectId, hostId: large, sizeGib: 5 }),
  ];
  const volumes = [few, many].map(({ id }) => wishOf({ source: 'volume', id }));
  const [id] = await create(volumes);
  assert.equal((await row(id!)).host_id, large);
  await cloud.service.delete(cloud.member, id!);
  await new VolumeController({ database: db.database, log: silentLog }).reconcile(few.id);
  const { host_id, attachment } = await findVolume(db.database.query, 'all', few.id);
  assert.deepEqual([host_id, attachment], [small, null], 'one that is not wanted any more stays where it was');
});

test('a volume that was to go with its server goes, also where it was still on its way', async () => {
  const [here, far] = [await hostWithPool(), await hostWithPool()];
  const { projectId } = cloud;
  const root = await testVolume(db.database, { projectId, hostId: here, bootable: true });
  const data = await testVolume(db.database, { projectId, hostId: far });
  const kept = await testVolume(db.database, { projectId, hostId: far });
  const there = (id: string, over: Partial<ServerVolumeWish>) => wishOf({ source: 'volume', id, ...over });
  const volumes = [there(root.id, { bootIndex: 0 }), there(data.id, { deleteOnTermination: true }), there(kept.id, {})];
  const [id] = await create(volumes, { imageId: null });
  await cloud.obey(here);
  await cloud.service.delete(cloud.member, id!);
  const controller = new VolumeController({ database: db.database, log: silentLog });
  for (const volume of [data, kept]) await controller.reconcile(volume.id);
  await cloud.controller.reconcile(id!);
  await cloud.obey(here);
  await cloud.controller.reconcile(id!);
  const left = await sql<{ id: string }>`select id from volume where id = any(${[data.id, kept.id]}::uuid[])
    and desired_presence = 'present'`.execute(db.database.query);
  assert.deepEqual(
    left.rows.map((each) => each.id),
    [kept.id],
  );
  const { rows } = await sql`select from volume_attachment where volume_id = ${kept.id}`.execute(db.database.query);
  assert.equal(rows.length, 0);
});

test('what is not available, not bootable, somebody else’s or can not come to one host makes nothing', async () => {
  const [one, other] = [await hostWithPool(), await hostWithPool()];
  const { projectId } = cloud;
  const [a, b] = [
    await testVolume(db.database, { projectId, hostId: one }),
    await testVolume(db.database, { projectId, hostId: other }),
  ];
  const count = async () =>
    (
      await sql<{
        n: number;
      }>`select (select count(*) from server) + (select count(*) from volume) + (select count(*) from volume_attachment) as n`.execute(
        db.database.query,
      )
    ).rows[0]!.n;
  const before = await count();
  const there = (id: string, over: Partial<ServerVolumeWish> = {}) => wishOf({ source: 'volume', id, ...over });
  const refused = (volumes: ServerVolumeWish[], reason: string, over = {}) =>
    assert.rejects(create(volumes, over), { reason });
  const snapshotId = newId();
  await sql`insert into volume_snapshot (id, project_id, user_id, volume_id, name, size_gib, layer_id, ready_at)
    values (${snapshotId}, ${projectId}, ${newId()}, ${b.id}, 's', 1, ${b.layerId}, now())`.execute(db.database.query);
  const boots = await testVolume(db.database, { projectId, hostId: one, bootable: true });
  const ofSnapshot = wishOf({ source: 'snapshot', id: snapshotId });
  const all = await count();
  await refused([there(boots.id, { bootIndex: 0 }), ofSnapshot], 'volumes_on_several_hosts', { imageId: null });
  assert.equal(await count(), all);
  await sql`update host set connected = false, last_seen_at = now() - interval '1 hour' where id = ${other}`.execute(
    db.database.query,
  );
  await refused([there(boots.id, { bootIndex: 0 }), there(b.id)], 'volume_not_brought', { imageId: null });
  assert.equal(await count(), all);
  await sql`update host set connected = true, last_seen_at = now() where id = ${other}`.execute(db.database.query);
  await sql`delete from volume where id = ${boots.id}`.execute(db.database.query);
  await refused([there(a.id, { bootIndex: 0 })], 'volume_not_bootable', { imageId: null });
  await refused([there(a.id), there(a.id)], 'volume_status_unfit');
  await refused([there(a.id)], 'volumes_for_many_servers', { minCount: 2, maxCount: 2 });
  await refused([there(newId())], 'volume_not_found');
  await refused([], 'nothing_to_boot_from', { imageId: null });
  await refused([wishOf({ source: 'image', id: cloud.imageId, sizeGib: 15_000, bootIndex: 0 })], 'quota_exceeded', {
    imageId: null,
  });
  await refused(
    Array.from({ length: 27 }, () => wishOf({ sizeGib: 1 })),
    'server_volumes_full',
  );
  await refused(
    Array.from({ length: 11 }, () => wishOf({ sizeGib: 1 })),
    'too_many_new_volumes',
    { maxCount: 10 },
  );
  assert.equal(await count(), before);
});

test('where no host has room for the volume the server is in error with the reason, and nothing else was made', async () => {
  await using empty = await testDatabase();
  const bare = await serverCloud(empty.database);
  await bare.addHost();
  const wish = bare.wish({
    flavor: await bare.addFlavor(),
    imageId: null,
    volumes: [wishOf({ source: 'image', id: bare.imageId, sizeGib: 1, bootIndex: 0 })],
  });
  const { ids } = await bare.service.create(bare.member, wish);
  const { rows } = await sql<{
    fault: { reason: string; message: string };
  }>`select fault from server where id = ${ids[0]!}`.execute(empty.database.query);
  assert.equal(rows[0]!.fault.reason, 'no_capacity');
  assert.match(rows[0]!.fault.message, /no pool/);
  assert.equal((await sql`select from volume`.execute(empty.database.query)).rows.length, 0);
});

/** A cloud of its own: what other tests left has no say in where its servers go. */
async function aloneWith(work: (bare: ServerCloud, database: TestDatabase['database']) => Promise<void>) {
  await using alone = await testDatabase();
  await work(await serverCloud(alone.database), alone.database);
}

const decisionsOf = async (database: TestDatabase['database'], id: string) =>
  (
    await sql<{
      outcome: string;
      inputs: {
        chosen: string | null;
        verdicts: { host_id: string; refusals: string[] }[];
        volumes?: unknown[];
        pool_verdicts?: { refusals: string[] }[];
      };
      explanation: { message: string };
    }>`select outcome, inputs, explanation from decision where resource_id = ${id} order by id`.execute(database.query)
  ).rows;

test('a server with a volume of an encrypted type goes past a host that has only a Ceph pool, and the why-record says so', () =>
  aloneWith(async (bare, database) => {
    const [clear, ceph] = [await bare.addHost(), await bare.addHost({ vcpus: 1000, memoryMiB: 10 ** 6 })];
    await testPool(database, clear);
    const inCluster = await testPool(database, ceph);
    await sql`update storage_pool set kind = 'rbd' where id = ${inCluster}`.execute(database.query);
    const typeId = newId();
    await sql`insert into volume_type (id, name, public) values (${typeId}, 'secret', true)`.execute(database.query);
    await sql`insert into volume_type_encryption (volume_type_id, id, provider, control_location)
      values (${typeId}, ${newId()}, 'luks', 'front-end')`.execute(database.query);
    const flavorId = await bare.addFlavor();
    const make = async (volume: Partial<ServerVolumeWish>) => {
      const root = wishOf({ source: 'image', id: bare.imageId, sizeGib: 1, bootIndex: 0, ...volume });
      const wish = bare.wish({ flavor: flavorId, imageId: null, volumes: [root] });
      const [id] = (await bare.service.create(bare.member, wish)).ids as [ServerId];
      await bare.controller.reconcile(id);
      return decisionsOf(database, id);
    };
    const plain = await make({});
    assert.equal(plain[0]!.inputs.chosen, ceph);
    const [with_, after_] = await make({ type: 'secret' });
    assert.deepEqual([with_!.outcome, with_!.inputs.chosen, with_!.inputs.volumes?.length], ['placed', clear, 1]);
    const verdict = with_!.inputs.verdicts.find(({ host_id }) => host_id === ceph);
    assert.deepEqual(verdict!.refusals, ['volumes_refused']);
    assert.equal(after_!.explanation.message, 'placed where its volumes are');
    await sql`update storage_pool set disabled = true where host_id = ${clear}`.execute(database.query);
    const [none] = await make({ type: 'secret' });
    assert.equal(none!.outcome, 'no_capacity');
    assert.match(none!.explanation.message, /^no pool takes one of its volumes: .*Ceph/);
    assert.ok(none!.inputs.pool_verdicts!.some(({ refusals }) => refusals.includes('no_encryption')));
  }));

test('the volumes of servers that are made together fit together where they go', () =>
  aloneWith(async (bare, database) => {
    const hosts = [await bare.addHost(), await bare.addHost()];
    for (const hostId of hosts) await testPool(database, hostId);
    // Room for three volumes of two GiB.
    await sql`update storage_pool set total_bytes = 7::bigint << 30, over_subscription = 1`.execute(database.query);
    const wish = bare.wish({
      ...{ flavor: await bare.addFlavor(), volumes: [wishOf({ sizeGib: 2 }), wishOf({ sizeGib: 2 })] },
      ...{ minCount: 3, maxCount: 3 },
    });
    const { ids } = await bare.service.create(bare.member, wish);
    const { rows } = await sql<{ host_id: string; volumes: number }>`select v.host_id, count(*)::integer as volumes
      from volume v join volume_attachment a on a.volume_id = v.id group by v.host_id`.execute(database.query);
    assert.deepEqual(
      rows.sort((a, b) => (a.host_id < b.host_id ? -1 : 1)),
      hosts.toSorted().map((host_id) => ({ host_id, volumes: 2 })),
      'the third server has none: three GiB of each host are left in pieces',
    );
    const faults = await Promise.all(ids.map(async (id) => (await bare.service.get(bare.member, id)).fault?.message));
    assert.deepEqual(
      faults.map((fault) => fault !== undefined),
      [false, false, true],
    );
  }));

test('a server goes where there is a pool for the cache of its volume, and its volume begins with a generation there', async () => {
  await hostWithPool();
  const fast = await cloud.addHost();
  const pools = [await testPool(db.database, fast), await testPool(db.database, fast, 'fast')];
  const specs = { volume_backend_name: 'local', 'bothy:cache_pool': 'fast', 'bothy:cache_gib': '1' };
  await sql`insert into volume_type (id, name, public, extra_specs)
    values (${newId()}, 'cached', true, ${JSON.stringify(specs)}::jsonb)`.execute(db.database.query);
  const root = wishOf({ source: 'image', id: cloud.imageId, sizeGib: 1, bootIndex: 0, type: 'cached' });
  for (const id of await create([root], { imageId: null, minCount: 4, maxCount: 4 })) {
    assert.equal((await row(id)).host_id, fast);
    const { rows } = await sql<{ pool_id: string; below: string }>`select l.pool_id, b.pool_id as below
      from volume_attachment a join volume v on v.id = a.volume_id join volume_layer l on l.id = v.layer_id
        join volume_layer b on b.id = l.parent_id where a.server_id = ${id}`.execute(db.database.query);
    assert.deepEqual(rows, [{ pool_id: pools[1], below: pools[0] }]);
  }
});

test('each of several servers gets volumes of its own, and they count against the quota', async () => {
  await hostWithPool();
  const root = wishOf({ source: 'image', id: cloud.imageId, sizeGib: 2, bootIndex: 0 });
  const ids = await create([root], { imageId: null, minCount: 2, maxCount: 2 });
  const volumes = (await Promise.all(ids.map((id) => volumesOf(id)))).map(([first]) => first!.volume_id);
  assert.equal(new Set(volumes).size, 2);
});

test('with a server go the volumes that shall go with it, and the others are free', async () => {
  await hostWithPool();
  const hostOf = async (id: ServerId) => (await row(id)).host_id!;
  const root = wishOf({ source: 'image', id: cloud.imageId, sizeGib: 2, bootIndex: 0, deleteOnTermination: true });
  const [id] = await create([root, wishOf({ sizeGib: 1 })], { imageId: null });
  const [first, second] = await volumesOf(id!);
  const host = await hostOf(id!);
  await cloud.obey(host as never);
  await cloud.service.delete(cloud.member, id!);
  await cloud.obey(host as never);
  await cloud.controller.reconcile(id!);
  const presence = async (volumeId: string) =>
    (
      await sql<{ p: string }>`select desired_presence as p from volume where id = ${volumeId}`.execute(
        db.database.query,
      )
    ).rows[0]?.p;
  assert.equal(await presence(first!.volume_id), 'absent');
  assert.equal(await presence(second!.volume_id), 'present');
  assert.equal(
    (await sql`select from volume_attachment where server_id = ${id!}`.execute(db.database.query)).rows.length,
    0,
  );
});

test('a server whose volume can not be made is told so at once, whichever process dies, and runs if it is made after all', async () => {
  const hostId = await hostWithPool();
  const root = wishOf({ source: 'image', id: cloud.imageId, sizeGib: 3, bootIndex: 0 });
  const [id] = (await create([root], { imageId: null, requestedHost: null })) as [ServerId];
  const [{ volume_id: volumeId }] = (await volumesOf(id)) as [Row];
  const said = (state: string, error: object | null) =>
    sql`update volume_layer set observed_state = ${state}, observed_generation = generation, observed_epoch = epoch,
      observed_error = ${error && JSON.stringify(error)}::jsonb where volume_id = ${volumeId}`.execute(
      db.database.query,
    );
  const volumes = new VolumeController({ database: db.database, log: silentLog });
  const waits = { state: 'building', step: 'waiting for a volume' } as const;
  const [{ host_id }] = (await volumesOf(id)) as [Row];
  await cloud.report(host_id as typeof hostId, id, waits);
  await volumes.reconcile(volumeId);
  await cloud.controller.reconcile(id);
  assert.equal(serverStatus(await cloud.service.get(cloud.member, id)), 'BUILD');
  await said('failed', { code: 'image_refused', message: 'the image is no disk' });
  await volumes.reconcile(volumeId);
  const { rows } =
    await sql`select from graphile_worker._private_jobs where key = ${`server:${id}`} and run_at <= now()`.execute(
      db.database.query,
    );
  assert.equal(rows.length, 1, 'its server is looked at');
  await assert.rejects(cloud.dyingController('expired').reconcile(id), /died after/);
  await cloud.controller.reconcile(id);
  const failed = await cloud.service.get(cloud.member, id);
  assert.deepEqual(
    [serverStatus(failed), failed.fault?.reason, failed.fault?.message],
    ['ERROR', 'host', `Its volume ${volumeId} has failed: the image is no disk`],
  );
  const operations = await sql`select state from operation where resource_id = ${id} and state <> 'succeeded'`.execute(
    db.database.query,
  );
  assert.deepEqual(operations.rows, [{ state: 'failed' }]);
  await said('ready', null);
  await volumes.reconcile(volumeId);
  await cloud.report(host_id as typeof hostId, id, { state: 'running' });
  assert.equal(serverStatus(await cloud.service.get(cloud.member, id)), 'ACTIVE');
});

test('a server that is to be off, or runs, is none the worse for a volume that has failed', async () => {
  const hostId = await hostWithPool();
  const volume = await testVolume(db.database, { projectId: cloud.projectId, hostId });
  const [id] = (await create([wishOf({ source: 'volume', id: volume.id })])) as [ServerId];
  await cloud.obey(hostId);
  await sql`update volume set fault = '{"code": "host", "message": "gone", "generation": 1}' where id = ${volume.id}`.execute(
    db.database.query,
  );
  await cloud.service.act(cloud.member, id, serverActions.stop);
  await cloud.controller.reconcile(id);
  assert.equal((await row(id)).fault, null);
  await cloud.obey(hostId);
  assert.equal(serverStatus(await cloud.service.get(cloud.member, id)), 'SHUTOFF');
  await cloud.service.act(cloud.member, id, serverActions.start);
  await cloud.controller.reconcile(id);
  assert.match((await row(id)).fault!.message, /has failed: gone/);
});

/** A server gets a volume that lies on another host: it is brought there first; control may die after each step, and what is not wanted any more leaves nothing. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { sql } from 'kysely';
import type { DesiredVolume } from '../../../contract/host/index.ts';
import { type HostId, newId, type ServerId } from '../../../contract/ids.ts';
import { cloudActor } from '../../kit/database/database.ts';
import { type TestDatabase, testDatabase } from '../../kit/database/testing.ts';
import { testPool, testVolume } from '../../storage/attachment/testing.ts';
import { desiredLayers } from '../../storage/layer/desired.ts';
import { missingVolume } from '../../storage/recovery/index.ts';
import { findVolume, VolumeController, type VolumeStep, volumeStatus, volumeWay } from '../../storage/volume/index.ts';
import * as actions from './actions/index.ts';
import { serverStatus } from './states.ts';
import { type ServerCloud, serverCloud, silentLog } from './testing.ts';

let db: TestDatabase;
let cloud: ServerCloud;
let flavor: string;
let here: HostId;
let far: HostId;
let id: ServerId;
let volume: { id: string; layerId: string };
before(async () => {
  db = await testDatabase();
  cloud = await serverCloud(db.database);
  flavor = await cloud.addFlavor({ vcpus: 1, memoryMiB: 512 });
  await sql`update quota set maximum = -1 where project_id is null`.execute(db.database.query);
});
after(() => db[Symbol.asyncDispose]());
let zones = 0;
beforeEach(async () => {
  const zone = `zone ${zones++}`;
  here = await cloud.addHost({ zone, vcpus: 8, name: `${zone} here` });
  await testPool(db.database, here);
  id = await server(zone);
  far = await cloud.addHost({ zone, vcpus: 4, name: `${zone} far` });
  volume = await testVolume(db.database, { projectId: cloud.projectId, hostId: far });
});

async function server(zone: string): Promise<ServerId> {
  const wish = cloud.wish({ flavor, automatic: 'auto', availabilityZone: zone });
  const made = (await cloud.service.create(cloud.member, wish)).ids[0]!;
  await cloud.controller.reconcile(made);
  await cloud.obey(here);
  return made;
}

const attach = (serverId: ServerId = id, deleteOnTermination = false) =>
  cloud.service.act(cloud.member, serverId, actions.attachVolume, {
    ...{ volumeId: volume.id, tag: null, deleteOnTermination, attached: () => {} },
  });
const detach = (serverId: ServerId = id) => cloud.service.act(cloud.member, serverId, actions.detachVolume, volume.id);
const show = () => findVolume(db.database.query, 'all', volume.id);
const status = async () => volumeStatus(await show());
const tend = () => new VolumeController({ database: db.database, log: silentLog }).reconcile(volume.id);
const documentOf = async () =>
  (await cloud.side.desiredServers(db.database.query, { hostId: here })).find((one) => one.id === id)!;
const layersOn = async (hostId: HostId): Promise<string[]> =>
  (
    await sql<{ id: string }>`select id from volume_layer where volume_id = ${volume.id} and host_id = ${hostId}
      and desired_presence = 'present' order by id`.execute(db.database.query)
  ).rows.map((row) => row.id);
/** The host that the volume shall be on has copied it. */
const copied = () =>
  sql`update volume_layer set observed_state = 'ready', observed_generation = generation, observed_epoch = epoch,
    desired_source = null where volume_id = ${volume.id} and host_id = ${here}`.execute(db.database.query);
/** The server's host has plugged what its document says. */
async function plugged(serverId: ServerId = id): Promise<void> {
  const document = (await cloud.side.desiredServers(db.database.query, { hostId: here })).find(
    (one) => one.id === serverId,
  )!;
  const state = document.power === 'off' ? 'stopped' : 'running';
  const volumes = (document.volumes ?? []).map((one) => ({
    ...{ id: one.id, layerId: one.layerId, sizeBytes: one.sizeBytes, state: 'attached' as const },
  }));
  await cloud.report(here, serverId, {
    generation: document.generation,
    state,
    volumes: state === 'running' ? volumes : [],
  });
}
const operationsOf = async (resourceId: string) =>
  (
    await sql<{ verb: string; state: string; waiting_for: string | null; error_code: string | null }>`
      select verb, state, waiting_for, error_code from operation where resource_id = ${resourceId} order by created_at desc`.execute(
      db.database.query,
    )
  ).rows;
const promised = async (hostId: HostId): Promise<number> =>
  (
    await sql<{ n: number }>`select coalesce(sum(promised_bytes), 0)::float8 as n from storage_pool_usage u
      join storage_pool p on p.id = u.pool_id where p.host_id = ${hostId}`.execute(db.database.query)
  ).rows[0]!.n;

async function nothingIsLeft(where: HostId = here): Promise<void> {
  await tend();
  assert.equal(await status(), 'available');
  assert.deepEqual(await layersOn(where), []);
  const found = await show();
  assert.deepEqual([found.host_id, found.desired_task, found.attachment], [far, null, null]);
  assert.equal(await promised(where), 0);
  // Its content is frozen in what it was, and it may be written to again.
  const { rows } = await sql<{
    read_only: boolean;
  }>`select read_only from volume_layer where id = ${found.layer_id}`.execute(db.database.query);
  assert.equal(rows[0]!.read_only, false);
}

test('a server gets a volume from another host: it goes on running, and is told when the volume is there', async () => {
  const before = await documentOf();
  await attach();
  assert.equal(await status(), 'attaching');
  const after = await documentOf();
  assert.deepEqual([after.generation, after.volumes ?? []], [before.generation, []], 'its host has not heard of it');
  assert.equal(serverStatus(await cloud.service.get(cloud.member, id)), 'ACTIVE');
  assert.deepEqual(
    (await cloud.service.volumes(cloud.member, id)).map((one) => one.volume_id),
    [volume.id],
  );
  const [operation] = await operationsOf(volume.id);
  assert.deepEqual(
    [operation!.verb, operation!.state, operation!.waiting_for],
    ['attach', 'running', `host ${here} to copy it`],
  );
  // What the server is told meanwhile, and says, is nothing about the volume.
  await cloud.service.act(cloud.member, id, actions.hardReboot);
  await plugged();
  assert.equal(await status(), 'attaching');
  await copied();
  await tend();
  assert.equal(await status(), 'attaching', 'its host has to plug it');
  const { layer_id, host_id } = await show();
  assert.equal(host_id, here);
  assert.deepEqual(
    (await documentOf()).volumes!.map((one) => one.layerId),
    [layer_id],
  );
  assert.deepEqual(await layersOn(far), []);
  await plugged();
  assert.equal(await status(), 'in-use');
  assert.equal((await operationsOf(volume.id))[0]!.state, 'succeeded');
});

for (const step of ['looked', 'task ended'] as const satisfies VolumeStep[]) {
  test(`a volume comes to its server when control dies after '${step}'`, async () => {
    await attach();
    const dying = new VolumeController({
      ...{ database: db.database, log: silentLog },
      afterStep(reached) {
        if (reached === step) throw new Error('died');
      },
    });
    await dying.reconcile(volume.id).catch(() => {});
    await copied();
    await dying.reconcile(volume.id).catch(() => {});
    await tend();
    assert.deepEqual([(await show()).host_id, await layersOn(far)], [here, []]);
    await plugged();
    assert.equal(await status(), 'in-use');
  });
}

test('how far it is on its way is told, to members without names of hosts', async () => {
  await sql`update volume_layer set observed_allocated_bytes = 1000 where id = ${volume.layerId}`.execute(
    db.database.query,
  );
  assert.equal(await volumeWay(db.database.query, cloud.member, volume.id), null);
  await attach();
  await sql`update volume_layer set observed_allocated_bytes = 400 where volume_id = ${volume.id} and host_id = ${here}`.execute(
    db.database.query,
  );
  const way = (await volumeWay(db.database.query, cloud.member, volume.id))!;
  assert.deepEqual([way.kind, way.server_id, way.copied_bytes, way.total_bytes], ['bring', id, 400, 1000]);
  assert.deepEqual([way.to_host, way.waiting_for], [null, 'its host to copy it']);
  const whole = (await volumeWay(db.database.query, cloud.admin, volume.id))!;
  assert.match(whole.to_host!, / here$/);
  await copied();
  assert.equal((await volumeWay(db.database.query, cloud.member, volume.id))!.copied_bytes, 1000);
  await tend();
  assert.equal(await volumeWay(db.database.query, cloud.member, volume.id), null);
});

/** What its top was has a new top on it, and a clone. */
async function frozen(): Promise<{ clone: string }> {
  const [top, clone] = [newId(), newId()];
  const poolId = await testPool(db.database, far);
  await sql`insert into volume_layer (id, volume_id, host_id, pool_id, size_bytes, parent_id, observed_state, observed_generation, observed_epoch)
    select unnest(${[top, clone]}::uuid[]), ${volume.id}, ${far}, ${poolId}, size_bytes, id, 'ready', 1, 1 from volume_layer where id = ${volume.layerId}`.execute(
    db.database.query,
  );
  await sql`update volume_layer set read_only = true where id = ${volume.layerId}`.execute(db.database.query);
  await sql`update volume set layer_id = ${top} where id = ${volume.id}`.execute(db.database.query);
  return { clone };
}

test('its snapshots come along, and what others have made of it stays', async () => {
  const { clone } = await frozen();
  const snapshotId = newId();
  await sql`insert into volume_snapshot (id, project_id, user_id, volume_id, name, size_gib, layer_id, ready_at)
    values (${snapshotId}, ${cloud.projectId}, ${newId()}, ${volume.id}, 's', 1, ${volume.layerId}, now())`.execute(
    db.database.query,
  );
  await attach();
  await copied();
  await tend();
  const { rows } = await sql<{
    host_id: string;
  }>`select l.host_id from volume_snapshot s join volume_layer l on l.id = s.layer_id
    where s.id = ${snapshotId}`.execute(db.database.query);
  assert.equal(rows[0]!.host_id, here);
  assert.deepEqual(await layersOn(far), [volume.layerId, clone].sort());
});

test('of an image that was deleted since, where it goes is told that where it lies has the image', async () => {
  const url = 'https://192.0.2.9:8444';
  await sql`update host set facts = facts || ${JSON.stringify({ url })}::jsonb where id = ${far}`.execute(
    db.database.query,
  );
  const image = { format: 'qcow2', size_bytes: 10, sha256: 'a'.repeat(64) };
  await sql`update volume_layer set image_id = ${newId()}, image = ${JSON.stringify(image)}::jsonb where id = ${volume.layerId}`.execute(
    db.database.query,
  );
  const sources = async () =>
    (await desiredLayers(db.database.query, { hostId: here })).find(({ layer }) => layer.volumeId === volume.id)!.layer
      .image!.sources;
  await attach();
  assert.deepEqual(await sources(), [url]);
  await copied();
  assert.deepEqual(await sources(), []);
});

test('one that is detached before it is there stays where it was, at once, and nothing is left', async () => {
  await attach();
  await detach();
  await nothingIsLeft();
  assert.deepEqual((await operationsOf(volume.id))[0]!.error_code, 'conflict', 'whoever did it needs no message');
  await attach();
  assert.equal(await status(), 'attaching', 'and it may be asked for again');
});

test('a server that is deleted lets it go, or takes it along', async () => {
  await attach();
  await cloud.service.act(cloud.member, id, actions.remove);
  await cloud.controller.reconcile(id);
  await cloud.obey(here);
  await cloud.controller.reconcile(id);
  await nothingIsLeft();
  const other = await server(`zone ${zones - 1}`);
  await attach(other, true);
  await cloud.service.act(cloud.member, other, actions.remove);
  await cloud.controller.reconcile(other);
  await cloud.obey(here);
  await cloud.controller.reconcile(other);
  await tend();
  await assert.rejects(show(), { code: 'not_found' });
  assert.deepEqual([await layersOn(here), await layersOn(far)], [[], []]);
});

test('what can’t be copied stays where it was, with a message', async () => {
  await attach();
  await sql`update volume_layer set observed_state = 'failed', observed_generation = generation, observed_epoch = epoch,
    observed_error = '{"code": "no_capacity", "message": "the pool is full"}' where volume_id = ${volume.id} and host_id = ${here}`.execute(
    db.database.query,
  );
  await nothingIsLeft();
  const { rows } = await sql<{
    error_message: string;
  }>`select error_message from storage_message where resource_id = ${volume.id}`.execute(db.database.query);
  assert.match(rows[0]!.error_message, /the pool is full/);
});

for (const { state, code } of [
  { state: 'failed', code: 'layer_damaged' },
  { state: 'building', code: 'image_missing' },
])
  test(`nor is waited for a copy whose lowest layer never comes (${code})`, async () => {
    await frozen();
    await attach();
    await sql`update volume_layer set observed_state = ${state}, observed_generation = generation, observed_epoch = epoch,
      observed_error = ${JSON.stringify({ code, message: `because of ${code}` })}::jsonb
      where volume_id = ${volume.id} and host_id = ${here} and parent_id is null`.execute(db.database.query);
    await nothingIsLeft();
    const { rows } = await sql<{
      error_message: string;
    }>`select error_message from storage_message where resource_id = ${volume.id}`.execute(db.database.query);
    assert.match(rows[0]!.error_message, new RegExp(`because of ${code}`));
  });

const notBrought = (why: string) => (error: { code: string; reason: string; fields: { why: string } }) => {
  assert.deepEqual([error.code, error.reason, error.fields.why], ['invalid', 'volume_not_brought', why]);
  return true;
};

test('in a database that was copied before it was there, its server is not taken up without it', async () => {
  await attach();
  const lacks = () =>
    db.database.transaction(cloudActor, (tx) => missingVolume(tx, id, [{ id: volume.id } as DesiredVolume]));
  assert.match((await lacks())!, /still on its way to it in this database/);
  await copied();
  await tend();
  assert.equal(await lacks(), null);
});

test('what does not come is refused by name, and leaves nothing but a why-record', async () => {
  await sql`update host set connected = false, last_seen_at = now() - interval '1 hour' where id = ${far}`.execute(
    db.database.query,
  );
  await assert.rejects(attach(), notBrought('host_away'));
  // Nor is it said to retype one with a replica, which may be all that there is of it.
  await sql`insert into volume_replica (volume_id, rpo_seconds, size_bytes) values (${volume.id}, 60, 1)`.execute(
    db.database.query,
  );
  await assert.rejects(attach(), notBrought('host_away'));
  await sql`delete from volume_replica`.execute(db.database.query);
  await sql`update host set connected = true, facts = facts - 'layerCopies' where id = ${far}`.execute(
    db.database.query,
  );
  await assert.rejects(attach(), notBrought('host_too_old'));
  await sql`update host set facts = facts || '{"layerCopies": true}' where id = ${far}`.execute(db.database.query);
  await sql`update volume set cache_pool_id = pool_id, cache_bytes = 1, cache_policy = 'write-back' where id = ${volume.id}`.execute(
    db.database.query,
  );
  await assert.rejects(attach(), notBrought('cached'));
  await sql`update volume set cache_pool_id = null, cache_bytes = null, cache_policy = null where id = ${volume.id}`.execute(
    db.database.query,
  );
  await sql`update storage_pool set kind = 'rbd' where host_id = ${far}`.execute(db.database.query);
  await assert.rejects(attach(), notBrought('in_cluster'));
  await sql`update storage_pool set kind = 'directory' where host_id = ${far}`.execute(db.database.query);
  await sql`insert into volume_replica (volume_id, rpo_seconds, size_bytes) values (${volume.id}, 60, 1)`.execute(
    db.database.query,
  );
  await assert.rejects(attach(), notBrought('replicated'));
  await sql`delete from volume_replica`.execute(db.database.query);
  await sql`update storage_pool set total_bytes = 1 where host_id = ${here}`.execute(db.database.query);
  await assert.rejects(attach(), notBrought('no_pool'));
  const { rows } = await sql<{
    outcome: string;
    explanation: { message: string };
  }>`select outcome, explanation from decision
    where resource_id = ${volume.id} order by created_at desc limit 1`.execute(db.database.query);
  assert.deepEqual([rows[0]!.outcome, /promised too much/.test(rows[0]!.explanation.message)], ['no_capacity', true]);
  await nothingIsLeft();
});

test('its type holds where it goes: a pool of the tier that it asks for, or none', async () => {
  await sql`insert into volume_type (id, name, extra_specs) values (gen_random_uuid(), 'quick', '{"bothy:tier": "flash"}')
    on conflict do nothing`.execute(db.database.query);
  await sql`update volume set volume_type_id = (select id from volume_type where name = 'quick') where id = ${volume.id}`.execute(
    db.database.query,
  );
  await assert.rejects(attach(), notBrought('no_pool'));
  const flash = await testPool(db.database, here, 'flash');
  await sql`update storage_pool set tier = 'flash' where id = ${flash}`.execute(db.database.query);
  await attach();
  const task = (await show()).desired_task as { pool_id: string };
  assert.equal(task.pool_id, flash);
});

test('a server does not leave its host while a volume is on its way to it, and says why', async () => {
  await attach();
  const moves = [
    () => cloud.service.act(cloud.admin, id, actions.liveMigrate, { host: null, copyDisks: true }),
    () => cloud.service.act(cloud.admin, id, actions.migrate, { host: null }),
  ];
  for (const move of moves)
    await assert.rejects(move(), (error: { reason: string; fields: { why: string } }) => {
      assert.deepEqual([error.reason, error.fields.why], ['local_volumes', 'attaching']);
      return true;
    });
  await detach();
  await cloud.service.act(cloud.admin, id, actions.liveMigrate, { host: null, copyDisks: true });
  await assert.rejects(attach(), { code: 'conflict' }, 'nor does a volume come to one that is on its way');
});

test('a server that is suspended, or rescued, gets it when it runs again', async () => {
  await attach();
  await cloud.service.act(cloud.member, id, actions.suspend);
  await cloud.report(here, id, { state: 'suspended', generation: (await documentOf()).generation });
  await copied();
  await tend();
  assert.equal((await show()).host_id, far);
  await cloud.service.act(cloud.member, id, actions.resume);
  await plugged();
  await tend();
  assert.equal((await show()).host_id, here);
});

test('a server that is off has it at its next start; one that is brought back on another host lets it go', async () => {
  await attach();
  await cloud.service.act(cloud.member, id, actions.stop);
  await plugged();
  assert.equal(await status(), 'attaching', 'it is not there yet');
  await cloud.service.act(cloud.member, id, actions.start);
  await plugged();
  await sql`update host set connected = false, forced_down = true where id = ${here}`.execute(db.database.query);
  await sql`update server set evacuation_policy = '{"disk": "from_image"}' where id = ${id}`.execute(db.database.query);
  await cloud.service.act(cloud.admin, id, actions.evacuate, { host: null });
  await nothingIsLeft();
  const { host_id } = await cloud.service.get(cloud.admin, id);
  assert.equal(host_id, far, 'a volume that was not there yet does not keep it on a host that is lost');
});

test('a shelved server with another volume gets it where that is', async () => {
  const { id: own } = await testVolume(db.database, { projectId: cloud.projectId, hostId: here });
  await sql`update server set host_id = null, observed_state = 'none', desired_shelve = '{"state": "offloaded"}' where id = ${id}`.execute(
    db.database.query,
  );
  const wish = { volumeId: own, tag: null, deleteOnTermination: false, attached: () => {} };
  await cloud.service.act(cloud.member, id, actions.attachVolume, wish);
  await attach();
  assert.equal(await status(), 'attaching');
  await copied();
  await tend();
  assert.deepEqual([await status(), (await show()).host_id], ['in-use', here]);
});

test('of volumes that are brought at once exactly so many are accepted as there is room for', async () => {
  const others: string[] = [];
  for (let n = 0; n < 5; n++)
    others.push((await testVolume(db.database, { projectId: cloud.projectId, hostId: far })).id);
  await sql`update storage_pool set total_bytes = ${3 * 2 ** 30}, over_subscription = 1, reserved_percentage = 0 where host_id = ${here}`.execute(
    db.database.query,
  );
  const all = await Promise.allSettled(
    others.map((volumeId) =>
      cloud.service.act(cloud.member, id, actions.attachVolume, {
        ...{ volumeId, tag: null, deleteOnTermination: false, attached: () => {} },
      }),
    ),
  );
  assert.equal(all.filter((one) => one.status === 'fulfilled').length, 3);
  assert.equal(await promised(here), 3 * 2 ** 30);
  const { rows } = await sql<{
    n: number;
  }>`select count(*)::integer as n from volume_attachment where server_id = ${id}`.execute(db.database.query);
  assert.equal(rows[0]!.n, 3);
});

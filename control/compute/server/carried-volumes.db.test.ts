/** A server's volumes on its way to another host: whose they are after each word of both hosts. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { sql } from 'kysely';
import type { DesiredServer, ObservedLayer, ObservedServer } from '../../../contract/host/index.ts';
import { type HostId, type LayerId, newId, type ServerId } from '../../../contract/ids.ts';
import { until } from '../../../test/support/until.ts';
import { testSealer } from '../../identity/testing.ts';
import { cloudActor, type Tx } from '../../kit/database/database.ts';
import { type TestDatabase, testDatabase } from '../../kit/database/testing.ts';
import { testAttachment, testPool, testVolume } from '../../storage/attachment/testing.ts';
import { hostedLayers } from '../../storage/layer/index.ts';
import { readPools } from '../../storage/pool/index.ts';
import { VolumeController } from '../../storage/volume/index.ts';
import { silentLog } from '../../storage/volume/testing.ts';
import { lockPlacement } from '../placement/index.ts';
import * as actions from './actions/index.ts';
import { type ServerCloud, serverCloud } from './testing.ts';

let db: TestDatabase;
let cloud: ServerCloud;
let source: HostId;
let target: HostId;
let id: ServerId;
let volume: { id: string; layerId: string };
let small: string;
before(async () => {
  db = await testDatabase();
  cloud = await serverCloud(db.database);
  small = await cloud.addFlavor({ vcpus: 1, memoryMiB: 512 });
  await sql`update quota set maximum = -1 where project_id is null`.execute(db.database.query);
});
after(() => db[Symbol.asyncDispose]());
let zones = 0;
beforeEach(async () => {
  const zone = `zone ${zones++}`;
  source = await cloud.addHost({ zone, vcpus: 4, name: `${zone} source` });
  id = (
    await cloud.service.create(cloud.member, cloud.wish({ flavor: small, automatic: 'auto', availabilityZone: zone }))
  ).ids[0]!;
  await cloud.controller.reconcile(id);
  await cloud.obey(source);
  target = await cloud.addHost({ zone, vcpus: 8, name: `${zone} target` });
  await testPool(db.database, target);
  volume = await testVolume(db.database, { projectId: cloud.projectId, hostId: source });
  await testAttachment(db.database, { serverId: id, volumeId: volume.id });
  await sql`update volume_attachment set attached_at = now() where volume_id = ${volume.id}`.execute(db.database.query);
});

const documentOf = async (hostId: HostId): Promise<DesiredServer> =>
  (await cloud.side.desiredServers(db.database.query, { hostId })).find((one) => one.id === id) ??
  assert.fail('it has a document');
async function sayOfIncoming(state: NonNullable<ObservedServer['incoming']>['state']): Promise<void> {
  const document = await documentOf(target);
  const { id: migrationId, mode } = document.incoming!;
  const memoryPort = mode === 'live' ? 49_153 : null;
  const place = { address: '10.0.0.2', disksPort: 49_152, disks: ['disk'], memoryPort };
  await cloud.side.recordReports(target, [
    {
      ...{ id, epoch: document.epoch, generation: document.generation, rebootCount: 0, step: null, error: null },
      ...{ state: state === 'taken_over' && mode === 'live' ? 'running' : 'building', startedAt: null },
      incoming: { id: migrationId, state, error: null, ...(state === 'ready' && { target: place }) },
    },
  ]);
}
const whereItIs = async () =>
  (
    await sql<{ host_id: string; layer_id: string; task: string | null }>`select host_id, layer_id,
      desired_task ->> 'kind' as task from volume where id = ${volume.id}`.execute(db.database.query)
  ).rows[0]!;
const layersOn = async (hostId: HostId): Promise<string[]> =>
  (
    await sql<{ id: string }>`select id from volume_layer where volume_id = ${volume.id} and host_id = ${hostId}
      and desired_presence = 'present'`.execute(db.database.query)
  ).rows.map((row) => row.id);
const migrate = (body: 'live' | 'cold') =>
  body === 'live'
    ? cloud.service.act(cloud.admin, id, actions.liveMigrate, { host: null, copyDisks: true })
    : cloud.service.act(cloud.admin, id, actions.migrate, { host: null });

test('a volume is the source’s until the target has the server, and the target’s from the same moment', async () => {
  await migrate('live');
  const [there] = await layersOn(target);
  assert.deepEqual(
    (await documentOf(target)).volumes!.map(({ layerId }) => layerId),
    [there],
  );
  assert.deepEqual(
    (await documentOf(source)).volumes!.map(({ layerId }) => layerId),
    [volume.layerId],
  );
  await sayOfIncoming('ready');
  assert.deepEqual(await whereItIs(), { host_id: source, layer_id: volume.layerId, task: 'carry' });
  await sayOfIncoming('taken_over');
  assert.deepEqual(await whereItIs(), { host_id: target, layer_id: there, task: null });
  assert.deepEqual(await layersOn(source), []);
});

test('a server that arrives takes its volumes before it keeps others from placing: who holds one may place', async () => {
  await migrate('live');
  await sayOfIncoming('ready');
  let arrives: Promise<void> | undefined;
  await db.database.transaction(cloudActor, async (tx) => {
    await sql`select from volume where id = ${volume.id} for update`.execute(tx);
    arrives = sayOfIncoming('taken_over');
    arrives.catch(() => {});
    await until('it to wait for its volume', async () => {
      const { rows } = await sql`select from pg_locks where not granted
        and pid in (select pid from pg_stat_activity where datname = current_database())`.execute(db.database.query);
      return rows.length > 0;
    });
    await sql`set local lock_timeout = '300ms'`.execute(tx);
    await lockPlacement(tx);
  });
  await arrives;
  assert.equal((await whereItIs()).host_id, target);
});

test('where nothing comes of it the volume is free of it, and what was made at the target goes', async () => {
  await migrate('live');
  await sayOfIncoming('ready');
  await sayOfIncoming('given_up');
  await new VolumeController({ database: db.database, log: silentLog }).reconcile(volume.id);
  assert.deepEqual(await whereItIs(), { host_id: source, layer_id: volume.layerId, task: null });
  assert.deepEqual([await layersOn(target), await layersOn(source)], [[], [volume.layerId]]);
});

/** Of the volume's top where it was. */
const sayOfTop = async (state: 'absent' | 'ready') => {
  await sql`update volume_layer set observed_state = ${state} where id = ${volume.layerId}`.execute(db.database.query);
  await new VolumeController({ database: db.database, log: silentLog }).reconcile(volume.id);
};
const faultOf = async () =>
  (
    await sql<{ code: string | null }>`select fault ->> 'code' as code from volume where id = ${volume.id}`.execute(
      db.database.query,
    )
  ).rows[0]!.code;

test('a volume whose file is lost on the way is told as such, and is where the guest writes when its server has arrived', async () => {
  await migrate('live');
  const [there] = await layersOn(target);
  await sayOfIncoming('ready');
  await sayOfTop('absent');
  assert.equal(await faultOf(), 'host');
  assert.deepEqual([await layersOn(target), (await whereItIs()).task], [[there], 'carry']);
  await sayOfIncoming('taken_over');
  assert.deepEqual(await whereItIs(), { host_id: target, layer_id: there, task: null });
  assert.deepEqual(await layersOn(target), [there]);
  await sql`update volume_layer set observed_state = 'ready', observed_generation = generation, observed_epoch = epoch
    where id = ${there}`.execute(db.database.query);
  await new VolumeController({ database: db.database, log: silentLog }).reconcile(volume.id);
  assert.equal(await faultOf(), null, 'what was lost is needed no more');
});

test('a volume whose file is lost on the way is free of a move that comes to nothing', async () => {
  await migrate('live');
  await sayOfIncoming('ready');
  await sayOfTop('absent');
  await sayOfIncoming('given_up');
  await sayOfTop('ready');
  assert.deepEqual(await whereItIs(), { host_id: source, layer_id: volume.layerId, task: null });
  assert.deepEqual([await layersOn(target), await faultOf()], [[], null]);
});

test('of a volume that did not go along nothing is let go of, and it is told', async () => {
  await migrate('live');
  const [there] = await layersOn(target);
  await sayOfIncoming('ready');
  await sql`update volume set desired_task = null where id = ${volume.id}`.execute(db.database.query);
  await sayOfIncoming('taken_over');
  assert.deepEqual([await layersOn(target), await layersOn(source)], [[there], [volume.layerId]]);
  assert.equal(await faultOf(), 'left_behind');
});

/** The server shall be absent, and its source has nothing of it any more. */
const deleted = async () => {
  await cloud.service.delete(cloud.admin, id);
  await cloud.report(source, id, { state: 'absent' });
  await cloud.controller.reconcile(id);
};
const isThere = async () => (await sql`select from server where id = ${id}`.execute(db.database.query)).rows.length > 0;

test('a server that is deleted when the target has it, and has not said so, leaves its volume with what was written there', async () => {
  await migrate('live');
  const [there] = await layersOn(target);
  await sayOfIncoming('ready');
  await deleted();
  assert.equal(await isThere(), true, 'who has the guest the target has yet to say');
  await sayOfIncoming('taken_over');
  await cloud.controller.reconcile(id);
  assert.equal(await isThere(), true, 'the target runs it');
  await cloud.obey(target);
  await cloud.controller.reconcile(id);
  assert.equal(await isThere(), false);
  await new VolumeController({ database: db.database, log: silentLog }).reconcile(volume.id);
  assert.deepEqual(await whereItIs(), { host_id: target, layer_id: there, task: null });
  assert.deepEqual([await layersOn(target), await layersOn(source)], [[there], []]);
});

test('a server that is deleted on its way goes as soon as the target has given it up', async () => {
  await migrate('live');
  await sayOfIncoming('ready');
  await deleted();
  await sayOfIncoming('given_up');
  await cloud.controller.reconcile(id);
  assert.equal(await isThere(), false);
  await new VolumeController({ database: db.database, log: silentLog }).reconcile(volume.id);
  assert.deepEqual(await whereItIs(), { host_id: source, layer_id: volume.layerId, task: null });
});

test('a server that is deleted on its way does not wait for ever for a target that is away', async () => {
  await migrate('live');
  await sayOfIncoming('ready');
  await deleted();
  await sql`update host set connected = false where id = ${target}`.execute(db.database.query);
  await cloud.controller.reconcile(id);
  assert.equal(await isThere(), true);
  await sql`update operation set deadline = now() where resource_id = ${id}`.execute(db.database.query);
  await cloud.controller.reconcile(id);
  assert.equal(await isThere(), false);
});

test('what a server’s volumes have moved away from is not gone back to', async () => {
  await migrate('cold');
  await sayOfIncoming('ready');
  await sayOfIncoming('taken_over');
  assert.equal((await documentOf(source)).volumes, undefined, 'what it keeps are the disks');
  await cloud.obey(target);
  await assert.rejects(cloud.service.act(cloud.admin, id, actions.revertResize), { reason: 'volumes_moved' });
});

test('a server goes only where all of its volumes have room, and not with one that stays', async () => {
  await sql`update storage_pool set total_bytes = 1 where host_id = ${target}`.execute(db.database.query);
  await assert.rejects(migrate('live'), { reason: 'no_other_host' });
  await sql`update volume set desired_task = '{"kind": "backup"}' where id = ${volume.id}`.execute(db.database.query);
  await assert.rejects(migrate('live'), { reason: 'local_volumes' });
  assert.deepEqual(await layersOn(target), []);
});

/** Of the host's pool. */
async function promisedOn(hostId: HostId): Promise<[bytes: number, iops: number]> {
  const [pool] = (await readPools(db.database.query as Tx, null)).filter((each) => each.host_id === hostId);
  return [Number(pool!.promised_bytes), pool!.promised_iops];
}

test('what a volume takes of its server’s next host is promised there when that is decided, and given back where nothing comes of it', async () => {
  const [qos, typeId] = [newId(), newId()];
  await sql`insert into qos_specs (id, name, consumer, specs) values (${qos}, ${qos}, 'front-end', '{"total_iops_sec": "300"}')`.execute(
    db.database.query,
  );
  await sql`insert into volume_type (id, name, public, qos_specs_id) values (${typeId}, ${typeId}, true, ${qos})`.execute(
    db.database.query,
  );
  await sql`update volume set volume_type_id = ${typeId} where id = ${volume.id}`.execute(db.database.query);
  await sql`update storage_pool set iops = 500 where host_id in (${source}, ${target})`.execute(db.database.query);
  const gib = 2 ** 30;
  await migrate('live');
  assert.deepEqual(
    [await promisedOn(source), await promisedOn(target)],
    [
      [gib, 300],
      [gib, 300],
    ],
  );
  await sayOfIncoming('ready');
  await sayOfIncoming('given_up');
  await new VolumeController({ database: db.database, log: silentLog }).reconcile(volume.id);
  assert.deepEqual(
    [await promisedOn(source), await promisedOn(target)],
    [
      [gib, 300],
      [0, 0],
    ],
  );
  await cloud.obey(source);
  await migrate('live');
  await sayOfIncoming('ready');
  await sayOfIncoming('taken_over');
  assert.deepEqual(
    [await promisedOn(source), await promisedOn(target)],
    [
      [0, 0],
      [gib, 300],
    ],
  );
});

test('copies of what a volume builds on are made only where they have room, and it is theirs until they are there', async () => {
  const gib = 2 ** 30;
  // On a snapshot that takes a GiB.
  const below = newId();
  await sql`insert into volume_layer (id, volume_id, host_id, pool_id, size_bytes, observed_state, observed_generation, observed_epoch,
      read_only, observed_allocated_bytes)
    select ${below}, volume_id, host_id, pool_id, size_bytes, 'ready', 1, 1, true, ${gib} from volume_layer where id = ${volume.layerId}`.execute(
    db.database.query,
  );
  await sql`update volume_layer set parent_id = ${below} where id = ${volume.layerId}`.execute(db.database.query);
  const free = (bytes: number) =>
    sql`update storage_pool set free_bytes = ${bytes} where host_id = ${target}`.execute(db.database.query);
  const freeThere = async () =>
    (await readPools(db.database.query as Tx, null)).find((each) => each.host_id === target)!.free_bytes;
  await free(gib - 1);
  await assert.rejects(migrate('live'), { reason: 'no_other_host' });
  await free(1.5 * gib);
  await migrate('live');
  assert.equal(await freeThere(), 0.5 * gib);
  await sayOfIncoming('ready');
  await sayOfIncoming('given_up');
  await new VolumeController({ database: db.database, log: silentLog }).reconcile(volume.id);
  assert.equal(await freeThere(), 1.5 * gib);
});

test('a migration has time as long as copies of what a volume builds on come further', async () => {
  const below = newId();
  await sql`insert into volume_layer (id, volume_id, host_id, pool_id, size_bytes, observed_state, observed_generation, observed_epoch, read_only)
    select ${below}, volume_id, host_id, pool_id, size_bytes, 'ready', 1, 1, true from volume_layer where id = ${volume.layerId}`.execute(
    db.database.query,
  );
  await sql`update volume_layer set parent_id = ${below} where id = ${volume.layerId}`.execute(db.database.query);
  await migrate('live');
  const layers = hostedLayers({ database: db.database, sealer: testSealer, log: silentLog });
  const { rows } = await sql<{ id: LayerId; epoch: number; generation: number }>`select id, epoch, generation
    from volume_layer where desired_source ->> 'copy_of' = ${below}`.execute(db.database.query);
  const say = async (received: number, error: ObservedLayer['error'] = null): Promise<number> => {
    await sql`update operation set deadline = now() + interval '1 minute' where resource_id = ${id} and state = 'running'`.execute(
      db.database.query,
    );
    const step = `copying from another host, ${received} of 100 MiB`;
    await layers.recordReports(target, [
      { ...rows[0]!, state: 'building', sizeBytes: 0, allocatedBytes: 0, step, error },
    ]);
    const left = await sql<{ minutes: number }>`select round(extract(epoch from deadline - now()) / 60)::int as minutes
      from operation where resource_id = ${id} and state = 'running'`.execute(db.database.query);
    return left.rows[0]!.minutes;
  };
  assert.equal(await say(1), 10);
  assert.equal(await say(1), 1, 'it stands still');
  assert.equal(await say(2), 10);
  assert.equal(await say(3, { code: 'layer_unreachable', message: 'the source ended' }), 1, 'it begins anew');
});

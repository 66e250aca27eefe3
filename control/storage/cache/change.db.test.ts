/** A volume gets a cache, another one or none, and goes elsewhere with one; the controller dies after every step. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { type LayerId, newId } from '../../../contract/ids.ts';
import { type TestDatabase, testDatabase } from '../../kit/database/testing.ts';
import { testPool } from '../testing.ts';
import type { VolumeStep } from '../volume/index.ts';
import { type VolumeCloud, volumeCloud } from '../volume/testing.ts';
import { migrationStatus } from '../volume/volume.ts';
import { cacheCloud } from './testing.ts';

let db: TestDatabase;
let cloud: VolumeCloud;
const gib = 2 ** 30;
const types = {
  plain: { 'bothy:tier': 'disk' },
  cached: { 'bothy:tier': 'disk', 'bothy:cache_pool': 'fast', 'bothy:cache_gib': '1' },
  larger: { 'bothy:tier': 'disk', 'bothy:cache_pool': 'fast', 'bothy:cache_gib': '2' },
  'of-flash': { 'bothy:tier': 'flash', 'bothy:cache_pool': 'fast', 'bothy:cache_gib': '1' },
};
before(async () => {
  db = await testDatabase();
  cloud = await volumeCloud(db.database);
  const { hostId } = cloud;
  await sql`update storage_pool set name = 'local' where id = ${cloud.poolId}`.execute(db.database.query);
  await testPool(db.database, { hostId, name: 'fast', tier: 'ram' });
  await testPool(db.database, { hostId, name: 'flash', tier: 'flash' });
  for (const [name, specs] of Object.entries(types)) {
    await sql`insert into volume_type (id, name, public, extra_specs)
      values (${newId()}, ${name}, true, ${JSON.stringify(specs)}::jsonb)`.execute(db.database.query);
  }
});
after(() => db[Symbol.asyncDispose]());

const { chainOf, obeyed, attached, fill, layers } = cacheCloud(() => cloud);
const made = (type: keyof typeof types) => cloud.made({ type });
const retype = (id: string, type: keyof typeof types, policy: 'never' | 'on-demand' = 'on-demand') =>
  cloud.volumes.retype(cloud.admin, id, { type, policy });
const get = (id: string) => cloud.volumes.get(cloud.admin, id);
/** What the pools of the host have promised, by name. */
async function promised(): Promise<Record<string, number>> {
  const { rows } = await sql<{ name: string; gib: number }>`select name, (promised_bytes / ${gib})::float8 as gib
    from storage_pool_usage u join storage_pool p on p.id = u.pool_id where p.host_id = ${cloud.hostId}`.execute(
    db.database.query,
  );
  return Object.fromEntries(rows.map((row) => [row.name, row.gib]));
}

/** All controllers look, and the one of volumes dies after each of its steps. */
async function deadly(): Promise<void> {
  const steps: VolumeStep[] = ['looked', 'cache', 'moved', 'task ended'];
  const { rows } = await sql<{ id: string }>`select id from volume`.execute(db.database.query);
  for (const { id } of rows) {
    for (const step of steps) {
      await cloud
        .dyingController(step)
        .reconcile(id)
        .catch((error: Error) => assert.match(error.message, /died after/));
    }
  }
  await cloud.settle();
}

async function ended(id: string, chain: string, type: string): Promise<void> {
  const { type_name, desired_task, move_outcome } = await get(id);
  assert.deepEqual([await chainOf(id), type_name, desired_task, move_outcome], [chain, type, null, 'success']);
  const { rows } = await sql`select from operation where resource_id = ${id} and state <> 'succeeded'`.execute(
    db.database.query,
  );
  assert.equal(rows.length, 0, 'what was asked for has succeeded');
}

test('a volume that a server writes to gets a cache at once, and loses it when what it holds has sunk', async () => {
  const { id } = await made('plain');
  const before = await promised();
  const server = await attached(id);
  await retype(id, 'cached', 'never');
  assert.equal(await chainOf(id), 'writes@fast base@local final@local');
  await obeyed(server, deadly);
  assert.equal(await cloud.status(id), 'in-use');
  assert.deepEqual(await promised(), { ...before, fast: (before.fast ?? 0) + 1 }, 'its room is reserved');
  await fill(id);
  await obeyed(server);
  await retype(id, 'plain', 'never');
  assert.equal(await cloud.status(id), 'retyping');
  assert.equal(migrationStatus(await get(id)), 'migrating');
  await cloud.settle();
  assert.equal(
    await chainOf(id),
    'base@local writes@fast writes@fast base@local final@local',
    'it writes to its own pool',
  );
  await obeyed(server, deadly);
  await ended(id, 'final@local final@local final@local final@local', 'plain');
  assert.deepEqual(await promised(), { ...before, fast: before.fast ?? 0 });
});

test('one whose host can not make what would end its cache keeps it, and has one again when its host can', async () => {
  const { id } = await made('cached');
  const server = await attached(id);
  await retype(id, 'plain');
  await cloud.settle();
  assert.equal(await chainOf(id), 'base@local writes@fast base@local');
  const { rows } = await sql<{ id: LayerId; epoch: number; generation: number }>`select l.id, l.epoch, l.generation
    from volume v join volume_layer l on l.id = v.layer_id where v.id = ${id}`.execute(db.database.query);
  const error = { code: 'no_file', message: 'its pool takes no file' };
  const failed = { ...rows[0]!, state: 'failed', sizeBytes: 0, allocatedBytes: 0, step: null, error } as const;
  await layers().recordReports(cloud.hostId, [failed], { complete: false });
  await deadly();
  const { desired_task, move_outcome, fault } = await get(id);
  assert.deepEqual([desired_task, move_outcome, fault?.message], [null, 'error', error.message]);
  await cloud.volumes.reset(cloud.admin, id, { status: 'in-use', attachStatus: null, migrationStatus: null });
  await obeyed(server, deadly);
  assert.equal(await cloud.status(id), 'in-use');
  assert.equal(await chainOf(id), 'writes@fast base@local final@local');
});

test('one that nobody has gets a cache and loses it, with a snapshot of it kept', async () => {
  const { id } = await made('cached');
  await cloud.snapshots.create(cloud.member, {
    ...{ volumeId: id, name: '', description: null, metadata: {}, inUse: false },
  });
  await obeyed();
  await retype(id, 'plain');
  await obeyed(undefined, deadly);
  await ended(id, 'final@local final@local final@local', 'plain');
  await retype(id, 'cached');
  assert.equal((await get(id)).type_name, 'cached');
  assert.match(await chainOf(id), /^base@local final@local/);
  await assert.rejects(retype(id, 'of-flash'), { reason: 'volume_migration_unfit' });
});

test('it gets a larger cache: the one that it has sinks, and the other begins', async () => {
  const { id } = await made('cached');
  const server = await attached(id);
  await retype(id, 'larger');
  await obeyed(server, deadly);
  assert.match(await chainOf(id), /^writes@fast base@local final@local/);
  assert.equal((await get(id)).cache_bytes, 2 * gib);
  assert.equal((await get(id)).type_name, 'larger');
});

test('a cached volume goes to another pool under a server that writes to it: sink first, then the move, then its cache', async () => {
  const { id } = await made('cached');
  const server = await attached(id);
  await assert.rejects(retype(id, 'of-flash', 'never'), { reason: 'volume_type_unfit' });
  await retype(id, 'of-flash');
  await obeyed(server, deadly);
  assert.match(await chainOf(id), /^writes@fast base@flash final@flash$/);
  const { type_name, pool_name } = await get(id);
  assert.deepEqual([type_name, pool_name], ['of-flash', 'flash']);
  const { rows } = await sql<{ name: string }>`select name from host where id = ${cloud.hostId}`.execute(
    db.database.query,
  );
  await cloud.volumes.migrate(cloud.admin, id, { backend: `${rows[0]!.name}@flash`, cluster: null }).then(
    () => assert.fail('it is there'),
    (error: { reason: string }) => assert.equal(error.reason, 'volume_migration_unfit'),
  );
  await retype(id, 'plain');
  await obeyed(server, deadly);
  await ended(id, 'final@local', 'plain');
});

test('an administrator puts it into another pool of its host, with its cache; where that has no room any more it stays', async () => {
  const { id } = await made('of-flash');
  const server = await attached(id);
  const { rows } = await sql<{ name: string }>`select name from host where id = ${cloud.hostId}`.execute(
    db.database.query,
  );
  const wish = { backend: `${rows[0]!.name}@local`, cluster: null };
  await sql`update volume_type set extra_specs = extra_specs - 'bothy:tier' where name = 'of-flash'`.execute(
    db.database.query,
  );
  await cloud.volumes.migrate(cloud.admin, id, wish);
  const close = (disabled: boolean) =>
    sql`update storage_pool set disabled = ${disabled} where id = ${cloud.poolId}`.execute(db.database.query);
  await close(true);
  await obeyed(server, deadly);
  const stayed = await get(id);
  assert.deepEqual([stayed.desired_task, stayed.move_outcome, stayed.pool_name], [null, 'error', 'flash']);
  assert.equal(await chainOf(id), 'writes@fast base@flash final@flash', 'its cache has begun again');
  await close(false);
  await cloud.volumes.migrate(cloud.admin, id, wish);
  await obeyed(server, deadly);
  assert.equal(await chainOf(id), 'writes@fast base@local final@local');
  assert.equal((await get(id)).move_outcome, 'success');
});

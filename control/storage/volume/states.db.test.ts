import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { type TestDatabase, testDatabase } from '../../kit/database/testing.ts';
import { snapshotStatus } from './snapshot-states.ts';
import { snapshotStatusSql } from './snapshot-states-sql.ts';
import { volumeStatus } from './states.ts';
import { volumeStatusSql } from './states-sql.ts';
import { type VolumeCloud, volumeCloud } from './testing.ts';

let db: TestDatabase;
let cloud: VolumeCloud;
before(async () => {
  db = await testDatabase();
  cloud = await volumeCloud(db.database);
});
after(() => db[Symbol.asyncDispose]());

/** The same at each run (an xorshift of 32 bits). */
let seed = 0x2545_f491;
function pick<T>(values: readonly T[]): T {
  seed ^= seed << 13;
  seed ^= seed >>> 17;
  seed ^= seed << 5;
  return values[(seed >>> 0) % values.length]!;
}

const json = (value: unknown) => (value === null ? null : JSON.stringify(value));
const faults = [
  ...Array.from({ length: 16 }, () => null),
  ...['host', 'extend', 'restore', 'no_capacity'].map((code) => ({ code })),
];
const declared = { code: 'reset', status: 'maintenance' };
const kinds = ['extend', 'upload', 'backup', 'restore', 'revert', 'reimage', 'transfer', 'retype', 'migrate'] as const;

/** Rows that say all kinds of things, also such as nobody would write. */
async function shuffle(id: string, snapshotId: string): Promise<void> {
  const query = db.database.query;
  const task = pick([
    null,
    null,
    null,
    null,
    null,
    null,
    ...kinds.map((kind) => ({ kind, snapshot_id: pick([snapshotId, snapshotId, id]) })),
  ]);
  await sql`update volume set desired_presence = ${pick(['present', 'present', 'present', 'absent'])},
      fault = ${json(pick([...faults, declared]))}::jsonb, desired_task = ${json(task)}::jsonb,
      launched_at = ${pick([null, new Date()])}::timestamptz, source_volume_id = ${pick([null, id])}::uuid
    where id = ${id}`.execute(query);
  await sql`update volume_snapshot set desired_presence = ${pick(['present', 'present', 'present', 'absent'])},
      fault = ${json(pick([...faults, { code: 'reset', status: 'creating' }]))}::jsonb,
      ready_at = ${pick([null, new Date()])}::timestamptz where id = ${snapshotId}`.execute(query);
  const state = pick(['none', 'building', 'ready', 'ready', 'ready', 'ready', 'ready', 'absent', 'failed']);
  await sql`update volume_layer set observed_state = ${state}, read_only = ${pick([true, true, true, false])},
    observed_generation = generation - ${pick([0, 0, 0, 1])}::bigint`.execute(query);
  await sql`update server set observed_generation = generation - ${pick([0, 0, 1])}::bigint`.execute(query);
  await sql`update volume_attachment set desired_presence = ${pick(['present', 'present', 'absent'])},
      server_id = case when ${pick([true, true, false])} then (select id from server limit 1) end,
      connector = ${json(pick([null, {}]))}::jsonb, completed_at = ${pick([null, new Date()])}::timestamptz,
      attached_at = ${pick([null, new Date()])}::timestamptz, observed_state = ${pick([null, 'attached'])},
      server_generation = (select generation from server limit 1)`.execute(query);
}

test('the SQL twins of the derived statuses agree with the functions', async () => {
  const query = db.database.query;
  const volume = await cloud.made();
  const { id: snapshotId } = await cloud.snapshots.create(cloud.member, {
    ...{ volumeId: volume.id, name: 's', description: null, metadata: {}, inUse: false },
  });
  await cloud.obey();
  const free = await cloud.made();
  await cloud.attach(volume.id);
  const layers = await sql<{ id: string }>`select id from volume_layer where volume_id = ${volume.id}`.execute(query);
  const seen = new Set<string>();
  for (let round = 0; round < 160; round++) {
    for (const id of [volume.id, free.id]) await shuffle(id, snapshotId);
    const open = pick([null, ...layers.rows.map(({ id }) => id)]);
    await sql`update volume_attachment set observed_layer_id = ${open}::uuid`.execute(query);
    const expected = new Map<string, string>();
    for (const id of [volume.id, free.id]) expected.set(id, volumeStatus(await cloud.volumes.get(cloud.admin, id)));
    const { rows } = await sql<{ id: string; status: string }>`select v.id, ${volumeStatusSql} as status from volume v
      left join volume_attachment a on a.volume_id = v.id`.execute(query);
    for (const { id, status } of rows) assert.equal(status, expected.get(id));
    const snapshot = await sql<{ status: string }>`select ${snapshotStatusSql} as status from volume_snapshot s
      join volume v on v.id = s.volume_id`.execute(query);
    const wanted = snapshotStatus(await cloud.snapshots.get(cloud.admin, snapshotId));
    assert.equal(snapshot.rows[0]!.status, wanted);
    for (const status of [...expected.values(), `snapshot ${wanted}`]) seen.add(status);
  }
  const needed = ['creating', 'available', 'reserved', 'attaching', 'in-use', 'detaching', 'deleting', 'error'];
  const ofSnapshots = ['creating', 'available', 'deleting', 'error', 'restoring', 'backing-up'];
  const missing = [...needed, 'maintenance', ...ofSnapshots.map((each) => `snapshot ${each}`)];
  assert.deepEqual(
    missing.filter((each) => !seen.has(each)),
    [],
  );
});

/** Many callers do everything to the same few volumes at once: each call succeeds or is refused with a reason, and nothing is left. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { isCloudError } from '../../../contract/errors.ts';
import { type TestDatabase, testDatabase } from '../../kit/database/testing.ts';
import { type VolumeCloud, volumeCloud } from './testing.ts';

let db: TestDatabase;
let cloud: VolumeCloud;
before(async () => {
  db = await testDatabase();
  cloud = await volumeCloud(db.database);
});
after(() => db[Symbol.asyncDispose]());

const ids = async (table: 'volume' | 'volume_snapshot') =>
  (await sql<{ id: string }>`select id from ${sql.table(table)} order by id`.execute(db.database.query)).rows.map(
    ({ id }) => id,
  );

test('a storm of snapshots, clones, growth, reverts and deletions leaves no row and no layer', async () => {
  await sql`update quota set maximum = -1`.execute(db.database.query);
  await Promise.all([1, 2, 3].map(() => cloud.made({ imageId: cloud.imageId })));
  const { volumes, snapshots, member, admin } = cloud;
  let turn = 0;
  const one = async (): Promise<unknown> => {
    const [all, taken] = [await ids('volume'), await ids('volume_snapshot')];
    const round = ++turn;
    const id = all[round % Math.max(1, all.length)]!;
    const snapshot = taken[round % Math.max(1, taken.length)];
    const wish = { volumeId: id, name: '', description: null, metadata: {}, inUse: true };
    switch (round % 8) {
      case 0:
      case 1:
        return snapshots.create(member, wish);
      case 2:
        return volumes.create(member, cloud.wish({ sourceVolumeId: id, sizeGib: null }));
      case 3:
        return snapshot && volumes.create(member, cloud.wish({ snapshotId: snapshot, sizeGib: null }));
      case 4:
        return volumes.extend(member, id, { sizeGib: 2 + (round % 3), inUse: true });
      case 5:
        return snapshot && snapshots.delete(admin, snapshot, { force: true });
      case 6:
        return volumes.revert(
          member,
          id,
          (await snapshots.list(member, { filter: { volumeId: id }, limit: 1 }, { allProjects: false }))[0]?.id ?? null,
        );
      default:
        return volumes.delete(admin, id, { cascade: round % 16 === 7, force: true });
    }
  };
  const refusals = new Set<string>();
  for (let wave = 0; wave < 6; wave++) {
    const outcomes = await Promise.allSettled(Array.from({ length: 12 }, one));
    for (const outcome of outcomes) {
      if (outcome.status === 'fulfilled') continue;
      assert.ok(isCloudError(outcome.reason, 'invalid', 'not_found', 'conflict'), String(outcome.reason?.stack));
      refusals.add(outcome.reason.reason);
    }
    await cloud.obey();
    await cloud.settle();
  }
  const faults = await sql`select from volume where fault is not null`.execute(db.database.query);
  assert.equal(faults.rows.length, 0);
  for (const id of await ids('volume')) await volumes.delete(admin, id, { cascade: true, force: true });
  const { rows } = await sql<Record<string, number>>`select (select count(*) from volume) as volumes,
    (select count(*) from volume_snapshot) as snapshots, (select coalesce(sum(promised_bytes), 0)::integer from storage_pool_usage) as promised,
    (select count(*) from volume_layer where desired_presence = 'present') as layers,
    (select count(*) from operation where state = 'running') as running`.execute(db.database.query);
  assert.deepEqual(rows[0], { volumes: 0, snapshots: 0, promised: 0, layers: 0, running: 0 });
});

/** What was shown once as available holds, whatever becomes of what it is made of, and whenever the controllers come to it. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { type TestDatabase, testDatabase } from '../../kit/database/testing.ts';
import { snapshotStatus } from './snapshot-states.ts';
import { type VolumeCloud, volumeCloud } from './testing.ts';

let db: TestDatabase;
let cloud: VolumeCloud;
before(async () => {
  db = await testDatabase();
  cloud = await volumeCloud(db.database);
});
after(() => db[Symbol.asyncDispose]());

const run = (statement: ReturnType<typeof sql>) => statement.execute(db.database.query);
const wish = { name: '', description: null, metadata: {}, inUse: true };

/** What happens to a source that a guest has, and what its host says of layers, before anybody has written down that a clone is whole. */
const disturbances = {
  'its guest lets go of the source': (_: string, serverId: string) =>
    run(sql`with told as (update server set generation = generation + 1 where id = ${serverId} returning generation)
      update volume_attachment set desired_presence = 'absent', server_generation = told.generation from told where server_id = ${serverId}`),
  'another snapshot is made of the source': (volumeId: string) =>
    cloud.snapshots.create(cloud.member, { ...wish, volumeId }),
  'another clone is made of the source': (volumeId: string) =>
    cloud.volumes.create(cloud.member, cloud.wish({ sourceVolumeId: volumeId, sizeGib: null })),
  'its host begins anew': () => run(sql`update volume_layer set observed_state = 'building'`),
};

for (const [what, disturb] of Object.entries(disturbances)) {
  for (const settled of ['before it', 'after it', 'never'] as const) {
    test(`available stays available when ${what}; controllers come ${settled}`, async () => {
      const source = await cloud.made();
      await cloud.settle();
      const { serverId } = await cloud.attach(source.id);
      const snapshot = await cloud.snapshots.create(cloud.member, { ...wish, volumeId: source.id });
      const clone = await cloud.volumes.create(cloud.member, cloud.wish({ sourceVolumeId: source.id, sizeGib: null }));
      const shown = async () => ({
        clone: await cloud.status(clone.id),
        snapshot: snapshotStatus(await cloud.snapshots.get(cloud.member, snapshot.id)),
      });
      const seen = [await shown()];
      const look = async () => seen.push(await shown());
      await cloud.report();
      await look();
      await cloud.reportSwitch(serverId);
      await look();
      if (settled === 'before it') await cloud.settle();
      await look();
      await disturb(source.id, serverId);
      await look();
      if (settled === 'after it') await cloud.settle();
      await look();
      for (const kind of ['clone', 'snapshot'] as const) {
        const words = seen.map((each) => each[kind]);
        const first = words.indexOf('available');
        if (first >= 0) assert.deepEqual(new Set(words.slice(first)), new Set(['available']), `${kind}: ${words}`);
        if (settled === 'before it') assert.equal(words.at(-1), 'available');
      }
      // What is decided is decided on what is shown.
      const deleted = cloud.volumes.delete(cloud.member, clone.id, { cascade: false, force: false });
      if (seen.at(-1)!.clone === 'available') await deleted;
      else await assert.rejects(deleted, { reason: 'volume_status_unfit' });
    });
  }
}

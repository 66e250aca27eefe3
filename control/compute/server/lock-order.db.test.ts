/** Who decides about servers and volumes together takes locks in one order (control/storage/volume/store.ts): PostgreSQL ends no circle of them. */
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { type HostId, newId } from '../../../contract/ids.ts';
import { until } from '../../../test/support/until.ts';
import { cloudActor, type Tx } from '../../kit/database/database.ts';
import { type TestDatabase, testDatabase } from '../../kit/database/testing.ts';
import { testPool, testVolume } from '../../storage/attachment/testing.ts';
import { lockPools } from '../../storage/pool/index.ts';
import { releaseServerVolumes } from '../../storage/server-volume/index.ts';
import { holdVolumeQuota } from '../../storage/volume/index.ts';
import { lockPlacement } from '../placement/index.ts';
import type { ServerVolumeWish } from './create-volumes.ts';
import { type ServerCloud, serverCloud } from './testing.ts';

let db: TestDatabase;
let cloud: ServerCloud;
let flavor: string;
let hostId: HostId;
before(async () => {
  db = await testDatabase();
  cloud = await serverCloud(db.database);
  flavor = await cloud.addFlavor();
  hostId = await cloud.addHost();
  await testPool(db.database, hostId);
});
after(() => db[Symbol.asyncDispose]());

const blank: ServerVolumeWish = {
  ...{ source: 'blank', id: null, sizeGib: 1, bootIndex: null, tag: null, deleteOnTermination: true, type: null },
};
const named = (id: string): ServerVolumeWish => ({ ...blank, source: 'volume', id, sizeGib: null });

/** Somebody waits for a lock of this database. */
const somebodyWaits = () =>
  until('somebody to wait', async () => {
    const { rows } = await sql`select from pg_locks where not granted
      and pid in (select pid from pg_stat_activity where datname = current_database())`.execute(db.database.query);
    return rows.length > 0;
  });

/** With a lock held, `work` is begun, and waits for it; then the holder takes others at once: else both would wait for each other. */
async function meets(
  hold: (tx: Tx) => Promise<unknown>,
  work: () => Promise<unknown>,
  then: (tx: Tx) => Promise<unknown>,
): Promise<void> {
  let begun: Promise<unknown> | undefined;
  await db.database.transaction(cloudActor, async (tx) => {
    await hold(tx);
    begun = work();
    begun.catch(() => {});
    await somebodyWaits();
    await sql`set local lock_timeout = '300ms'`.execute(tx);
    await then(tx);
  });
  await begun;
}

const create = (volumes: ServerVolumeWish[]) => cloud.service.create(cloud.member, cloud.wish({ flavor, volumes }));
const rowOf = (id: string) => (tx: Tx) => sql`select from volume where id = ${id} for update`.execute(tx);
const both = async (tx: Tx) => {
  await lockPlacement(tx);
  await lockPools(tx);
};

test('a server that is made with a volume that is being moved waits for that with nothing that the move needs', async () => {
  const { id } = await testVolume(db.database, { projectId: cloud.projectId, hostId });
  // A move holds the volume and chooses a pool; a server's goes on to hosts before that.
  await meets(rowOf(id), () => create([blank, named(id)]), both);
});

test('a server that is made with new volumes waits for whoever counts volumes before hosts and pools are chosen', async () => {
  const hold = (tx: Tx) => holdVolumeQuota(tx, cloud.projectId, []);
  await meets(hold, () => create([blank]), both);
});

test('a server that goes for good takes its volumes in their order, as whoever brings their replicas up to date', async () => {
  const pair = ['d', 'c'].map((digit) => `${digit}${newId().slice(1)}`);
  for (const id of pair) {
    const { id: made } = await testVolume(db.database, { projectId: cloud.projectId, hostId });
    await sql`update volume set id = ${id} where id = ${made}`.execute(db.database.query);
  }
  const [higher, lower] = pair as [string, string];
  const { ids } = await create(pair.map((id) => ({ ...named(id), deleteOnTermination: true })));
  const both = sql`(${higher}, ${lower})`;
  await sql`update volume_attachment set delete_on_termination = true where volume_id in ${both}`.execute(
    db.database.query,
  );
  const release = () =>
    db.database.transaction(cloudActor, async (tx) => {
      await sql`select from server where id = ${ids[0]!} for update`.execute(tx);
      await releaseServerVolumes(tx, ids[0]!);
    });
  await meets(rowOf(lower), release, rowOf(higher));
});

test('of two servers that are made with the same volumes one waits for the other, however their ids are written', async () => {
  const pair = ['b', 'a'].map((digit) => `${digit}${newId().slice(1)}`);
  for (const id of pair) {
    const { id: made } = await testVolume(db.database, { projectId: cloud.projectId, hostId });
    await sql`update volume set id = ${id} where id = ${made}`.execute(db.database.query);
  }
  const [higher, lower] = pair as [string, string];
  await meets(rowOf(lower), () => create([named(higher.toUpperCase()), named(lower)]), rowOf(higher));
});

/** A server whose host is lost is restarted from the replicas of its volumes. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { newId, type ServerId } from '../../../contract/ids.ts';
import { until } from '../../../test/support/until.ts';
import { cloudActor } from '../../kit/database/database.ts';
import { type TestDatabase, testDatabase } from '../../kit/database/testing.ts';
import { testAttachment, testVolume } from '../../storage/attachment/testing.ts';
import { insertLayer } from '../../storage/layer/index.ts';
import { testPool } from '../../storage/testing.ts';
import { SurvivalService } from '../survival/index.ts';
import { setEvacuationPolicy } from './evacuation-policy.ts';
import { Evacuator } from './evacuator.ts';
import { type ServerCloud, serverCloud, silentLog } from './testing.ts';

let db: TestDatabase;
let cloud: ServerCloud;
before(async () => {
  db = await testDatabase();
  cloud = await serverCloud(db.database);
});
after(() => db[Symbol.asyncDispose]());

test('a server goes where the replicas of its volumes are and nowhere else, and what it goes on from is kept with the evidence', async () => {
  const [lost, other, far] = [await cloud.addHost(), await cloud.addHost(), await cloud.addHost()];
  const wish = cloud.wish({ flavor: await cloud.addFlavor(), requestedHost: `host-${lost}` });
  const id = (await cloud.service.create(cloud.admin, wish)).ids[0]! as ServerId;
  await cloud.controller.reconcile(id);
  await setEvacuationPolicy(db.database, cloud.member, id, { restart: 'elsewhere', disk: 'from_image' });
  await cloud.obey(lost);
  const volume = await testVolume(db.database, { projectId: cloud.projectId, hostId: lost });
  await testAttachment(db.database, { serverId: id, volumeId: volume.id });
  await cloud.obey(lost);
  const pool = await testPool(db.database, { hostId: far });
  const copy = await db.database.transaction(cloudActor, async (tx) => {
    const size = { volumeId: volume.id, sizeBytes: 2 ** 30, base: null };
    const layer = await insertLayer(tx, { ...size, pool, frozen: true });
    await sql`insert into volume_replica (volume_id, rpo_seconds, size_bytes, pool_id, layer_id, source_layer_id, as_of)
      values (${volume.id}, 60, ${2 ** 30}, ${pool.id}, ${layer}, ${newId()}, now() - interval '40 seconds')`.execute(
      tx,
    );
    return layer;
  });
  const survival = new SurvivalService(db);
  const fate = (await survival.one(cloud.admin, { kind: 'host', name: lost })).fates.find(
    ({ server }) => server.id === id,
  )!;
  assert.equal(fate.to, far);
  assert.ok(Math.abs(fate.server.replica_age_seconds! - 40) < 20);
  assert.ok(Math.abs(Date.now() - Date.parse(fate.server.replica_moment!) - 40_000) < 20_000);
  await sql`update host set connected = false, last_seen_at = now(), lease_ends_at = now() - interval '3 seconds' where id = ${lost}`.execute(
    db.database.query,
  );
  const evacuator = new Evacuator({
    ...{ database: db.database, ports: cloud.ports, log: silentLog },
    timing: { everyMs: 5, steadyMs: 0, retryMs: 20 },
  });
  evacuator.start();
  await until(
    'the server to be given to another',
    async () => (await cloud.service.get(cloud.admin, id)).host_id !== lost,
  );
  evacuator.stop();
  assert.equal((await cloud.service.get(cloud.admin, id)).host_id, far);
  const { rows } = await sql<{
    host_id: string;
    parent_id: string;
    age: number;
    of: string;
    moment: string;
    as_of: string;
  }>`
    select v.host_id, l.parent_id, (m.evidence #>> '{replicas,0,age_seconds}')::float8 as age, m.evidence #>> '{replicas,0,volume_id}' as of,
      m.evidence ->> 'replicas_moment' as moment, m.evidence #>> '{replicas,0,as_of}' as as_of
    from volume v join volume_layer l on l.id = v.layer_id, server_migration m where v.id = ${volume.id} and m.server_id = ${id}`.execute(
    db.database.query,
  );
  assert.deepEqual([rows[0]!.host_id, rows[0]!.parent_id, rows[0]!.of], [far, copy, volume.id]);
  assert.ok(rows[0]!.age >= 40 && rows[0]!.age < 60, `${rows[0]!.age}`);
  assert.equal(rows[0]!.moment, rows[0]!.as_of, 'one volume is of one moment');
  const { rows: old } = await sql<{ read_only: boolean; epoch: number }>`select read_only, epoch from volume_layer
    where id = ${volume.layerId}`.execute(db.database.query);
  assert.deepEqual(old[0], { read_only: true, epoch: 2 });
  const [document] = await cloud.side.desiredServers(db.database.query, { serverIds: [id] });
  assert.equal(document!.volumes!.length, 1);
  assert.notEqual(document!.volumes![0]!.layerId, volume.layerId);
  assert.ok(other);
});

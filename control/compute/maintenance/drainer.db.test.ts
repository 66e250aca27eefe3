/** Whose turn it is to leave a host that shall be empty. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import type { HostId } from '../../../contract/ids.ts';
import { cloudActor } from '../../kit/database/database.ts';
import { type TestDatabase, testDatabase } from '../../kit/database/testing.ts';
import { type ServerCloud, serverCloud, silentLog } from '../server/testing.ts';
import { Drainer } from './drainer.ts';
import { beginMaintenance, MaintenanceService } from './index.ts';

let db: TestDatabase;
let cloud: ServerCloud;
before(async () => {
  db = await testDatabase();
  cloud = await serverCloud(db.database);
  await sql`update quota set maximum = -1 where project_id is null`.execute(db.database.query);
});
after(() => db[Symbol.asyncDispose]());

async function serversOn(hostId: HostId, count: number, memoryMiB: number): Promise<string[]> {
  const flavor = await cloud.addFlavor({ memoryMiB });
  const wish = cloud.wish({ flavor, automatic: 'none', minCount: count, maxCount: count });
  const { ids } = await cloud.service.create(cloud.member, wish);
  for (const id of ids) await cloud.controller.reconcile(id);
  await cloud.obey(hostId);
  return ids;
}

test('however many servers wait for another try, the next one has its turn', async () => {
  const here = await cloud.addHost({ vcpus: 64 });
  // Of equals the larger go first.
  const tried = await serversOn(here, 21, 1024);
  const [next] = await serversOn(here, 1, 512);
  await cloud.addHost({ vcpus: 64, memoryMiB: 65_536 });
  await db.database.transaction(cloudActor, (tx) =>
    beginMaintenance(tx, here, { cause: 'administrator', reason: null }),
  );
  const drainer = new Drainer({ database: db.database, ports: cloud.ports, log: silentLog });
  const under_way = async () =>
    (
      await sql<{ server_id: string }>`select server_id from server_migration where phase <> 'ended'`.execute(
        db.database.query,
      )
    ).rows.map((row) => row.server_id);
  // Two at a time: all have failed once, as soon as it was their turn.
  for (let turn = 0; turn < tried.length; turn += 2) {
    await drainer.look();
    for (const id of await under_way()) {
      if (id === next) continue;
      await sql`update server_migration set phase = 'ended', ended = 'failed', other_host_id = null, error = '{"code": "x", "message": "no luck"}'
        where server_id = ${id}`.execute(db.database.query);
      await sql`update server set desired_move = null where id = ${id}`.execute(db.database.query);
    }
  }
  await drainer.look();
  assert.deepEqual(await under_way(), [next]);
  const shown = await new MaintenanceService(cloud).show(cloud.admin, here);
  const { attempts, retry_at: retryAt, last_error: why } = shown!.servers.find(({ id }) => id === tried[0])!;
  assert.deepEqual([attempts, why], [1, 'no luck']);
  assert.ok(retryAt! > new Date());
});

test('a host whose server is being stopped is not blocked: it goes when that is done', async () => {
  const here = await cloud.addHost();
  const [id] = await serversOn(here, 1, 512);
  await cloud.addHost();
  await sql`update server set desired_power = 'off' where id = ${id}`.execute(db.database.query);
  await db.database.transaction(cloudActor, (tx) =>
    beginMaintenance(tx, here, { cause: 'administrator', reason: null }),
  );
  const service = new MaintenanceService(cloud);
  const shown = (await service.show(cloud.admin, here))!;
  const [server] = shown.servers;
  assert.deepEqual(
    [shown.state, server!.state, server!.why?.reason, server!.why?.fields as object],
    [
      ...['draining', 'waiting', 'server_state_conflict'],
      { id, call: 'live-migration', attribute: 'task_state', value: 'powering-off' },
    ],
  );
});

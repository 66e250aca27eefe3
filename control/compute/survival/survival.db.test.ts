/** What would survive, of a cloud in a database. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import pino from 'pino';
import type { HostId, ServerId } from '../../../contract/ids.ts';
import { type TestDatabase, testDatabase } from '../../kit/database/testing.ts';
import { type ServerCloud, serverCloud } from '../server/testing.ts';
import { SurvivalService, SurvivalWatch } from './index.ts';

let db: TestDatabase;
let cloud: ServerCloud;
let survival: SurvivalService;
before(async () => {
  db = await testDatabase();
  cloud = await serverCloud(db.database);
  survival = new SurvivalService(db);
});
after(() => db[Symbol.asyncDispose]());

async function server(requestedHost: string, policy: object | null): Promise<ServerId> {
  const flavor = await cloud.addFlavor({ vcpus: 4 });
  const { ids } = await cloud.service.create(cloud.admin, { ...cloud.wish({ flavor, requestedHost }) });
  await cloud.controller.reconcile(ids[0]!);
  await sql`update server set evacuation_policy = ${policy && JSON.stringify(policy)}::jsonb where id = ${ids[0]}`.execute(
    db.database.query,
  );
  return ids[0]!;
}
const elsewhere = { restart: 'elsewhere', priority: 0, on_lease_end: 'stop', disk: 'from_image', generation: 1 };

test('by host, rack and server it is told what would be restarted where, and the alarm is raised when that becomes less', async () => {
  const hosts: HostId[] = [];
  for (const name of ['a', 'b', 'c']) hosts.push(await cloud.addHost({ name, vcpus: 8 }));
  const [a, b, c] = hosts as [HostId, HostId, HostId];
  const [wanted, forgotten] = [await server('a', elsewhere), await server('a', null)];
  await server('b', elsewhere);
  await server('b', { ...elsewhere, disk: 'keep' });
  const told: unknown[] = [];
  const log = pino({ level: 'warn' }, { write: (line: string) => void told.push(JSON.parse(line)) });
  const watch = new SurvivalWatch({ database: db.database, log });
  await watch.look();
  assert.deepEqual(
    watch.alarms,
    [{ loss: { kind: 'host', name: 'b' }, servers: 1, change: null }],
    'its disk is there alone',
  );
  const sums = async () =>
    (await survival.summaries(cloud.admin)).map(({ loss, servers, restarted, down }) => [
      loss.kind,
      loss.name,
      servers,
      restarted,
      down.no_host,
    ]);
  assert.deepEqual(await sums(), [
    ['host', 'a', 2, 1, 0],
    ['host', 'b', 2, 1, 0],
    ['host', 'c', 0, 0, 0],
  ]);
  await survival.setFailureDomains(cloud.admin, b, { rack: 'Регал 7', feed: 'A' });
  await survival.setFailureDomains(cloud.admin, c, { rack: 'Регал 7' });
  assert.deepEqual(await survival.failureDomains(cloud.admin, b), { rack: 'Регал 7', feed: 'A' });
  assert.deepEqual((await sums()).slice(3), [
    ['feed', 'A', 2, 1, 0],
    ['rack', 'Регал 7', 2, 0, 1],
  ]);
  const { fates, loss } = await survival.one(cloud.admin, { kind: 'host', name: 'a' });
  assert.deepEqual(loss.hostIds, [a]);
  assert.deepEqual(
    fates.map(({ server, to, why }) => [server.id, to, why]).sort(),
    [
      [wanted, c, null],
      [forgotten, null, 'not_wanted'],
    ].sort(),
  );
  told.length = 0;
  await watch.look();
  assert.equal(told.length, 2, 'the rack and the feed');
  await watch.look();
  assert.equal(told.length, 2, 'once');
  await sql`update host set vcpus = 1 where id = ${c}`.execute(db.database.query);
  await watch.look();
  const worse = told.slice(2) as { host?: string; servers: number; change: string }[];
  assert.deepEqual(
    worse.map(({ host, servers, change }) => [host, servers, change]).filter(([host]) => host),
    [
      ['a', 1, '3 more vCPUs on c'],
      ['b', 2, '3 more vCPUs on c'],
    ],
  );
  await assert.rejects(survival.one(cloud.admin, { kind: 'rack', name: 'no such' }), { code: 'not_found' });
  await assert.rejects(survival.summaries(cloud.member), { code: 'forbidden' });
});

/** What hosts take, and who says so. BMCs are fakes on the wire. */
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { sql } from 'kysely';
import { type TestDatabase, testDatabase } from '../../kit/database/testing.ts';
import { type ServerCloud, serverCloud, silentLog } from '../server/testing.ts';
import { Watts, WattsService } from './index.ts';
import { type BmcWorld, bmcWorld } from './testing.ts';

let db: TestDatabase;
let cloud: ServerCloud;
let world: BmcWorld;
/** By host what its own counters say. */
const counters = new Map<string, number | null>();
before(async () => {
  db = await testDatabase();
  cloud = await serverCloud(db.database);
});
after(() => db[Symbol.asyncDispose]());
beforeEach(async () => {
  world = await bmcWorld(db.database, cloud.admin);
});
afterEach(async () => {
  await world[Symbol.asyncDispose]();
  await sql`delete from host`.execute(db.database.query);
});

const measurer = () =>
  new Watts({
    ...{ database: db.database, sealer: world.sealer, log: silentLog },
    hosts: {
      async watts({ id }) {
        const said = counters.get(id);
        if (said === undefined) throw new Error('it is older');
        return said;
      },
    },
    timing: { periodMs: 0, requestMs: 2000 },
  });
async function shown(model?: { idle: number; max: number }) {
  const rows = await new WattsService({ database: db.database, model }).list(cloud.admin);
  return Object.fromEntries(rows.map(({ host_name, watts, source }) => [host_name, [watts, source]]));
}

test('a BMC goes before counters, counters before a model, and where there is none of them nobody says it', async () => {
  const [a, b, c, d] = await Promise.all(['a', 'b', 'c', 'd'].map((name) => cloud.addHost({ name })));
  await world.give(a!, { watts: 344 });
  for (const id of [a!, b!]) counters.set(id, 120);
  counters.set(c!, null);
  await measurer().look();
  assert.deepEqual(await shown(), { a: [344, 'bmc'], b: [120, 'rapl'], c: [null, null], d: [null, null] });
  await sql`update host set facts = facts || '{"cpus": 4}' where id = ${d}`.execute(db.database.query);
  await sql`insert into host_usage (host_id, vcpus) values (${d}, 2) on conflict (host_id) do update set vcpus = 2`.execute(
    db.database.query,
  );
  assert.deepEqual((await shown({ idle: 100, max: 300 })).d, [200, 'model']);
  await assert.rejects(new WattsService(db).list(cloud.member), { code: 'forbidden' });
});

test('a BMC that says nothing leaves it to the counters, and one that takes no password is not asked again soon', async () => {
  const [a, b] = [await cloud.addHost({ name: 'a' }), await cloud.addHost({ name: 'b' })];
  for (const id of [a, b]) counters.set(id, 90);
  (await world.give(a)).trouble = 'server error';
  const locked = await world.give(b);
  locked.password = 'another';
  await measurer().look();
  assert.deepEqual(await shown(), { a: [90, 'rapl'], b: [90, 'rapl'] });
  const before = locked.asked;
  await measurer().look();
  assert.equal(locked.asked, before);
});

test('an old measurement counts no more, and what is off takes nothing', async () => {
  const [a, b] = [await cloud.addHost({ name: 'a' }), await cloud.addHost({ name: 'b', connected: false })];
  counters.set(a, 90);
  await measurer().look();
  await sql`update host_watts set measured_at = now() - interval '10 minutes'`.execute(db.database.query);
  await sql`insert into host_standby (host_id, reason, off_at) values (${b}, 'x', now())`.execute(db.database.query);
  assert.deepEqual(await shown(), { a: [null, null], b: [0, 'off'] });
});

/** What hosts say and do while `bothy recover` runs. That it takes up what was lost is seen in test/simulated/lost-database.db.test.ts. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { sql } from 'kysely';
import type { HostMessage } from '../../../contract/host/index.ts';
import { type HostId, type ImageId, newId, type ServerId } from '../../../contract/ids.ts';
import { recordQuarantine } from '../../host/quarantine.ts';
import { type TestDatabase, testDatabase } from '../../kit/database/testing.ts';
import { type ServerCloud, serverCloud } from '../server/testing.ts';
import type { RecoveryOptions } from './outcome.ts';
import { discard, hostsAway, recover } from './recovery.ts';

let db: TestDatabase;
let cloud: ServerCloud;
let hostId: HostId;
let serverId: ServerId;
let imageId: ImageId;
let held: HostMessage & { type: 'quarantine' };
const nothing: typeof held = { type: 'quarantine', ids: [], servers: [], images: [] };

before(async () => {
  db = await testDatabase();
});
after(() => db[Symbol.asyncDispose]());

/** A server and an image that the host has and the database has not. */
beforeEach(async () => {
  cloud = await serverCloud(db.database);
  for (const table of ['quarantined_server', 'quarantined_image']) {
    await sql`delete from ${sql.table(table)}`.execute(db.database.query);
  }
  hostId = await cloud.addHost();
  const flavor = await cloud.addFlavor();
  [serverId] = (await cloud.service.create(cloud.member, cloud.wish({ flavor }))).ids as [ServerId];
  await sql`update server set host_id = ${hostId} where id = ${serverId}`.execute(db.database.query);
  imageId = newId<ImageId>();
  const [server] = await cloud.side.desiredServers(db.database.query, { hostId });
  const document = { ...server!, image: { ...server!.image!, id: imageId } };
  for (const [table, column] of [
    ['server', 'id'],
    ['server_absence', 'server_id'],
  ] as const) {
    await sql`delete from ${sql.table(table)} where ${sql.ref(column)} = ${serverId}`.execute(db.database.query);
  }
  const bytes = { format: 'raw' as const, sizeBytes: 512, virtualSizeBytes: 512, sha256: 'a'.repeat(64), md5: null };
  held = {
    type: 'quarantine',
    ids: [serverId],
    servers: [{ id: serverId, reason: 'missing', since: '2026-01-01T00:00:00.000Z', guest: true, document }],
    images: [{ id: imageId, ...bytes }],
  };
  await recordQuarantine(db.database, hostId, held);
});

const known = async () => {
  const { rows } = await sql`select id, desired_presence from server where id = ${serverId}
    union all select id, desired_presence from image where id = ${imageId}`.execute(db.database.query);
  return rows;
};
test('hosts that are not connected are named, for an empty list says nothing of what they have', async () => {
  const { query } = db.database;
  await sql`update host set connected = id <> ${hostId}`.execute(query);
  const { rows } = await sql<{ name: string }>`select name from host where id = ${hostId}`.execute(query);
  assert.deepEqual(await hostsAway({ database: db.database }), [rows[0]!.name]);
  await sql`update host set connected = true`.execute(query);
  assert.deepEqual(await hostsAway({ database: db.database }), []);
});

/** While somebody reads the list, something happens. */
const meanwhile = (happens: () => Promise<unknown>): RecoveryOptions => ({
  database: db.database,
  afterStep: async (step) => void (step === 'list' && (await happens())),
});
const outcomesOf = (all: Awaited<ReturnType<typeof recover>>) => all.map(({ kind, outcome }) => `${kind} ${outcome}`);

test('what a host has put right meanwhile is not made again', async () => {
  const all = await recover(meanwhile(() => recordQuarantine(db.database, hostId, nothing)));
  assert.deepEqual(outcomesOf(all), ['image wait', 'server wait']);
  assert.deepEqual(await known(), []);
});

test('what has been taken up meanwhile is not discarded', async () => {
  const options = meanwhile(async () => {
    assert.deepEqual(outcomesOf(await recover({ database: db.database })), ['image remake', 'server remake']);
    await recordQuarantine(db.database, hostId, nothing);
  });
  assert.deepEqual(outcomesOf(await discard(options, 'all')), ['server wait', 'image wait']);
  assert.deepEqual(
    (await known()).map((row) => (row as { desired_presence: string }).desired_presence),
    ['present', 'present'],
  );
});

test('what is taken up is what the host has now, not what it had when the list was read', async () => {
  const document = { ...held.servers[0]!.document!, generation: 9, name: 'newer' };
  const newer = { ...held, servers: [{ ...held.servers[0]!, document }] };
  await recover(meanwhile(() => recordQuarantine(db.database, hostId, newer)));
  const { rows } = await sql`select name, generation from server where id = ${serverId}`.execute(db.database.query);
  assert.deepEqual(rows, [{ name: 'newer', generation: 10 }]);
});

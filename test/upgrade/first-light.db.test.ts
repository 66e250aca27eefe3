/**
 * Yesterday's data directory works: the oldest database that this version must take becomes the newest, and has its rows.
 * When an older one need not be supported any more, its dump goes and a younger one comes.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { sql } from 'kysely';
import pino from 'pino';
import { listServers } from '../../control/compute/server/list.ts';
import { firstPosition, readChanges } from '../../control/kit/change-log/changes.ts';
import { settleIncarnation } from '../../control/kit/database/incarnation.ts';
import { migrate } from '../../control/kit/database/migrate.ts';
import { schemaOf, testDatabase } from '../../control/kit/database/testing.ts';
import { HistoryKeeper } from '../../control/kit/history/index.ts';
import { readOperations } from '../../control/kit/operation/read-operations.ts';
import { resources } from '../../control/resources.ts';

const dump = readFileSync(join(import.meta.dirname, 'first-light.sql'), 'utf8');
const schema = readFileSync(join(import.meta.dirname, '../../control/kit/database/schema.sql'), 'utf8');

async function firstLight() {
  const db = await testDatabase();
  for (const name of ['public', 'graphile_worker']) {
    await sql`drop schema ${sql.id(name)} cascade`.execute(db.database.query);
  }
  await sql`create schema public`.execute(db.database.query);
  execFileSync('psql', ['-q', '-v', 'ON_ERROR_STOP=1', db.url.reveal()], {
    input: dump,
    stdio: ['pipe', 'ignore', 'pipe'],
  });
  return db;
}

test('the oldest supported database migrates to the schema of a new one', async () => {
  await using db = await firstLight();
  assert.ok((await migrate({ url: db.url })).length > 0);
  assert.equal(schemaOf(db.url), schema);
  assert.deepEqual(await migrate({ url: db.url }), []);
});

test('its servers, operations and changes are there, and go on', async () => {
  await using db = await firstLight();
  const { query } = db.database;
  const before = await sql<{ n: number }>`select count(*) as n from operation`.execute(query);
  await migrate({ url: db.url });
  await settleIncarnation(db.database);
  const names = async (which: 'present' | 'deleted') =>
    (await listServers(query, 'all', { which })).map(({ name }) => name);
  assert.deepEqual(await names('present'), ['stays 小屋 🏔']);
  assert.deepEqual(await names('deleted'), ['is deleted']);
  const operations = await readOperations(query, { limit: 100 });
  assert.equal(operations.length, before.rows[0]!.n);
  assert.ok(operations.every(({ state }) => state === 'succeeded'));
  const page = await readChanges(query, { after: await firstPosition(query), limit: 100 });
  const old = page.changes.length;
  assert.ok(old >= 24);
  await sql`update server set name = 'renamed'`.execute(query);
  await new HistoryKeeper({
    database: db.database,
    log: pino({ level: 'silent' }),
    resources,
    retention: { changeLogDays: 7, operationDays: 30 },
  }).look();
  const { rows } = await sql<{ last: string; first: string }>`select
    (select body ->> 'name' from change order by sequence desc limit 1) as last, count(*) as n from change`.execute(
    query,
  );
  assert.equal(rows[0]!.last, 'renamed');
  assert.equal((await readOperations(query, { limit: 100 })).length, operations.length);
});
